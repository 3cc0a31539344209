"""Facebook: objects of the Graph API."""

from adapters.sources.facebook.graph import ADAPTERS

__all__ = ["ADAPTERS"]
