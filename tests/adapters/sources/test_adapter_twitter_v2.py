"""Twitter API v2: pages and flattened tweets of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    check_survives,
    mutated,
    records,
    write,
)

from adapters.sources.twitter import ADAPTERS

V2 = ADAPTERS[1]


def user(number: int, name: str) -> dict[str, Any]:
    return {
        "id": str(number),
        "username": name,
        "name": f"{name} shown",
        "public_metrics": {"followers_count": 5, "following_count": 6, "tweet_count": 7},
    }


def tweet(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "text": "fish &amp; chips",
        "author_id": "7",
        "created_at": "2017-04-06T15:24:15.000Z",
        "conversation_id": str(number),
        "lang": "en",
        "source": "Pen",
        "public_metrics": {
            "retweet_count": 2,
            "reply_count": 1,
            "like_count": 3,
            "quote_count": 0,
            "impression_count": 90,
        },
        **fields,
    }


VIDEO = {
    "media_key": "7_21",
    "type": "video",
    "preview_image_url": "https://pbs.example/thumb/cover.jpg",
    "duration_ms": 900,
    "width": 40,
    "height": 30,
    "public_metrics": {"view_count": 12},
    "variants": [
        {"content_type": "application/x-mpegURL", "url": "https://v.example/a.m3u8"},
        {"content_type": "video/mp4", "bit_rate": 10, "url": "https://v.example/low.mp4?t=1"},
        {"content_type": "video/mp4", "bit_rate": 99, "url": "https://v.example/top.mp4?t=1"},
    ],
}
PHOTO = {
    "media_key": "3_22",
    "type": "photo",
    "url": "https://pbs.example/media/pic.jpg",
    "width": 4,
    "height": 3,
    "alt_text": "a pic",
}


def page(*tweets: Any, **includes: Any) -> dict[str, Any]:
    return {"data": list(tweets), "includes": includes, "meta": {"result_count": len(tweets)}}


@pytest.mark.parametrize("missing", [name for name in tweet(1) if name != "id"])
def test_every_field_but_the_id_may_be_missing(tmp_path: Path, missing: str):
    value = {name: field for name, field in tweet(1).items() if name != missing}
    write(tmp_path, {"a.json": page(value), "b.json": {"data": {"id": "1", "text": "x"}}})
    assert [r.subject for r in records(V2, tmp_path)] == ["twitter:post:1"] * 2


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_pages_never_raise(tmp_path: Path, value: st.DataObject):
    retweet = tweet(2, referenced_tweets=[{"type": "retweeted", "id": "1"}])
    shown = tweet(3, attachments={"media_keys": ["7_21", "3_22"]}, edit_history_tweet_ids=["3"])
    original = page(retweet, shown, users=[user(7, "A")], media=[PHOTO, VIDEO], tweets=[tweet(1)])
    check_survives(V2, tmp_path, "a.json", value.draw(mutated(original)))
