"""The HTTP API of the database."""
