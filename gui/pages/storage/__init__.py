"""The storage page."""
