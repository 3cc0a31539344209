"""Reads that check what they read."""
