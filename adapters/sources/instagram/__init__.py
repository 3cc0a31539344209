"""Instagram: the Graph API, and the first API that ended in 2020."""

from adapters.sources.instagram.graph import ADAPTERS as GRAPH
from adapters.sources.instagram.legacy import ADAPTERS as LEGACY

ADAPTERS = (*GRAPH, *LEGACY)

__all__ = ["ADAPTERS"]
