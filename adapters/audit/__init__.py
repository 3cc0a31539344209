"""Comparing database and store."""
