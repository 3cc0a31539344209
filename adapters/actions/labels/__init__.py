"""Labels by people (AC5)."""
