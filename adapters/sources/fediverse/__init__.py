"""The fediverse: Mastodon's own API and archives, and ActivityPub objects of any server."""

from adapters.sources.fediverse.activitypub import ADAPTERS as ACTIVITYPUB
from adapters.sources.fediverse.mastodon import ADAPTERS as MASTODON

ADAPTERS = (*ACTIVITYPUB, *MASTODON)

__all__ = ["ADAPTERS"]
