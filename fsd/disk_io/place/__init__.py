"""Which disk lies at a path: its identity, its lock and its epoch."""
