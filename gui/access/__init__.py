"""Accounts, sessions, roles, and the guard of every request."""
