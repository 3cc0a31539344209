"""Gnip activity streams: it owns their translation into the fields of API v1.1.

The enterprise API wrote tweets as activities: a `share` is a retweet whose `object` is the original
activity; ids are the tails of names such as `tag:search.twitter.com,2005:123`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from adapters.records.values import as_id, as_text, dig, first
from adapters.sources.twitter.tweet import status_in


class Activity(NamedTuple):
    """An activity with the v1.1 fields that say the same."""

    fields: dict[str, Any]
    raw: dict[str, Any]
    is_inner: bool


def is_activity(value: Any) -> bool:
    """Tell whether a value is an activity of Twitter."""
    return (
        isinstance(value, dict)
        and value.get("objectType") == "activity"
        and isinstance(value.get("actor"), dict)
    )


def activities_in(value: dict[str, Any], is_inner: bool = False) -> Iterator[Activity]:
    """Yield an activity and those inside of it, the outer one first."""
    yield Activity(_fields(value), value, is_inner)
    for inner in (_original(value), value.get("twitter_quoted_status")):
        if isinstance(inner, dict):
            yield from activities_in(inner, is_inner=True)


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    original, quoted = _original(value), value.get("twitter_quoted_status")
    fields = {
        "id_str": _tail(value.get("id")) or _tail(dig(value, "object", "id")),
        "text": value.get("body"),
        "created_at": value.get("postedTime"),
        "user": _user(value.get("actor")),
        "entities": value.get("twitter_entities"),
        "extended_entities": value.get("twitter_extended_entities"),
        "extended_tweet": _long(value.get("long_object")),
        "in_reply_to_status_id_str": status_in(dig(value, "inReplyTo", "link")),
        "lang": first(value.get("twitter_lang"), dig(value, "gnip", "language", "value")),
        "favorite_count": value.get("favoritesCount"),
        "retweet_count": value.get("retweetCount"),
        "source": dig(value, "generator", "displayName"),
        "possibly_sensitive": value.get("possibly_sensitive"),
    }
    if original is not None:
        fields["retweeted_status"] = {"id_str": _tail(original.get("id"))}
    if isinstance(quoted, dict):
        fields["quoted_status"] = {"id_str": _tail(quoted.get("id"))}
    return fields


def _original(value: dict[str, Any]) -> dict[str, Any] | None:
    original = value.get("object")
    return original if value.get("verb") == "share" and is_activity(original) else None


def _user(actor: Any) -> dict[str, Any]:
    return {
        "id_str": _tail(dig(actor, "id")),
        "screen_name": dig(actor, "preferredUsername"),
        "name": dig(actor, "displayName"),
        "followers_count": dig(actor, "followersCount"),
        "friends_count": dig(actor, "friendsCount"),
        "statuses_count": dig(actor, "statusesCount"),
    }


def _long(value: Any) -> dict[str, Any]:
    return {
        "full_text": dig(value, "body"),
        "entities": dig(value, "twitter_entities"),
        "extended_entities": dig(value, "twitter_extended_entities"),
    }


def _tail(name: Any) -> str | None:
    return as_id((as_text(name) or "").rpartition(":")[2])
