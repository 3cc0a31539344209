"""On-disk formats as pure functions: shards, catalog, index rows, manifests, tree files."""
