"""Packages for cold storage: their form, written and read."""
