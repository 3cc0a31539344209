"""Building a version: its tree, its manifest, its pin in the store."""
