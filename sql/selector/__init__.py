"""Selectors: which nodes are meant, compiled to SQL."""
