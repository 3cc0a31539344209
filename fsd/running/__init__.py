"""A store that is open, and those who work on it."""
