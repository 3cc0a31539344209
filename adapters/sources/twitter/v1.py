"""Twitter API v1.1: it owns tweets and users as the REST and streaming APIs wrote them.

Takes one tweet, a list, `statuses` of a search, JSON Lines, Gnip activities (activity.py), embedded
codes and lone media. Inner tweets (retweeted, quoted) are records of their own. Notices of the
stream (`delete`, `limit`, ...) and of Gnip (`info`) are no records and skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_id, as_text, dig, first, text_of_html
from adapters.sources.reading.adapter import DocumentAdapter, Found, of_value
from adapters.sources.twitter.activity import activities_in, is_activity
from adapters.sources.twitter.tweet import (
    TABLES,
    LoneMedium,
    Tweet,
    User,
    client_of,
    item,
    pages_in,
    plain,
    status_in,
)
from adapters.sources.twitter.v1_parts import (
    entities,
    hashtags_of,
    media_of,
    mentions_of,
    parse_medium,
    parse_user,
)

EXPECTED = "expected a v1.1 tweet (id_str and text), a list of them, `statuses` or an activity"
_NOTICES = {
    "delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect",
    "warning", "friends", "friends_str", "event", "info", "control",
}  # fmt: skip
_TWEET_SIGNS = (
    "user", "entities", "retweet_count", "favorite_count", "in_reply_to_status_id", "truncated",
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
        for activity in activities_in(value):
            yield _item(activity.fields, activity.raw, activity.is_inner)
    elif is_tweet(value):
        yield from tweets_in(value)
    elif _is_user(value):
        yield item(parse_user(value), value)
        if is_tweet(status := value.get("status")):
            yield from tweets_in({"user": {**value, "status": None}, **status}, is_inner=True)
    elif _is_embed(value):
        yield item(_tweet_of_embed(value), value)
    elif _is_medium(value):
        yield _lone_medium(value)
    elif not _is_nothing(value):
        yield RecordError(EXPECTED)


def tweets_in(value: dict[str, Any], is_inner: bool = False) -> Iterator[Found]:
    """Yield a tweet and the tweets inside of it, the outer one first."""
    yield _item(value, value, is_inner)
    for name in ("retweeted_status", "quoted_status"):
        if isinstance(inner := value.get(name), dict):
            yield from tweets_in(inner, is_inner=True)


def _item(fields: dict[str, Any], raw: Any, is_inner: bool) -> Found:
    try:
        return item(parse_tweet(fields), raw, is_inner)
    except RecordError as error:
        return error


def parse_tweet(value: dict[str, Any]) -> Tweet:
    """Understand one v1.1 tweet, also the `legacy` part of GraphQL; RecordError without an id."""
    tweet_id = as_id(first(value.get("id_str"), value.get("id")))
    if tweet_id is None:
        raise RecordError("the tweet has no usable id; expected digits in id_str or id")
    extended = dig(value, "extended_tweet")
    whole = extended if isinstance(extended, dict) else {}
    repost_of = _id_of(value, "retweeted_status")
    reply_to = as_id(
        first(value.get("in_reply_to_status_id_str"), value.get("in_reply_to_status_id"))
    )
    known = as_id(first(value.get("conversation_id_str"), value.get("conversation_id")))
    return Tweet(
        id=tweet_id,
        text=plain(first(whole.get("full_text"), value.get("full_text"), value.get("text"))),
        created=parse_time(value.get("created_at")),
        author=parse_user(first(value.get("user"), {"id_str": value.get("user_id_str")})),
        # What answers nothing begins a conversation of its own, though v1.1 does not say so.
        conversation_id=known or (None if _answers(value) else tweet_id),
        reply_to=reply_to,
        repost_of=repost_of,
        quote_of=None if repost_of else _quoted(value),
        media=() if isinstance(value.get("retweeted_status"), dict) else media_of(value),
        hashtags=hashtags_of(value),
        mentions=mentions_of(value),
        pages=pages_in(first(u.get("expanded_url"), u.get("url")) for u in entities(value, "urls")),
        columns=_columns(value),
    )


def _columns(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "language": as_text(value.get("lang")),
        "favorite_count": as_count(value.get("favorite_count")),
        "retweet_count": as_count(value.get("retweet_count")),
        "reply_count": as_count(value.get("reply_count")),
        "quote_count": as_count(value.get("quote_count")),
        "bookmark_count": as_count(value.get("bookmark_count")),
        "is_sensitive": as_boolean(value.get("possibly_sensitive")),
        "client": client_of(value.get("source")),
    }


def _answers(value: dict[str, Any]) -> bool:
    names = ("in_reply_to_status_id_str", "in_reply_to_status_id")
    return any(value.get(name) not in (None, "") for name in names)


def _id_of(value: dict[str, Any], name: str) -> str | None:
    inner = dig(value, name)
    return as_id(first(dig(inner, "id_str"), dig(inner, "id")))


def _quoted(value: dict[str, Any]) -> str | None:
    said = as_id(first(value.get("quoted_status_id_str"), value.get("quoted_status_id")))
    return said or _id_of(value, "quoted_status")


# ---- Shapes ------------------------------------------------------------------------------------


def is_tweet(value: Any) -> bool:
    """Tell whether a value is a v1.1 tweet, complete or not."""
    return (
        isinstance(value, dict)
        and "screen_name" not in value
        and ("full_text" in value or "text" in value or isinstance(value.get("user"), dict))
        and ("id_str" in value or isinstance(value.get("id"), int | float))
        and any(sign in value for sign in _TWEET_SIGNS)
    )


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


def _tweet_of_embed(value: dict[str, Any]) -> Tweet:
    address = as_text(value.get("author_url")) or ""
    name = as_text(address.rstrip("/").rpartition("/")[2])
    return Tweet(
        id=status_in(value.get("url")) or "",
        text=text_of_html(value.get("html")),
        author=User(name=name, display_name=as_text(value.get("author_name"))),
    )


def _lone_medium(value: dict[str, Any]) -> Found:
    medium = parse_medium(value)
    if medium is None:
        return RecordError("the medium has no usable id; expected digits in id_str or id")
    return item(LoneMedium(medium, status_in(value.get("expanded_url"))), value)


ADAPTERS = (
    DocumentAdapter(
        name="twitter-v1",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
