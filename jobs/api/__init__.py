"""What the public port has of the jobs: tasks for workers elsewhere, figures, operations."""
