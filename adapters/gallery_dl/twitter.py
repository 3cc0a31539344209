"""Tweets as gallery-dl writes them: it owns what their fields mean.

`author` wrote the text, `user` is whose timeline was read. They differ on retweets, where
`tweet_id` and `date` are those of the retweet, made by `user`, while text and media are those of
`retweet_id`. Ids of 0 stand for "none", a `view_count` of 0 for "not known", and so do the other
counts of a retweet.
"""

from __future__ import annotations

from typing import Any

from adapters.gallery_dl.draft import PERSONS_MAX, Draft, Person, Sidecar, reference
from adapters.gallery_dl.fields import posted, tags_of
from adapters.values import as_boolean, as_count, as_number, as_text, mappings

PLATFORM = "twitter"


def draft_of(sidecar: Sidecar) -> Draft:
    """Read one sidecar of twitter or nitter."""
    data = sidecar.data
    draft = Draft(PLATFORM, position=sidecar.position)
    draft.post = reference(PLATFORM, "post", data.get("tweet_id"))
    original = reference(PLATFORM, "post", data.get("retweet_id"))
    writer = _person(data.get("author"))
    collected = _person(data.get("user"))
    is_retweet = original is not None and draft.post is not None
    draft.author = (collected or None) if is_retweet else (writer or collected)
    draft.title = as_text(data.get("content"))
    draft.view = as_count(data.get("view_count")) or None
    draft.time = posted(data.get("date"))
    draft.meta = _meta(data, is_retweet)
    if is_retweet:
        _add_original(draft, original, writer, data)
    _add_relations(draft, original, data)
    _add_medium(draft, sidecar)
    return draft


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
    draft: Draft, original: str | None, writer: Person | None, data: dict[str, Any]
) -> None:
    draft.link(original, draft.post, "repost")
    draft.container = original
    draft.medium_time = posted(data.get("date_original"))
    if writer is not None:
        draft.persons.append(writer)
        draft.container_author = writer.node
        draft.link(writer.node, original, "authored")


def _add_relations(draft: Draft, original: str | None, data: dict[str, Any]) -> None:
    post = draft.post
    draft.link(reference(PLATFORM, "post", data.get("reply_id")), post, "reply")
    # A retweet repeats what its original quotes.
    draft.link(reference(PLATFORM, "post", data.get("quoted_id")), original or post, "quote")
    # `quote_id` is the tweet that brought this one along by quoting it.
    draft.link(post, reference(PLATFORM, "post", data.get("quote_id")), "quote")
    conversation = reference(PLATFORM, "conversation", data.get("conversation_id"))
    draft.link(conversation, post, "conversation")
    draft.tag(PLATFORM, tags_of(data.get("hashtags")))
    for value in list(mappings(data.get("mentions")))[:PERSONS_MAX]:
        if (person := _person(value)) is not None:
            draft.link(post, person.node, "mentioned")
            draft.link(person.node, person.alias, "alias")


def _add_medium(draft: Draft, sidecar: Sidecar) -> None:
    data = sidecar.data
    duration_s = as_number(data.get("duration"))
    shown = data.get("retweet_id") or data.get("tweet_id")
    numbered = f"{shown}_{sidecar.number_in_post or 1}" if _id(shown) else None
    identity = as_text(data.get("filename"), 300) or numbered
    draft.medium = reference(PLATFORM, "media", identity)
    draft.medium_title = None
    draft.medium_meta = {
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
