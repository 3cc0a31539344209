"""Twitter / X in all formats that people have it in: APIs v1.1 and v2, the web, the archive."""

from adapters.twitter.archive import TwitterArchive
from adapters.twitter.graphql import TwitterGraphql
from adapters.twitter.v1 import TwitterV1
from adapters.twitter.v2 import TwitterV2

ADAPTERS = (TwitterV1(), TwitterV2(), TwitterGraphql(), TwitterArchive())

__all__ = ["ADAPTERS"]
