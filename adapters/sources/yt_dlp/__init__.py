"""Info files of yt-dlp and youtube-dl: this is the folder's face."""

from adapters.sources.yt_dlp.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
