"""The RQ worker and the execution of one task."""
