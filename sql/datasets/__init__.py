"""Datasets, candidates, and what people look at."""
