"""Twitter API v1.1: it owns tweets and users as the REST and streaming APIs wrote them.

Takes one tweet, a list, `statuses` of a search, JSON Lines, Gnip activities, embedded
codes and lone media. Inner tweets (retweeted, quoted) are records of their own. Notices of the
stream (`delete`, `limit`, ...) and of Gnip (`info`) are no records and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig
from adapters.sources.columns import recast
from adapters.sources.reading.adapter import DocumentAdapter, Found, of_value
from adapters.sources.twitter.tweet import (
    TABLES,
    medium_item,
    status_in,
    tweet_item,
    user_item,
)
from adapters.sources.twitter.v1_fields import ACTIVITY, V1_MEDIUM, V1_TWEET, V1_USER

EXPECTED = "expected a v1.1 tweet (id_str and text), a list of them, `statuses` or an activity"
_NOTICES = {
    "delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect",
    "warning", "friends", "friends_str", "event", "info", "control",
}  # fmt: skip
_TWEET_SIGNS = (
    "entities", "retweet_count", "favorite_count", "in_reply_to_status_id", "truncated",
)  # fmt: skip


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds anything of v1.1."""
    members = value[:5] if isinstance(value, list) else [value]
    return any(
        is_tweet(member)
        or is_activity(member)
        or _is_embed(member)
        or _is_medium(member)
        or any(is_tweet(x) or is_activity(x) for x in _inside(member)[:5])
        for member in members
    )


def items_in(value: Any) -> Iterator[Found]:
    """Yield what a document holds, and a RecordError for everything that is nothing known."""
    if isinstance(value, list):
        for member in value:
            yield from items_in(member)
    elif inside := _inside(value):
        yield from items_in(inside)
    elif is_activity(value):
        yield from _activities_in(value)
    elif is_tweet(value):
        yield from tweets_in(value)
    elif _is_user(value):
        yield user_item(V1_USER(value), value)
        if is_tweet(status := value.get("status")):
            yield from tweets_in({"user": {**value, "status": None}, **status}, is_inner=True)
    elif _is_embed(value):
        yield tweet_item(_EMBED(value), value)
    elif _is_medium(value):
        owner = status_in(value.get("expanded_url"))
        yield medium_item(V1_MEDIUM(value) | {"post_id": owner}, value)
    elif not _is_nothing(value):
        yield RecordError(EXPECTED)


def tweets_in(value: dict[str, Any], is_inner: bool = False) -> Iterator[Found]:
    """Yield a tweet and the tweets inside of it, the outer one first."""
    yield tweet_item(V1_TWEET(value), value, is_inner)
    for name in ("retweeted_status", "quoted_status"):
        if isinstance(inner := value.get(name), dict):
            yield from tweets_in(inner, is_inner=True)


def _activities_in(value: dict[str, Any], is_inner: bool = False) -> Iterator[Found]:
    """Yield an activity and those inside of it: a `share` is a retweet of its `object`."""
    yield tweet_item(ACTIVITY(value), value, is_inner)
    original = value.get("object") if value.get("verb") == "share" else None
    if isinstance(original, dict) and is_activity(original):
        yield from _activities_in(original, is_inner=True)
    if isinstance(quoted := value.get("twitter_quoted_status"), dict):
        yield from _activities_in(quoted, is_inner=True)


def _of_embed(fields: dict[str, Any]) -> dict[str, Any]:
    address = as_text(fields.get("author_url")) or ""
    name = as_text(address.rstrip("/").rpartition("/")[2])
    author = {"name": name, "display_name": fields.get("display_name")}
    return fields | {"id": status_in(fields.get("url")), "author": [author]}


_EMBED = recast(
    "url = url\ntext = html:html\nauthor_url = author_url\ndisplay_name = author_name", _of_embed
)


# ---- Shapes ------------------------------------------------------------------------------------


def is_activity(value: Any) -> bool:
    """Tell whether a value is an activity of Twitter."""
    return (
        isinstance(value, dict)
        and value.get("objectType") == "activity"
        and isinstance(value.get("actor"), dict)
    )


def is_tweet(value: Any) -> bool:
    """Tell whether a value is a v1.1 tweet, complete or not."""
    return (
        isinstance(value, dict)
        and "screen_name" not in value
        and ("full_text" in value or "text" in value or isinstance(value.get("user"), dict))
        and ("id_str" in value or isinstance(value.get("id"), int | float))
        and (any(sign in value for sign in _TWEET_SIGNS) or _has_text_and_user(value))
    )


def _has_text_and_user(value: dict[str, Any]) -> bool:
    # A user alone says nothing: other formats have one as well.
    return "user" in value and ("full_text" in value or "text" in value)


def _inside(value: Any) -> list[Any]:
    """Return the members of a container of tweets: a search, a Gnip page, a lookup by id."""
    for name in ("statuses", "results"):
        members = dig(value, name)
        if isinstance(members, list) and members:
            return members
    lookup = dig(value, "id")
    return list(lookup.values()) if isinstance(lookup, dict) else []


def _is_user(value: Any) -> bool:
    return isinstance(value, dict) and "screen_name" in value and "followers_count" in value


def _is_embed(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and as_text(value.get("provider_name")) in ("Twitter", "X")
        and status_in(value.get("url")) is not None
    )


def _is_medium(value: Any) -> bool:
    return isinstance(value, dict) and "media_url" in value and "display_url" in value


def _is_nothing(value: Any) -> bool:
    """Tell whether a value is no record by its nature: empty, or a notice of the stream."""
    if not isinstance(value, dict):
        return False
    return dig(value, "statuses") == [] or (len(value) <= 2 and bool(_NOTICES & value.keys()))


ADAPTERS = (
    DocumentAdapter(
        name="twitter-v1",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
