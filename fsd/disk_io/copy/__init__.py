"""Copies of sealed shards, read at their source and proven at their target."""
