"""Search: by which words nodes are found."""
