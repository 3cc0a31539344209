"""The outbox, and restoring from packages."""
