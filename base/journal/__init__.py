"""A journal: what was accepted is durable on the SSD before it is said so, and is read again."""
