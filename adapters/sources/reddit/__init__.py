"""Reddit: what its API gives, and tables of its posts."""

from adapters.sources.reddit.api import ADAPTERS as API
from adapters.sources.reddit.table import ADAPTERS as TABLE

ADAPTERS = (*API, *TABLE)

__all__ = ["ADAPTERS"]
