"""Tumblr: both versions of its API, and saved blogs."""

from adapters.sources.tumblr.posts import ADAPTERS

__all__ = ["ADAPTERS"]
