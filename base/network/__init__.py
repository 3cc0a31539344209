"""Connections between our processes and to others, and what is told over them."""
