"""Configuration, errors and filters of the browser's side."""
