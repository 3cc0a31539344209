"""Receiving: JSON that programs send, durable before it is said so, and windows for the inbox."""
