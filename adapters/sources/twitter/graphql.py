"""Responses of the web application's GraphQL API: it owns finding tweets and users in them.

Timelines, searches, threads and profiles differ in what is around the tweets only, so the whole
response is walked, in order. No records and skipped: cursors, tombstones and other unavailable
tweets (they say nothing but that), and promoted tweets, which are advertisements shown to whoever
collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import dig, first
from adapters.sources.columns import recast
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value
from adapters.sources.twitter.tweet import TABLES, tweet_item, user_item
from adapters.sources.twitter.v1_fields import V1_TWEET

EXPECTED = "expected a GraphQL response of the web application with tweet_results or user results"
_TWEET_NAMES = ("tweet_results", "tweet_result", "tweetResult")
_USER_NAMES = ("user_results", "user_result", "userResult")


def recognises(value: Any) -> bool:
    """Tell whether a JSON value holds a result of the GraphQL API."""
    return any(isinstance(found, Part) for found in items_in(value))


def items_in(value: Any) -> Iterator[Found]:
    """Yield what a response holds, and a RecordError for what is none."""
    if _is_tweet(value):
        yield from _tweets_in(value)
        return
    found = False
    for found in _results_in(value):
        yield found
    if found is False and not _is_response(value):
        yield RecordError(EXPECTED)


def _results_in(value: Any) -> Iterator[Found]:
    if isinstance(value, list):
        for member in value:
            yield from _results_in(member)
    elif isinstance(value, dict) and "promotedMetadata" not in value:
        for name, child in value.items():
            result = dig(child, "result")
            if name in _TWEET_NAMES:
                yield from _tweets_in(result)
            elif name in _USER_NAMES or (name == "user" and _is_user(result)):
                yield from _users_in(result)
            else:
                yield from _results_in(child)


def _users_in(result: Any) -> Iterator[Found]:
    """Yield an account, and what its timelines hold."""
    if isinstance(result, dict):
        user = _USER(result)
        if user.get("name") or user.get("display_name"):
            yield user_item(user, result)
        yield from _results_in(result)


def _tweets_in(result: Any, is_inner: bool = False) -> Iterator[Found]:
    """Yield a tweet and those inside of it, the outer one first; nothing for unavailable ones."""
    tweet = _unwrapped(result)
    if tweet is None:
        return
    yield tweet_item(_tweet(tweet), tweet, is_inner)
    for inner in (_retweeted(tweet), dig(tweet, "quoted_status_result", "result")):
        yield from _tweets_in(inner, is_inner=True)


def _tweet(value: dict[str, Any]) -> dict[str, Any]:
    legacy = value.get("legacy")
    note = dig(value, "note_tweet", "note_tweet_results", "result")
    quoted = _unwrapped(dig(value, "quoted_status_result", "result"))
    retweeted = _unwrapped(_retweeted(value))
    fields = {
        **(legacy if isinstance(legacy, dict) else {}),
        "id_str": first(value.get("rest_id"), dig(legacy, "id_str")),
        "user": None,
        "source": first(value.get("source"), dig(legacy, "source")),
    }
    if note is not None:
        # `full_text` is cut where the tweet is a long one.
        fields["extended_tweet"] = {
            "full_text": dig(note, "text"),
            "entities": dig(note, "entity_set"),
        }
    if retweeted is not None:
        fields["retweeted_status"] = {"id_str": retweeted.get("rest_id")}
    fields["quoted_status"] = {
        "id_str": first(dig(quoted, "rest_id"), dig(value, "quotedRefResult", "result", "rest_id"))
    }
    tweet, more = V1_TWEET(fields), _MORE(value)
    author = [user for user in more.get("author", ()) if user.get("id") or user.get("name")]
    return tweet | more | {"author": author or tweet["author"]}


# Newer responses moved most fields of an account out of `legacy`.
_USER = recast("""
    id = rest_id:id
    name = core.screen_name|legacy.screen_name
    display_name = core.name|legacy.name
    follower_count = relationship_counts.followers|legacy.followers_count
    following_count = relationship_counts.following|legacy.friends_count
    post_count = tweet_counts.tweets|legacy.statuses_count
    bio = profile_bio.description|legacy.description
    is_verified = is_blue_verified|verification.verified|legacy.verified
    joined = core.created_at|legacy.created_at
    home = location.location|legacy.location
""")
_MORE = recast(
    """
    author = core.user_results.result > user
    view_count = views.count
    versions[] = edit_control.edit_control_initial.edit_tweet_ids[]:id \
        |edit_control.edit_tweet_ids[]:id
    """,
    user=_USER,
)


def _unwrapped(result: Any) -> dict[str, Any] | None:
    """Return the tweet of a result, also when a note about its visibility is around it."""
    if isinstance(dig(result, "tweet"), dict):
        result = dig(result, "tweet")
    return result if _is_tweet(result) else None


def _retweeted(value: dict[str, Any]) -> Any:
    inside = dig(value, "legacy", "retweeted_status_result", "result")
    return first(inside, dig(value, "retweeted_status_result", "result"))


def _is_tweet(value: Any) -> bool:
    is_named = dig(value, "__typename") == "Tweet" and "rest_id" in value
    return is_named or dig(value, "legacy", "full_text") is not None


def _is_user(value: Any) -> bool:
    return dig(value, "__typename") in ("User", "UserUnavailable")


def _is_response(value: Any) -> bool:
    """Tell whether a value without tweets and users still is what this API sends."""
    return isinstance(dig(value, "data"), dict) or "entryId" in (
        value if isinstance(value, dict) else {}
    )


ADAPTERS = (
    DocumentAdapter(
        name="twitter-graphql",
        tables=TABLES,
        split=of_value(items_in),
        expected=EXPECTED,
        recognise=recognises,
    ),
)
