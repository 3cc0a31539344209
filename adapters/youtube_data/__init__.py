"""YouTube Data API v3."""

from adapters.youtube_data.responses import ADAPTERS

__all__ = ["ADAPTERS"]
