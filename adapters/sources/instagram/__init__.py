"""Instagram: the Graph API, and what Instaloader writes."""

from adapters.sources.instagram.graph import ADAPTERS as GRAPH
from adapters.sources.instagram.instaloader import ADAPTERS as INSTALOADER

ADAPTERS = (*GRAPH, *INSTALOADER)

__all__ = ["ADAPTERS"]
