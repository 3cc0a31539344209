"""Mastodon and its kin as gallery-dl writes them: it owns what their fields mean.

The category is the host of the server that was asked, so these are known by their shape. A post is
its `uri`, an account its `uri` or else the address of its page: the Fediverse is one platform. A
boosted post brings its original in `reblog`.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import (
    as_boolean,
    as_count,
    as_text,
    dig,
    first,
    mappings,
    text_of_html,
)
from adapters.sources.fediverse.mastodon_account import account_node
from adapters.sources.fediverse.mastodon_media import address_of
from adapters.sources.gallery_dl.site_post import PERSONS_MAX, Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, posted, tags_of

PLATFORM = "activitypub"


def is_status(data: dict[str, Any]) -> bool:
    """Tell whether a record of whatever category is a status of such a server."""
    return isinstance(data.get("account"), dict) and bool(
        {"reblogs_count", "replies_count", "spoiler_text", "visibility", "uri"} & data.keys()
    )


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of a status."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=sidecar.position)
    uri = first(address(data.get("uri")), address(data.get("url")))
    said.post = reference(PLATFORM, "post", uri)
    if said.post is None:
        local = as_text(data.get("id"), 100)
        said.post = reference(PLATFORM, "post", f"{sidecar.category}/{local}") if local else None
    said.author = _person(data.get("account"), uri)
    said.title = text_of_html(data.get("content")) or as_text(data.get("spoiler_text"))
    said.time = posted(first(data.get("created_at"), data.get("date")))
    hashtags = tags_of(data.get("tags"))
    said.tag(PLATFORM, hashtags)
    said.meta = {
        "uri": uri,
        "url": address(data.get("url")),
        "server": sidecar.category if "." in sidecar.category else None,
        "local_id": as_text(data.get("id"), 100),
        "visibility": as_text(data.get("visibility"), 40),
        "language": as_text(data.get("language"), 40),
        "spoiler_text": as_text(data.get("spoiler_text")),
        "is_sensitive": as_boolean(data.get("sensitive")),
        "favourite_count": as_count(data.get("favourites_count")),
        "reblog_count": as_count(data.get("reblogs_count")),
        "reply_count": as_count(data.get("replies_count")),
        "hashtags": hashtags,
    }
    _add_relations(said, data)
    _add_medium(said, sidecar)
    return said


def _add_relations(said: SitePost, data: dict[str, Any]) -> None:
    page = address(data.get("url"))
    said.link(said.post, reference(PLATFORM, "post", page), "alias")
    original = data["reblog"] if isinstance(data.get("reblog"), dict) else {}
    shown = first(address(original.get("uri")), address(original.get("url")))
    if (node := reference(PLATFORM, "post", shown)) is not None:
        said.link(node, said.post, "repost")
        said.container = node
    for mention in list(mappings(data.get("mentions")))[:PERSONS_MAX]:
        person = _person(mention)
        said.link(said.post, person.node if person else None, "mentioned")


def _add_medium(said: SitePost, sidecar: Sidecar) -> None:
    data = sidecar.data
    medium = data["media"] if isinstance(data.get("media"), dict) else {}
    url = address_of(medium)
    identity = as_text(medium.get("id"), 200)
    local = f"{sidecar.category}#{identity}" if identity else None
    said.medium = reference(PLATFORM, "media", url or local)
    meta = first(dig(medium, "meta", "original"), medium)
    said.medium_title = as_text(medium.get("description"))
    said.medium_meta = {
        "uri": said.meta["uri"],
        "media_id": identity,
        "media_type": as_text(medium.get("type"), 40),
        "media_url": url,
        "alt_text": as_text(medium.get("description")),
        "blurhash": as_text(medium.get("blurhash"), 200),
        "width": as_count(dig(meta, "width")) or None,
        "height": as_count(dig(meta, "height")) or None,
    }
    if said.post is None:
        # A preview card tells its own address and nothing of the status.
        page = reference("web", "page", address(medium.get("weburl")))
        said.container = page


def _person(value: Any, status_uri: str | None = None) -> Person | None:
    node = account_node(value, status_uri)
    if node is None:
        return None
    page = address(value.get("url"))
    name = as_text(value.get("display_name"))
    user_name = as_text(first(value.get("acct"), value.get("username")), 300)
    meta = {
        "uri": address(value.get("uri")),
        "url": page,
        "user_name": user_name,
        "display_name": name,
        "follower_count": as_count(value.get("followers_count")),
        "following_count": as_count(value.get("following_count")),
        "post_count": as_count(value.get("statuses_count")),
    }
    alias = reference(PLATFORM, "user", page)
    return Person(node, name or user_name, meta, alias if alias != node else None)
