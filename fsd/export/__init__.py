"""Materialise: a manifest becomes a copy on the SSD or a view in the mount."""
