"""The commands of the adapters."""
