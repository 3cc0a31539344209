"""The web's GraphQL API: responses of our own, and the same tweet in three APIs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import test_adapter_twitter_v1 as old
import test_adapter_twitter_v2 as new
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

from adapters.records.items import Record
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


def older_user(number: int = 7, name: str = "Ada_L") -> dict[str, Any]:
    legacy = {
        "screen_name": name,
        "name": f"{name} shown",
        "followers_count": 5,
        "friends_count": 6,
        "statuses_count": 7,
    }
    return {"__typename": "User", "rest_id": str(number), "legacy": legacy}


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


def test_a_timeline_without_what_is_no_record(tmp_path: Path):
    cursor = {"entryId": "cursor-1", "content": {"cursorType": "Bottom", "value": "DAAB"}}
    tombstone = {"__typename": "TweetTombstone", "tombstone": {"text": {"text": "gone"}}}
    around = {"__typename": "TweetWithVisibilityResults", "tweet": tweet(2, older_user())}
    advertisement = entry(tweet(3), "promoted-tweet-3", promotedMetadata={"advertiser": {}})
    module = {
        "entryId": "conversationthread-4",
        "content": {"items": [{"entryId": "tweet-4", "item": entry(tweet(4))["content"]}]},
    }
    parts = (entry(tweet(1)), cursor, entry(tombstone), entry(around), advertisement, module)
    write(tmp_path, {"a.json": response(*parts, entry({}))})
    found = records(GRAPHQL, tmp_path)
    assert [r.subject for r in found] == [f"twitter:post:{number}" for number in (1, 2, 4)]
    assert [r.number for r in found] == [0, 1, 2]
    assert found[1].observations[1] == found[0].observations[1]  # both forms of the account
    first = about(found[0], "twitter:post:1")
    assert (first.title, first.view) == ("fish & chips", 90)
    assert known(first) == {
        "post_id": "1",
        "conversation_id": "1",
        "language": "en",
        "favorite_count": 3,
        "retweet_count": 2,
        "reply_count": 1,
        "quote_count": 0,
        "client": "Pen",
    }


def test_retweets_quotes_long_texts_and_versions(tmp_path: Path):
    inner = tweet(1, user(8, "Bob"), extended_entities={"media": [old.photo(41, "p")]})
    retweet = tweet(2, is_quote_status=False, retweeted_status_result={"result": inner})
    quote = tweet(3, quoted_status_id_str="1", is_quote_status=True)
    quote["quoted_status_result"] = {
        "result": {"__typename": "TweetWithVisibilityResults", "tweet": inner}
    }
    entities = {"hashtags": [{"text": "End"}], "urls": [], "user_mentions": []}
    quote["note_tweet"] = {
        "note_tweet_results": {"result": {"text": "all of it #End", "entity_set": entities}}
    }
    quote["edit_control"] = {"edit_control_initial": {"edit_tweet_ids": ["30", "3"]}}
    gone = tweet(4, quoted_status_id_str="5")
    gone["quoted_status_result"] = {"result": {"__typename": "TweetTombstone"}}
    write(tmp_path, {"a.json": response(entry(retweet), entry(quote), entry(gone))})
    found = records(GRAPHQL, tmp_path)
    assert [r.subject for r in found] == [f"twitter:post:{n}" for n in (2, 1, 3, 4)]
    every = edges(*found)
    assert ("twitter:post:1", "repost", "twitter:post:2") in every
    assert ("twitter:post:1", "quote", "twitter:post:3") in every
    assert ("twitter:post:5", "quote", "twitter:post:4") in every
    assert ("twitter:post:30", "revision", "twitter:post:3") in every
    assert ("twitter:user:8", "authored", "twitter:post:1") in every
    assert positions(found[1]) == [(0, "twitter:media:41")]
    assert about(found[2], "twitter:post:3").title == "all of it #End"
    assert known(about(found[2], "twitter:post:3"))["hashtags"] == ["End"]
    assert found[1].complete == inner


def test_profiles_lines_and_lone_entries(tmp_path: Path):
    profile = {"data": {"user": {"result": user(9, "Eve")}}}
    follower = {"user_results": {"result": user(8, "Bob")}}
    listed = {"data": {"list": {"instructions": [{"entries": [{"itemContent": follower}]}]}}}
    text = "\n".join(map(json.dumps, [profile, listed, entry(tweet(1))]))
    write(tmp_path, {"a.json": text, "b.json": tweet(2)})
    found = records(GRAPHQL, tmp_path)
    assert [r.subject for r in found] == [
        "twitter:user:9",
        "twitter:user:8",
        "twitter:post:1",
        "twitter:post:2",
    ]
    assert edges(found[0]) == {("twitter:user:9", "alias", "twitter:username:eve")}
    assert (found[3].number, found[3].complete) == (-1, None)


def test_other_json_is_a_problem(tmp_path: Path):
    write(tmp_path, {"a.json": {"cars": [1]}, "b.json": response(), "c.json": "{"})
    found = problems(GRAPHQL, tmp_path)
    assert [(p.path, p.number) for p in found] == [("a.json", 0), ("b.json", -1), ("c.json", -1)]
    assert "tweet_results" in found[0].reason


@pytest.mark.parametrize("missing", ["core", "views", "legacy", "source", "edit_control"])
def test_every_part_but_the_id_may_be_missing(tmp_path: Path, missing: str):
    value = {name: part for name, part in tweet(1).items() if name != missing}
    write(tmp_path, {"a.json": response(entry(value))})
    [record] = records(GRAPHQL, tmp_path)
    assert record.subject == "twitter:post:1"


# ---- The same tweet in three APIs --------------------------------------------------------------


def said(record: Record) -> list[Any]:
    """Return what a record says, but for views, which v1.1 does not tell."""
    return [
        (o.node, o.title, o.update_time, o.author, o.is_root, known(o)) for o in record.observations
    ]


def test_three_apis_give_the_same_nodes_edges_and_columns(tmp_path: Path):
    video = {
        "id_str": "21",
        "media_key": "7_21",
        "type": "video",
        "media_url_https": "https://pbs.example/thumb/cover.jpg",
        "ext_alt_text": "a film",
        "original_info": {"width": 40, "height": 30},
        "video_info": {
            "duration_millis": 900,
            "variants": [
                {"content_type": "video/mp4", "bitrate": 10, "url": "https://v.example/low.mp4"},
                {"content_type": "video/mp4", "bitrate": 99, "url": "https://v.example/top.mp4"},
            ],
        },
    }
    entities = {
        "hashtags": [{"text": "Sea"}, {"text": "Fish"}],
        "user_mentions": [{"id_str": "8", "screen_name": "Bob"}],
        "urls": [
            {"expanded_url": "https://example.org/x"},
            {"expanded_url": "https://x.com/Bob/status/5"},
        ],
        "media": [video],
    }
    same = {
        "in_reply_to_status_id_str": "4",
        "in_reply_to_user_id_str": "8",
        "quoted_status_id_str": "5",
        "conversation_id_str": "3",
        "possibly_sensitive": False,
        "entities": entities,
        "extended_entities": {"media": [video]},
    }
    of_v1 = old.tweet(6, retweet_count=2, reply_count=1, quote_count=0, **same)
    of_graphql = tweet(6, **same)
    of_v2 = new.page(
        new.tweet(
            6,
            conversation_id="3",
            in_reply_to_user_id="8",
            possibly_sensitive=False,
            referenced_tweets=[{"type": "replied_to", "id": "4"}, {"type": "quoted", "id": "5"}],
            attachments={"media_keys": ["7_21"]},
            entities={
                "hashtags": [{"tag": "Sea"}, {"tag": "Fish"}],
                "mentions": [{"username": "Bob"}],
                "urls": [
                    {"expanded_url": "https://example.org/x"},
                    {"expanded_url": "https://x.com/Bob/status/5"},
                    {"expanded_url": "https://x.com/Ada_L/status/6/video/1", "media_key": "7_21"},
                ],
            },
        ),
        users=[new.user(7, "Ada_L"), new.user(8, "Bob")],
        media=[
            {
                "media_key": "7_21",
                "type": "video",
                "preview_image_url": "https://pbs.example/thumb/cover.jpg",
                "alt_text": "a film",
                "width": 40,
                "height": 30,
                "duration_ms": 900,
                "variants": [
                    {
                        "content_type": "video/mp4",
                        "bit_rate": 10,
                        "url": "https://v.example/low.mp4",
                    },
                    {
                        "content_type": "video/mp4",
                        "bit_rate": 99,
                        "url": "https://v.example/top.mp4",
                    },
                ],
            }
        ],
    )
    write(tmp_path / "v1", {"a.json": of_v1, "cover.jpg": b"c"})
    write(tmp_path / "v2", {"a.json": of_v2, "cover.jpg": b"c"})
    write(tmp_path / "graphql", {"a.json": response(entry(of_graphql)), "cover.jpg": b"c"})
    [one] = records(V1, tmp_path / "v1")
    two = records(V2, tmp_path / "v2")[0]
    [three] = records(GRAPHQL, tmp_path / "graphql")
    assert said(one) == said(two) == said(three)
    assert len(edges(one)) == 12
    assert one.links == two.links == three.links


def test_three_apis_give_the_same_for_a_retweet(tmp_path: Path):
    media = {"media": [old.photo(41, "p")]}
    text = {"text": "RT @Bob: fish…", "full_text": "RT @Bob: fish…"}
    numbers = {"reply_count": 1, "quote_count": 0}
    first = old.tweet(1, user=old.user(8, "Bob"), extended_entities=media, **numbers)
    of_v1 = old.tweet(2, retweeted_status=first, extended_entities=media, **text, **numbers)
    inner = tweet(1, user(8, "Bob"), extended_entities=media)
    of_graphql = tweet(2, retweeted_status_result={"result": inner}, **text)
    shown = {"attachments": {"media_keys": ["3_41"]}}
    reference = {"referenced_tweets": [{"type": "retweeted", "id": "1"}], "text": text["text"]}
    medium = {
        "media_key": "3_41",
        "type": "photo",
        "url": "https://pbs.example/media/p.jpg",
        "alt_text": "shows p",
        "width": 40,
        "height": 30,
    }
    of_v2 = new.page(
        new.tweet(2, **reference, **shown),
        tweets=[new.tweet(1, author_id="8", **shown)],
        users=[new.user(7, "Ada_L"), new.user(8, "Bob")],
        media=[medium],
    )
    write(tmp_path / "v1", {"a.json": of_v1})
    write(tmp_path / "v2", {"a.json": of_v2})
    write(tmp_path / "graphql", {"a.json": response(entry(of_graphql))})
    one, two = records(V1, tmp_path / "v1"), records(V2, tmp_path / "v2")
    three = records(GRAPHQL, tmp_path / "graphql")
    assert [r.subject for r in one] == ["twitter:post:2", "twitter:post:1"]
    assert list(map(said, one)) == list(map(said, two)) == list(map(said, three))
    assert [r.links for r in one] == [r.links for r in two] == [r.links for r in three]
    assert positions(one[0]) == [] and positions(one[1]) == [(0, "twitter:media:41")]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_responses_never_raise(tmp_path: Path, value: st.DataObject):
    quote = tweet(3, extended_entities={"media": [old.photo(41, "p")]})
    quote["quoted_status_result"] = {"result": {"tweet": tweet(1)}}
    original = response(entry(quote), entry(tweet(2, retweeted_status_result={"result": quote})))
    check_survives(GRAPHQL, tmp_path, "a.json", value.draw(mutated(original)))
