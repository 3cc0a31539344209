"""Twitter / X in all formats that people have it in: APIs, the web, the archive, snscrape."""

from adapters.sources.twitter.archive import TwitterArchive
from adapters.sources.twitter.graphql import ADAPTERS as GRAPHQL
from adapters.sources.twitter.snscrape import ADAPTERS as SNSCRAPE
from adapters.sources.twitter.v1 import ADAPTERS as V1
from adapters.sources.twitter.v2 import ADAPTERS as V2

ADAPTERS = (*V1, *V2, *GRAPHQL, TwitterArchive(), *SNSCRAPE)

__all__ = ["ADAPTERS"]
