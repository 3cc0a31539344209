"""Twitter API v2: pages and flattened tweets of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    about,
    check_survives,
    edges,
    known,
    mutated,
    positions,
    problems,
    records,
    write,
)

from adapters.records.folder import ScrapeFolder
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


def test_pages_of_lines_with_what_they_include(tmp_path: Path):
    shown = tweet(1, attachments={"media_keys": ["7_21", "3_22"]})
    one = page(shown, users=[user(7, "Ada_L"), user(8, "Bob")], media=[PHOTO, VIDEO])
    write(tmp_path, {"a.jsonl": json.dumps(one) + "\n" + json.dumps(page(tweet(2)))})
    first, bob, second = records(V2, tmp_path)
    node = "twitter:post:1"
    assert [r.number for r in (first, bob, second)] == [0, 1, 2]
    said = about(first, node)
    assert (said.title, said.view) == ("fish & chips", 90)
    assert known(said) == {
        "post_id": "1",
        "conversation_id": "1",
        "language": "en",
        "favorite_count": 3,
        "retweet_count": 2,
        "reply_count": 1,
        "quote_count": 0,
        "client": "Pen",
    }
    assert edges(first) == {
        ("twitter:user:7", "authored", node),
        ("twitter:user:7", "alias", "twitter:username:ada_l"),
        (node, "contains", "twitter:media:21"),
        (node, "contains", "twitter:media:22"),
        ("twitter:conversation:1", "conversation", node),
    }
    assert positions(first) == [(0, "twitter:media:21"), (1, "twitter:media:22")]
    video = about(first, "twitter:media:21")
    assert (video.is_root, video.view) == (True, 12)
    assert known(video) == {
        "post_id": "1",
        "media_id": "21",
        "media_type": "video",
        "media_url": "https://v.example/top.mp4?t=1",
        "duration_ms": 900,
        "width": 40,
        "height": 30,
    }
    assert first.complete == {
        "data": shown,
        "includes": {"users": [user(7, "Ada_L")], "media": [VIDEO, PHOTO]},
    }
    assert bob.subject == "twitter:user:8"
    assert second.subject == "twitter:post:2" and second.complete == tweet(2)


def test_files_of_media_by_key_id_and_variant(tmp_path: Path):
    shown = tweet(1, attachments={"media_keys": ["7_21", "3_22"]})
    files = {"a.json": page(shown, media=[VIDEO, PHOTO]), "low.mp4": b"l", "3_22.jpg": b"p"}
    write(tmp_path, files)
    [record] = records(V2, tmp_path)
    assert positions(record) == [(0, "file low.mp4"), (1, "file 3_22.jpg")]


def test_references_that_the_page_lacks_are_still_nodes(tmp_path: Path):
    one = tweet(
        1,
        referenced_tweets=[{"type": "replied_to", "id": "4"}, {"type": "quoted", "id": "5"}],
        attachments={"media_keys": ["3_99"]},
        entities={
            "hashtags": [{"tag": "Sea"}],
            "mentions": [{"username": "bob"}, {"username": "Zoe", "id": "9"}, {"username": "Eve"}],
            "urls": [
                {"expanded_url": "https://example.org/x"},
                {"expanded_url": "https://twitter.com/Ada_L/status/1/photo/1"},
            ],
        },
    )
    missing = {"resource_type": "tweet", "title": "Not Found Error", "value": "5"}
    write(tmp_path, {"a.json": {**page(one, users=[user(8, "Bob")]), "errors": [missing]}})
    record, _bob = records(V2, tmp_path)
    node = "twitter:post:1"
    assert edges(record) == {
        ("twitter:user:7", "authored", node),
        (node, "contains", "twitter:media:99"),
        ("twitter:post:4", "reply", node),
        ("twitter:post:5", "quote", node),
        ("twitter:conversation:1", "conversation", node),
        ("twitter:tag:sea", "tagged", node),
        (node, "mentioned", "twitter:user:8"),  # the page knows who bob is
        ("twitter:user:8", "alias", "twitter:username:bob"),
        (node, "mentioned", "twitter:user:9"),
        ("twitter:user:9", "alias", "twitter:username:zoe"),
        (node, "mentioned", "twitter:username:eve"),
        (node, "linked", "web:page:https://example.org/x"),
    }
    assert about(record, "twitter:media:99").meta["media_type"] == "photo"


def test_a_retweet_without_its_original_gives_the_media_to_that(tmp_path: Path):
    retweet = tweet(
        2,
        referenced_tweets=[{"type": "retweeted", "id": "1"}],
        attachments={"media_keys": ["3_22"]},
    )
    write(tmp_path, {"a.json": page(retweet, media=[PHOTO])})
    [record] = records(V2, tmp_path)
    assert ("twitter:post:1", "contains", "twitter:media:22") in edges(record)
    assert ("twitter:post:1", "repost", "twitter:post:2") in edges(record)
    assert known(about(record, "twitter:media:22"))["post_id"] == "1"


def test_included_tweets_are_records_once(tmp_path: Path):
    retweet = tweet(2, referenced_tweets=[{"type": "retweeted", "id": "1"}])
    original = tweet(1, author_id="8", attachments={"media_keys": ["3_22"]})
    one = page(retweet, tweets=[original, retweet, original], users=[user(8, "Bob")], media=[PHOTO])
    write(tmp_path, {"a.json": one})
    found = records(V2, tmp_path)
    assert [r.subject for r in found] == ["twitter:post:2", "twitter:post:1"]
    assert positions(found[1]) == [(0, "twitter:media:22")]
    assert about(found[1], "twitter:user:8").title == "Bob shown"


def test_flattened_tweets(tmp_path: Path):
    original = {**tweet(1), "author": user(8, "Bob"), "author_id": "8"}
    flat = {
        **tweet(2),
        "author": user(7, "Ada_L"),
        "attachments": {"media_keys": ["3_22"], "media": [PHOTO]},
        "referenced_tweets": [{"type": "quoted", **original}],
        "__twarc": {"version": "2.0"},
    }
    write(tmp_path, {"flat.json": json.dumps(flat) + "\n" + json.dumps(tweet(3))})
    found = records(V2, tmp_path)
    assert [r.subject for r in found] == [f"twitter:post:{number}" for number in (2, 1, 3)]
    assert positions(found[0]) == [(0, "twitter:media:22")]
    assert ("twitter:post:1", "quote", "twitter:post:2") in edges(found[0])
    assert ("twitter:user:8", "authored", "twitter:post:1") in edges(found[1])
    assert V2.sniff(ScrapeFolder.of(str(tmp_path))).confidence >= 0.8


def test_versions_of_an_edited_tweet_and_long_texts(tmp_path: Path):
    edited = tweet(
        12,
        edit_history_tweet_ids=["11", "12", "13"],
        note_tweet={"text": "all of it", "entities": {"hashtags": [{"tag": "End"}]}},
    )
    write(tmp_path, {"a.json": {"data": edited}})
    [record] = records(V2, tmp_path)
    assert {edge for edge in edges(record) if edge[1] == "revision"} == {
        ("twitter:post:11", "revision", "twitter:post:12"),
        ("twitter:post:12", "revision", "twitter:post:13"),
    }
    assert about(record, "twitter:post:12").title == "all of it"
    assert known(about(record, "twitter:post:12"))["hashtags"] == ["End"]


def test_what_is_no_tweet_is_a_problem(tmp_path: Path):
    lines = [
        {"data": [{"start": "a", "end": "b", "tweet_count": 4}], "meta": {}},
        {"errors": [{"title": "Not Found Error", "detail": "Could not find tweet 5."}]},
        {"meta": {"result_count": 0}},
        page(tweet(1), {"id": "x", "text": "y"}),
    ]
    text = "\n".join(map(json.dumps, lines)) + "\n{broken\n"
    write(tmp_path, {"a.jsonl": text, "b.json": [1, 2]})
    assert [(p.path, p.number, p.reason) for p in problems(V2, tmp_path)] == [
        ("a.jsonl", 0, "line 1: a page of tweet counts; it holds no tweets"),
        ("a.jsonl", 1, "line 2: only errors in it: Could not find tweet 5."),
        ("a.jsonl", 3, "line 4: the tweet has no usable id; expected digits in id"),
        (
            "a.jsonl",
            4,
            "line 5: no valid JSON: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
        ),
        ("b.json", 0, "expected a v2 page (data, includes), or flattened v2 tweets"),
        ("b.json", 1, "expected a v2 page (data, includes), or flattened v2 tweets"),
    ]


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
