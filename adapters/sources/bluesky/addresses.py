"""Addresses of the AT protocol: it owns which node an at:// address means, and no record."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import reference

PLATFORM = "bluesky"
POST = "post"
POST_COLLECTIONS = frozenset({"app.bsky.feed.post", "app.bsky.feed.repost"})


def is_at_uri(value: Any) -> bool:
    """Tell whether a value is an at:// address."""
    return isinstance(value, str) and value.startswith("at://") and len(value) > 5


def collection_of(uri: Any) -> str:
    """Return the collection that an address names, such as app.bsky.feed.post; else nothing."""
    parts = uri[5:].split("/") if is_at_uri(uri) else []
    return parts[1] if len(parts) > 1 else ""


def uri_node(uri: Any, kind: str | None = None) -> str | None:
    """Return the node of a record's address; its owner for a profile or a bare authority."""
    if not is_at_uri(uri):
        return None
    collection = collection_of(uri)
    if collection in ("", "app.bsky.actor.profile"):
        return authority_node(uri)
    return reference(
        PLATFORM, kind or ("post" if collection in POST_COLLECTIONS else "record"), uri
    )


def authority_node(uri: Any) -> str | None:
    """Return whose record an address is: a user for a DID, a username for a handle."""
    if not is_at_uri(uri):
        return None
    authority = uri[5:].partition("/")[0]
    if authority.startswith("did:"):
        return reference(PLATFORM, "user", authority)
    return reference(PLATFORM, "username", authority.lower())
