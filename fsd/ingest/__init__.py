"""BatchWrite: from a folder to sealed shards."""
