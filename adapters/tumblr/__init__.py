"""Tumblr: both versions of its API, and saved blogs."""

from adapters.tumblr.posts import ADAPTERS

__all__ = ["ADAPTERS"]
