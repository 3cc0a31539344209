"""Logs of the daemons: JSON Lines with ids, written, rotated and read."""
