"""Purge and compaction."""
