"""Batch listings and manifests, compiled in a process of their own."""
