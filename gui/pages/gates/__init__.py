"""The page of gates."""
