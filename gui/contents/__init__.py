"""Bytes over HTTP: contents and pictures of nodes, and what is shared by a link."""
