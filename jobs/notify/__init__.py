"""Deliveries of events: commands, webhooks and mail."""
