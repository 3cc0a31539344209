"""Twitter API v1.1 and Gnip: quirks on values of our own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
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
    outputs,
    positions,
    problems,
    records,
    write,
)

from adapters.records.folder import ScrapeFolder
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


def test_a_tweet_has_its_exact_id_its_columns_and_its_author(tmp_path: Path):
    write(tmp_path, {"any name.json": tweet()})
    [record] = records(V1, tmp_path)
    node = f"twitter:post:{BIG}"
    assert (record.path, record.number, record.complete) == ("any name.json", -1, None)
    said = about(record, node)
    assert (said.title, said.view, said.is_root) == ("fish & chips", None, False)
    assert said.update_time == datetime(2017, 4, 6, 15, 24, 15, tzinfo=UTC)
    assert said.author == "twitter:user:7"
    assert known(said) == {
        "post_id": str(BIG),
        "conversation_id": str(BIG),
        "language": "en",
        "favorite_count": 3,
        "retweet_count": 2,
        "client": "Pen",
    }
    assert known(about(record, "twitter:user:7")) == {
        "user_id": "7",
        "user_name": "Ada_L",
        "display_name": "Ada_L shown",
        "follower_count": 5,
        "following_count": 6,
        "post_count": 7,
    }
    assert edges(record) == {
        ("twitter:user:7", "authored", node),
        ("twitter:user:7", "alias", "twitter:username:ada_l"),
        (f"twitter:conversation:{BIG}", "conversation", node),
    }


def test_an_id_that_a_float_has_spoilt_is_a_problem(tmp_path: Path):
    broken = tweet()
    del broken["id_str"]
    write(tmp_path, {"a.json": [broken, tweet(8)]})
    [problem] = problems(V1, tmp_path)
    assert (problem.path, problem.number) == ("a.json", 0)
    assert "id_str" in problem.reason
    assert [item.number for item in outputs(V1, tmp_path)] == [0, 1]


@pytest.mark.parametrize(
    "value",
    [
        [tweet(1), tweet(2)],
        {"statuses": [tweet(1), tweet(2)], "search_metadata": {}},
        {"results": [tweet(1), tweet(2)], "next": "x"},
        "\n".join(json.dumps(tweet(number)) for number in (1, 2)),
        "\ufeff" + json.dumps([tweet(1), tweet(2)]),
        json.dumps([tweet(1), tweet(2)]).encode("utf-16"),
    ],
)
def test_every_container_is_read(tmp_path: Path, value: Any):
    write(tmp_path, {"a.json": value})
    found = records(V1, tmp_path)
    assert [(r.subject, r.number) for r in found] == [
        ("twitter:post:1", 0),
        ("twitter:post:2", 1),
    ]
    assert found[0].complete["id_str"] == "1"
    assert V1.sniff(ScrapeFolder.of(str(tmp_path))).confidence >= 0.8


def test_a_broken_line_costs_itself_and_is_named(tmp_path: Path):
    lines = [json.dumps(tweet(1)), '{"id_str": "2", "te', json.dumps(tweet(3))]
    write(tmp_path, {"a.json": "\n".join(lines)})
    found = outputs(V1, tmp_path)
    assert [getattr(item, "subject", None) for item in found] == [
        "twitter:post:1",
        None,
        "twitter:post:3",
    ]
    assert problems(V1, tmp_path)[0].reason.startswith("line 2: no valid JSON")


def test_notices_of_the_stream_are_no_records_and_other_json_is_a_problem(tmp_path: Path):
    lines = [
        {"delete": {"status": {"id_str": "4", "user_id_str": "7"}}},
        {"limit": {"track": 9}},
        tweet(1),
    ]
    write(tmp_path, {"a.jsonl": "\n".join(map(json.dumps, lines)), "b.json": {"cars": 3}})
    assert len(outputs(V1, tmp_path)) == 2
    [problem] = problems(V1, tmp_path)
    assert problem.path == "b.json" and "v1.1" in problem.reason


def test_the_whole_text_and_all_media_win_over_the_cut_ones(tmp_path: Path):
    media = [photo(11, "one"), photo(12, "two")]
    cut = tweet(1, text="cut…", truncated=True, entities={"media": media[:1]})
    cut["extended_tweet"] = {
        "full_text": "all of it #Sea",
        "entities": {"hashtags": [{"text": "Sea"}, {"text": "Sea"}], "media": media[:1]},
        "extended_entities": {"media": media},
    }
    whole = tweet(2, full_text="complete", entities={"media": media[:1]})
    whole["extended_entities"] = {"media": media}
    write(tmp_path, {"a.json": [cut, whole], "two.jpg": b"jpg"})
    first, second = records(V1, tmp_path)
    assert about(first, "twitter:post:1").title == "all of it #Sea"
    assert about(first, "twitter:post:1").meta["hashtags"] == ["Sea"]
    assert ("twitter:tag:sea", "tagged", "twitter:post:1") in edges(first)
    assert about(second, "twitter:post:2").title == "complete"
    for record in (first, second):
        assert positions(record) == [(0, "twitter:media:11"), (1, "file two.jpg")]
    shown = about(first, "file two.jpg")
    assert (shown.is_root, shown.title, shown.view) == (True, "all of it #Sea", None)
    assert known(shown) == {
        "post_id": "1",
        "media_id": "12",
        "media_type": "photo",
        "media_url": "https://pbs.example/media/two.jpg",
        "alt_text": "shows two",
        "width": 40,
        "height": 30,
    }


def test_the_best_video_is_the_medium_and_other_files_hang_on_it(tmp_path: Path):
    video = {
        "id_str": "21",
        "type": "video",
        "media_url_https": "https://pbs.example/thumb/cover.jpg",
        "video_info": {
            "duration_millis": 900,
            "variants": [
                {"content_type": "application/x-mpegURL", "url": "https://v.example/a.m3u8"},
                {
                    "content_type": "video/mp4",
                    "bitrate": 10,
                    "url": "https://v.example/low.mp4?t=1",
                },
                {
                    "content_type": "video/mp4",
                    "bitrate": 99,
                    "url": "https://v.example/top.mp4?t=1",
                },
            ],
        },
    }
    one = tweet(1, extended_entities={"media": [video]})
    write(tmp_path, {"a.json": one, "top.mp4": b"t", "low.mp4": b"l", "cover.jpg": b"c"})
    [record] = records(V1, tmp_path)
    assert known(about(record, "file top.mp4")) == {
        "post_id": "1",
        "media_id": "21",
        "media_type": "video",
        "media_url": "https://v.example/top.mp4?t=1",
        "duration_ms": 900,
    }
    assert {edge for edge in edges(record) if "file" in edge[2]} == {
        ("twitter:post:1", "contains", "file top.mp4"),
        ("file top.mp4", "variant", "file low.mp4"),
        ("file top.mp4", "thumbnail", "file cover.jpg"),
    }


@pytest.mark.parametrize("name", ["pic.jpg", "1_1.jpg", "31.png", "1-pic.jpg", "deep/pic.jpg"])
def test_media_are_found_by_the_names_that_scrapers_give(tmp_path: Path, name: str):
    write(tmp_path, {"a.json": tweet(1, entities={"media": [photo(31, "pic")]}), name: b"x"})
    [record] = records(V1, tmp_path)
    assert positions(record) == [(0, f"file {name}")]


def test_hostile_media_names_find_nothing(tmp_path: Path):
    inside = tmp_path / "inside"
    write(tmp_path, {"secret.jpg": b"s", "inside/a.json": "{}"})
    bad = {**photo(5, "x"), "media_url_https": "https://e.example/../secret.jpg"}
    worse = {**photo(6, "x"), "media_url_https": "http://[..\\..\\secret.jpg"}
    write(inside, {"a.json": tweet(1, extended_entities={"media": [bad, worse]})})
    [record] = records(V1, inside)
    assert positions(record) == [(0, "twitter:media:5"), (1, "twitter:media:6")]


def test_retweets_and_quotes_hold_records_of_their_own(tmp_path: Path):
    original = tweet(1, user=user(8, "Bob"), extended_entities={"media": [photo(41, "p")]})
    retweet = tweet(2, retweeted_status=original, text="RT @Bob: fish…")
    retweet["extended_entities"] = {"media": [photo(41, "p")]}
    quote = tweet(3, quoted_status=original, quoted_status_id_str="1")
    quote["entities"]["urls"] = [{"expanded_url": "https://twitter.com/Bob/status/1"}]
    write(tmp_path, {"a.json": [retweet, quote]})
    found = records(V1, tmp_path)
    # The original inside of both is one record.
    assert [r.subject for r in found] == ["twitter:post:2", "twitter:post:1", "twitter:post:3"]
    assert ("twitter:post:1", "repost", "twitter:post:2") in edges(found[0])
    assert ("twitter:post:1", "quote", "twitter:post:3") in edges(found[2])
    assert positions(found[0]) == [] and positions(found[1]) == [(0, "twitter:media:41")]
    assert about(found[1], "twitter:media:41").author == "twitter:user:8"
    assert not any(relationship == "linked" for _, relationship, _ in edges(*found))


def test_replies_mentions_and_links(tmp_path: Path):
    reply = tweet(
        5,
        in_reply_to_status_id=float(4),
        in_reply_to_status_id_str="4",
        entities={
            "user_mentions": [{"id_str": "8", "screen_name": "Bob"}, {"screen_name": "Zoe"}],
            "urls": [{"expanded_url": "https://example.org/x", "url": "https://t.co/1"}],
        },
    )
    write(tmp_path, {"a.json": reply})
    [record] = records(V1, tmp_path)
    node = "twitter:post:5"
    assert edges(record) == {
        ("twitter:user:7", "authored", node),
        ("twitter:user:7", "alias", "twitter:username:ada_l"),
        ("twitter:post:4", "reply", node),
        (node, "mentioned", "twitter:user:8"),
        ("twitter:user:8", "alias", "twitter:username:bob"),
        (node, "mentioned", "twitter:username:zoe"),
        (node, "linked", "web:page:https://example.org/x"),
    }
    # v1.1 does not say which conversation a reply is in.
    assert known(about(record, node)).get("conversation_id") is None


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


def test_a_gnip_activity_says_what_the_tweet_says(tmp_path: Path):
    write(tmp_path / "one", {"a.json": tweet(9)})
    write(tmp_path / "two", {"a.json": activity(9)})
    [as_tweet], [as_activity] = records(V1, tmp_path / "one"), records(V1, tmp_path / "two")
    assert as_activity.observations == as_tweet.observations
    assert as_activity.links == as_tweet.links


def test_gnip_shares_quotes_replies_and_long_texts(tmp_path: Path):
    original = activity(
        1,
        long_object={
            "body": "the whole text",
            "twitter_entities": {"hashtags": [{"text": "Long"}]},
            "twitter_extended_entities": {"media": [photo(51, "p")]},
        },
    )
    share = activity(2, verb="share", object=original, body="RT @Ada_L: the wh…")
    quote = activity(3, twitter_quoted_status=activity(4))
    reply = activity(5, inReplyTo={"link": "http://twitter.com/bob/statuses/6"})
    write(tmp_path, {"a.jsonl": "\n".join(map(json.dumps, [share, quote, reply]))})
    found = records(V1, tmp_path)
    assert [r.subject for r in found] == [f"twitter:post:{n}" for n in (2, 1, 3, 4, 5)]
    assert about(found[1], "twitter:post:1").title == "the whole text"
    assert positions(found[1]) == [(0, "twitter:media:51")]
    every = edges(*found)
    assert ("twitter:post:1", "repost", "twitter:post:2") in every
    assert ("twitter:post:4", "quote", "twitter:post:3") in every
    assert ("twitter:post:6", "reply", "twitter:post:5") in every
    assert found[1].complete == original


def test_users_with_their_latest_tweet(tmp_path: Path):
    status = tweet(3)
    del status["user"]
    write(tmp_path, {"a.json": [{**user(), "status": status}]})
    person, latest = records(V1, tmp_path)
    assert person.subject == "twitter:user:7"
    assert ("twitter:user:7", "authored", "twitter:post:3") in edges(latest)


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
