"""Inference over JSON documents: which columns they would have, and whether a table fits them."""
