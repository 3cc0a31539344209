"""Processes: those that outlive who started them, those below one, and other people's commands."""
