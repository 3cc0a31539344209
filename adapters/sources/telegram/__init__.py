"""Telegram Desktop's exports, as JSON and as pages."""

from adapters.sources.telegram.export import ADAPTERS as EXPORT
from adapters.sources.telegram.html import ADAPTERS as HTML

ADAPTERS = (*EXPORT, *HTML)

__all__ = ["ADAPTERS"]
