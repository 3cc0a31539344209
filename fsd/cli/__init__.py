"""The commands of the store."""
