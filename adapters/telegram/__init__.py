"""Telegram Desktop's exports, as JSON and as pages."""

from adapters.telegram.export import ADAPTERS as EXPORT
from adapters.telegram.html import ADAPTERS as HTML

ADAPTERS = (*EXPORT, *HTML)

__all__ = ["ADAPTERS"]
