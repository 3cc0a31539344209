"""YouTube Data API v3."""

from adapters.sources.youtube_data.responses import ADAPTERS

__all__ = ["ADAPTERS"]
