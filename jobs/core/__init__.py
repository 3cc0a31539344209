"""Configuration, errors and background processes."""
