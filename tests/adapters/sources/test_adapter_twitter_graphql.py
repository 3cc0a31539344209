"""The web's GraphQL API: responses of our own, and the same tweet in three APIs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_adapter_twitter_v1 as old
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    check_survives,
    mutated,
    records,
    write,
)

from adapters.sources.twitter import ADAPTERS

V1, V2, GRAPHQL = ADAPTERS[0], ADAPTERS[1], ADAPTERS[2]


def user(number: int = 7, name: str = "Ada_L") -> dict[str, Any]:
    """An account as newer responses have it, with its fields moved out of `legacy`."""
    return {
        "__typename": "User",
        "rest_id": str(number),
        "core": {"screen_name": name, "name": f"{name} shown", "created_at": "x"},
        "avatar": {"image_url": "https://pbs.example/a.jpg"},
        "relationship_counts": {"followers": 5, "following": 6},
        "tweet_counts": {"tweets": 7},
        "legacy": {},
    }


def tweet(number: int, by: dict[str, Any] | None = None, **legacy: Any) -> dict[str, Any]:
    return {
        "__typename": "Tweet",
        "rest_id": str(number),
        "core": {"user_results": {"result": by or user()}},
        "views": {"count": "90", "state": "EnabledWithCount"},
        "source": '<a href="https://example.org" rel="nofollow">Pen</a>',
        "edit_control": {"edit_tweet_ids": [str(number)]},
        "legacy": {
            "id_str": str(number),
            "created_at": "Thu Apr 06 15:24:15 +0000 2017",
            "full_text": "fish &amp; chips",
            "conversation_id_str": str(number),
            "lang": "en",
            "retweet_count": 2,
            "reply_count": 1,
            "favorite_count": 3,
            "quote_count": 0,
            "entities": {"hashtags": [], "urls": [], "user_mentions": []},
            **legacy,
        },
    }


def entry(result: Any, name: str = "tweet-1", **content: Any) -> dict[str, Any]:
    item = {"itemType": "TimelineTweet", "tweet_results": {"result": result}, **content}
    return {"entryId": name, "content": {"itemContent": item}}


def response(*entries: dict[str, Any]) -> dict[str, Any]:
    instructions = [
        {"type": "TimelineClearCache"},
        {"type": "TimelineAddEntries", "entries": list(entries)},
    ]
    timeline = {"timeline": {"instructions": instructions}}
    return {"data": {"user": {"result": {"__typename": "User", "timeline": timeline}}}}


@pytest.mark.parametrize("missing", ["core", "views", "legacy", "source", "edit_control"])
def test_every_part_but_the_id_may_be_missing(tmp_path: Path, missing: str):
    value = {name: part for name, part in tweet(1).items() if name != missing}
    write(tmp_path, {"a.json": response(entry(value))})
    [record] = records(GRAPHQL, tmp_path)
    assert record.subject == "twitter:post:1"


# ---- The same tweet in three APIs --------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_responses_never_raise(tmp_path: Path, value: st.DataObject):
    quote = tweet(3, extended_entities={"media": [old.photo(41, "p")]})
    quote["quoted_status_result"] = {"result": {"tweet": tweet(1)}}
    original = response(entry(quote), entry(tweet(2, retweeted_status_result={"result": quote})))
    check_survives(GRAPHQL, tmp_path, "a.json", value.draw(mutated(original)))
