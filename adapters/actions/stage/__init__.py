"""Staging the inputs of an action batch in 3C."""
