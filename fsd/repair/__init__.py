"""Recovery, salvage and reconstruction of shards, and the checks of the index."""
