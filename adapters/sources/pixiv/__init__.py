"""pixiv and Fanbox: responses of their web and app APIs."""

from adapters.sources.pixiv.responses import ADAPTERS

__all__ = ["ADAPTERS"]
