"""Timed reads, and the model of a disk that is made of them."""
