"""Child processes: fork server, shared buffers, messages, and external programs."""
