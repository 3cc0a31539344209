"""Replication: what copies there should be, and how they come to be."""
