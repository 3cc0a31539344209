"""Manifests: parsing, checking, columns in memory, and the canonical form."""
