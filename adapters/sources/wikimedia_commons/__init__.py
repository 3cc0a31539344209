"""Wikimedia Commons: responses of its query API and its structured data."""

from adapters.sources.wikimedia_commons.responses import ADAPTERS

__all__ = ["ADAPTERS"]
