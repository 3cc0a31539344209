"""Museums, libraries and stock sites: responses of eighteen providers of free media."""

from adapters.sources.museum.responses import ADAPTERS

__all__ = ["ADAPTERS"]
