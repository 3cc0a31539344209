"""Processes that a service manager or `up` starts."""
