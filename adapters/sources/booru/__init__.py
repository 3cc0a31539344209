"""Pages of booru sites: posts and tags as XML, JSON or RSS."""

from adapters.sources.booru.responses import ADAPTERS

__all__ = ["ADAPTERS"]
