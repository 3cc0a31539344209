"""The page of what programs and people sent."""
