"""Wikimedia Commons: responses of its query API and its structured data."""

from adapters.wikimedia_commons.responses import ADAPTERS

__all__ = ["ADAPTERS"]
