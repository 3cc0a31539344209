"""What ActivityPub and the Mastodon API share: it owns identities in the Fediverse, and no format.

A post or person is known everywhere by one address, its `id` (ActivityPub) or `uri` (Mastodon):
`activitypub:post:<uri>`, `activitypub:user:<uri>`. Where a record also gives the address of the
page, the two are joined by an `alias` edge, because others refer by that one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from adapters.records.describe import reference
from adapters.records.values import as_text
from adapters.sources.reading.draft import Draft

PLATFORM = "activitypub"


def is_address(value: Any) -> bool:
    """Tell whether a value is an absolute http address."""
    return isinstance(value, str) and value.startswith(("http://", "https://")) and len(value) > 10


def identity_node(kind: str, value: Any) -> str | None:
    """Return the node of an address, `user` or `post`; None for what is no usable identity."""
    text = as_text(value, 4_000)
    return reference(PLATFORM, kind, text) if text else None


def host_of(address: Any) -> str | None:
    """Return the host of an address in lower case."""
    if not isinstance(address, str):
        return None
    try:
        return (urlsplit(address).hostname or "").lower() or None
    except ValueError:
        return None


def add_alias(draft: Draft, kind: str, known_by: str | None, page: Any) -> None:
    """Join a node to the address of its page, by which others may name it."""
    if is_address(page):
        draft.link(known_by, identity_node(kind, page), "alias")


def full_name(account: Any, address: Any) -> str | None:
    """Return name@host of an account name as one server writes it: local names have no host."""
    name = as_text(account)
    if name is None:
        return None
    host = host_of(address)
    return name if "@" in name or host is None else f"{name}@{host}"
