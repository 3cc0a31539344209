"""Bluesky as gallery-dl writes it: it owns what its fields mean.

A post is known by its `uri`, an account by its `did`. `user` is whose feed was read; it is not the
author of what that account reposted or answered.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_count, as_text, as_texts, dig, first, mappings
from adapters.sources.gallery_dl.site_post import PERSONS_MAX, Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, posted, tags_of

PLATFORM = "bluesky"


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of Bluesky."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=sidecar.position)
    uri = _uri(data)
    said.post = reference(PLATFORM, "post", uri)
    said.author = _person(data.get("author"))
    if said.author is None and said.post is None:
        said.author = _person(data.get("user"))
    said.title = as_text(data.get("text"))
    said.time = posted(first(data.get("createdAt"), data.get("date"), data.get("indexedAt")))
    hashtags = tags_of(data.get("hashtags"))
    said.tag(PLATFORM, hashtags)
    said.meta = {
        "uri": uri,
        "cid": as_text(data.get("cid"), 300),
        "like_count": as_count(data.get("likeCount")),
        "repost_count": as_count(data.get("repostCount")),
        "reply_count": as_count(data.get("replyCount")),
        "quote_count": as_count(data.get("quoteCount")),
        "bookmark_count": as_count(data.get("bookmarkCount")),
        "languages": as_texts(data.get("langs"), 20),
        "hashtags": hashtags,
        "labels": as_texts([label.get("val") for label in mappings(data.get("labels"))], 50),
    }
    _add_relations(said, data)
    _add_medium(said, sidecar)
    return said


def _uri(data: dict[str, Any]) -> str | None:
    uri = as_text(data.get("uri"), 3_000)
    if uri and uri.startswith("at://"):
        return uri
    did, key = as_text(dig(data, "author", "did"), 300), as_text(data.get("post_id"), 300)
    return f"at://{did}/app.bsky.feed.post/{key}" if did and key else None


def _add_relations(said: SitePost, data: dict[str, Any]) -> None:
    answered = _post(dig(data, "reply", "parent", "uri"))
    said.link(answered, said.post, "reply")
    root = dig(data, "reply", "root", "uri")
    if (original := _post(root)) is not None:
        conversation = reference(PLATFORM, "conversation", root)
        said.link(conversation, original, "conversation")
        said.link(conversation, said.post, "conversation")
    embedded = first(dig(data, "embed", "record", "record"), dig(data, "embed", "record"))
    quoted = dig(embedded, "uri")
    if isinstance(quoted, str) and "/app.bsky.feed.post/" in quoted:
        said.link(_post(quoted), said.post, "quote")
    for mention in (tags_of(data.get("mentions")) or [])[:PERSONS_MAX]:
        # Facets name accounts by did, texts by handle.
        kind = "user" if mention.startswith("did:") else "username"
        name = mention.lstrip("@").lower() if kind == "username" else mention
        said.link(said.post, reference(PLATFORM, kind, name), "mentioned")
    for page in (as_texts(data.get("uris"), 100)) or []:
        if address(page):
            said.link(said.post, reference("web", "page", page), "linked")


def _post(uri: Any) -> str | None:
    return reference(PLATFORM, "post", uri) if isinstance(uri, str) else None


def _add_medium(said: SitePost, sidecar: Sidecar) -> None:
    data = sidecar.data
    blob = as_text(data.get("filename"), 300)
    said.medium = reference(PLATFORM, "media", blob)
    said.medium_meta = {
        "uri": said.meta["uri"],
        "alt_text": as_text(data.get("description")),
        "width": as_count(data.get("width")) or None,
        "height": as_count(data.get("height")) or None,
        "media_url": address(data.get("url")),
    }


def _person(value: Any) -> Person | None:
    if not isinstance(value, dict):
        return None
    handle = as_text(value.get("handle"), 300)
    alias = reference(PLATFORM, "username", handle.lower()) if handle else None
    by_id = reference(PLATFORM, "user", value.get("did"))
    node = by_id or alias
    if node is None:
        return None
    name = as_text(value.get("displayName"))
    meta = {
        "did": as_text(value.get("did"), 300),
        "handle": handle,
        "display_name": name,
        "follower_count": as_count(value.get("followersCount")),
        "post_count": as_count(value.get("postsCount")),
    }
    return Person(node, name or handle, meta, alias if by_id else None)
