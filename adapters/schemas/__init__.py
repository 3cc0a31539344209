"""Schemas: JSON that nobody declared, proposed as tables, and the rows of accepted ones."""
