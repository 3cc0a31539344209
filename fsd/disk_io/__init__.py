"""What runs inside the process of one disk: every system call on that disk."""
