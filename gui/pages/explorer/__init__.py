"""The explorer and the page of one node."""
