"""One open database, and all that can be asked of it."""
