"""Twitter API v1.1 and Gnip: quirks on values of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    check_survives,
    mutated,
    positions,
    records,
    write,
)

from adapters.sources.twitter import ADAPTERS

V1 = ADAPTERS[0]
BIG = 9_007_199_254_740_993  # 2**53 + 1: a float cannot hold it


def user(number: int = 7, name: str = "Ada_L") -> dict[str, Any]:
    return {
        "id": number,
        "id_str": str(number),
        "screen_name": name,
        "name": f"{name} shown",
        "followers_count": 5,
        "friends_count": 6,
        "statuses_count": 7,
    }


def tweet(tweet_id: int = BIG, **fields: Any) -> dict[str, Any]:
    return {
        "id": float(tweet_id),  # as a browser would have written it
        "id_str": str(tweet_id),
        "created_at": "Thu Apr 06 15:24:15 +0000 2017",
        "text": "fish &amp; chips",
        "source": '<a href="https://example.org" rel="nofollow">Pen</a>',
        "user": user(),
        "retweet_count": 2,
        "favorite_count": 3,
        "lang": "en",
        "entities": {"hashtags": [], "urls": [], "user_mentions": []},
        **fields,
    }


def photo(number: int, name: str) -> dict[str, Any]:
    return {
        "id_str": str(number),
        "type": "photo",
        "media_url_https": f"https://pbs.example/media/{name}.jpg",
        "sizes": {"large": {"w": 40, "h": 30}},
        "ext_alt_text": f"shows {name}",
    }


def test_hostile_media_names_find_nothing(tmp_path: Path):
    inside = tmp_path / "inside"
    write(tmp_path, {"secret.jpg": b"s", "inside/a.json": "{}"})
    bad = {**photo(5, "x"), "media_url_https": "https://e.example/../secret.jpg"}
    worse = {**photo(6, "x"), "media_url_https": "http://[..\\..\\secret.jpg"}
    write(inside, {"a.json": tweet(1, extended_entities={"media": [bad, worse]})})
    [record] = records(V1, inside)
    assert positions(record) == [(0, "twitter:media:5"), (1, "twitter:media:6")]


def activity(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"tag:search.twitter.com,2005:{number}",
        "objectType": "activity",
        "verb": "post",
        "actor": {
            "id": "id:twitter.com:7",
            "preferredUsername": "Ada_L",
            "displayName": "Ada_L shown",
            "followersCount": 5,
            "friendsCount": 6,
            "statusesCount": 7,
        },
        "postedTime": "2017-04-06T15:24:15.000Z",
        "generator": {"displayName": "Pen", "link": "https://example.org"},
        "body": "fish &amp; chips",
        "object": {"objectType": "note", "id": f"object:search.twitter.com,2005:{number}"},
        "favoritesCount": 3,
        "retweetCount": 2,
        "twitter_lang": "en",
        "twitter_entities": {"hashtags": [], "urls": [], "user_mentions": []},
        **fields,
    }


@pytest.mark.parametrize("missing", [*tweet(1)])
def test_every_field_but_the_id_may_be_missing(tmp_path: Path, missing: str):
    value = {name: field for name, field in tweet(1).items() if name != missing}
    value["id"] = 1
    write(tmp_path, {"a.json": value})
    [record] = records(V1, tmp_path)
    assert record.subject == "twitter:post:1"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_tweets_never_raise(tmp_path: Path, value: st.DataObject):
    original = tweet(1, extended_entities={"media": [photo(41, "p")]}, quoted_status=tweet(2))
    original["entities"]["user_mentions"] = [{"id_str": "8", "screen_name": "Bob"}]
    check_survives(V1, tmp_path, "a.json", value.draw(mutated([original, activity(3)])))
