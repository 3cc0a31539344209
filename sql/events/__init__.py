"""Events: what happened, in an order that can be read on, and who is told."""
