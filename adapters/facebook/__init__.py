"""Facebook: objects of the Graph API."""

from adapters.facebook.graph import ADAPTERS

__all__ = ["ADAPTERS"]
