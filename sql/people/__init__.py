"""Accounts, tokens, requests that are done once, and the audit log."""
