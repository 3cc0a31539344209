"""The dataset definition."""
