"""The page of schemas."""
