"""Feeds: RSS, Atom, podcasts and JSON Feed. This is the family's face."""

from adapters.sources.feeds.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
