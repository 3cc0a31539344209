"""The commands of the pages and of services."""
