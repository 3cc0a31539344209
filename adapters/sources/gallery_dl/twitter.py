"""Tweets as gallery-dl writes them: it owns what their fields mean.

`author` wrote the text, `user` is whose timeline was read. They differ on retweets, where
`tweet_id` and `date` are those of the retweet, made by `user`, while text and media are those of
`retweet_id`. Ids of 0 stand for "none", a `view_count` of 0 for "not known", and so do the other
counts of a retweet.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_boolean, as_count, as_number, as_text, mappings
from adapters.sources.gallery_dl.site_post import PERSONS_MAX, Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, posted, tags_of

PLATFORM = "twitter"


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of twitter or nitter."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=sidecar.position)
    said.post = reference(PLATFORM, "post", data.get("tweet_id"))
    original = reference(PLATFORM, "post", data.get("retweet_id"))
    writer = _person(data.get("author"))
    collected = _person(data.get("user"))
    is_retweet = original is not None and said.post is not None
    said.author = (collected or None) if is_retweet else (writer or collected)
    said.title = as_text(data.get("content"))
    said.view = as_count(data.get("view_count")) or None
    said.time = posted(data.get("date"))
    said.meta = _meta(data, is_retweet)
    if is_retweet:
        _add_original(said, original, writer, data)
    _add_relations(said, original, data)
    _add_medium(said, sidecar)
    return said


def _meta(data: dict[str, Any], is_retweet: bool) -> dict[str, Any]:
    def own(name: str) -> int | None:
        # A retweet has none of its own, and says 0.
        return as_count(data.get(name)) or (None if is_retweet else as_count(data.get(name)))

    return {
        "post_id": _id(data.get("tweet_id")),
        "conversation_id": _id(data.get("conversation_id")),
        "language": as_text(data.get("lang"), 40),
        "favorite_count": own("favorite_count"),
        "retweet_count": as_count(data.get("retweet_count")),
        "reply_count": own("reply_count"),
        "quote_count": own("quote_count"),
        "bookmark_count": own("bookmark_count"),
        "hashtags": tags_of(data.get("hashtags")),
        "is_sensitive": as_boolean(data.get("sensitive")),
        "client": as_text(data.get("source")),
    }


def _id(value: Any) -> str | None:
    return None if value in (0, "0") else as_text(value, 40)


def _add_original(
    said: SitePost, original: str | None, writer: Person | None, data: dict[str, Any]
) -> None:
    said.link(original, said.post, "repost")
    said.container = original
    said.medium_time = posted(data.get("date_original"))
    if writer is not None:
        said.persons.append(writer)
        said.container_author = writer.node
        said.link(writer.node, original, "authored")


def _add_relations(said: SitePost, original: str | None, data: dict[str, Any]) -> None:
    post = said.post
    said.link(reference(PLATFORM, "post", data.get("reply_id")), post, "reply")
    # A retweet repeats what its original quotes.
    said.link(reference(PLATFORM, "post", data.get("quoted_id")), original or post, "quote")
    # `quote_id` is the tweet that brought this one along by quoting it.
    said.link(post, reference(PLATFORM, "post", data.get("quote_id")), "quote")
    conversation = reference(PLATFORM, "conversation", data.get("conversation_id"))
    said.link(conversation, post, "conversation")
    said.tag(PLATFORM, tags_of(data.get("hashtags")))
    for value in list(mappings(data.get("mentions")))[:PERSONS_MAX]:
        if (person := _person(value)) is not None:
            said.link(post, person.node, "mentioned")
            said.link(person.node, person.alias, "alias")


def _add_medium(said: SitePost, sidecar: Sidecar) -> None:
    data = sidecar.data
    duration_s = as_number(data.get("duration"))
    shown = data.get("retweet_id") or data.get("tweet_id")
    numbered = f"{shown}_{sidecar.number_in_post or 1}" if _id(shown) else None
    identity = as_text(data.get("filename"), 300) or numbered
    said.medium = reference(PLATFORM, "media", identity)
    said.medium_title = None
    said.medium_meta = {
        "post_id": _id(shown),
        "media_id": identity,
        "media_type": as_text(data.get("type"), 40),
        "media_url": as_text(data.get("url")),
        "alt_text": as_text(data.get("description")),
        "width": as_count(data.get("width")) or None,
        "height": as_count(data.get("height")) or None,
        "duration_ms": round(duration_s * 1000) if duration_s and 0 < duration_s < 1e9 else None,
    }


def _person(value: Any) -> Person | None:
    if not isinstance(value, dict):
        return None
    name = as_text(value.get("name"), 200)
    alias = reference(PLATFORM, "username", name.lower()) if name else None
    by_id = reference(PLATFORM, "user", value.get("id"))
    node = by_id or alias
    if node is None:
        return None
    meta = {
        "user_id": _id(value.get("id")),
        "user_name": name,
        "display_name": as_text(value.get("nick")),
        "follower_count": as_count(value.get("followers_count")),
        "following_count": as_count(value.get("friends_count")),
        "post_count": as_count(value.get("statuses_count")),
    }
    title = as_text(value.get("nick")) or name
    return Person(node, title, meta, alias if by_id else None)
