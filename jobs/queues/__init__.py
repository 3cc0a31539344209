"""Redis: the embedded server, and the form of jobs in its queues."""
