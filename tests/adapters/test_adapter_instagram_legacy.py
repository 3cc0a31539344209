"""The first Instagram API: quirks on values of our own, then real samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    about,
    check_survives,
    counts,
    edges,
    known,
    mutated,
    outputs,
    positions,
    problems,
    records,
    samples,
    subject,
    write,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.instagram.legacy import ADAPTERS

LEGACY = ADAPTERS[0]


def sizes(name: str, best: str = "standard_resolution") -> dict[str, Any]:
    return {
        best: {"url": f"http://e.org/{name}_7.jpg", "width": 612, "height": 612},
        "low_resolution": {"url": f"http://e.org/{name}_6.jpg", "width": 306, "height": 306},
        "thumbnail": {"url": f"http://e.org/{name}_5.jpg", "width": 150, "height": 150},
    }


def person(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "username": name, "full_name": f"{name} shown"}


NEWER = {
    "id": "18600493_7",
    "type": "image",
    "link": "http://instagram.com/p/BG9It/",
    "created_time": "1296710327",
    "user": {**person(7, "Ada_L"), "id": "7"},
    "caption": {"id": "91", "text": "fish @eve", "created_time": "1296710327"},
    "tags": ["Sea", "fish"],
    "filter": "Lo-fi",
    "likes": {"count": 15, "data": [person(8, "bob")]},
    "comments": {
        "count": 2,
        "data": [
            {"id": "92", "text": "nice", "created_time": "1296710352", "from": person(8, "Bob")}
        ],
    },
    "images": sizes("a"),
    "location": {"latitude": 0.25, "longitude": -1.5, "name": "Pier"},
    "users_in_photo": [{"user": person(9, "Zoe"), "position": {"x": 0.1, "y": 0.2}}],
}


def test_newer_posts_with_counts_epoch_and_words(tmp_path: Path):
    write(tmp_path, {"a.json": {"meta": {"code": 200}, "data": NEWER}})
    post, comment = records(LEGACY, tmp_path)
    node, medium = "instagram:post:18600493", "instagram:media:18600493"
    said = about(post, node)
    assert said.update_time == datetime(2011, 2, 3, 5, 18, 47, tzinfo=UTC)
    assert said.title == "fish @eve"
    assert known(said) == {
        "post_id": "18600493",
        "shortcode": "BG9It",
        "media_type": "image",
        "hashtags": ["Sea", "fish"],
        "like_count": 15,
        "comment_count": 2,
        "location_name": "Pier",
        "latitude": 0.25,
        "longitude": -1.5,
        "filter_name": "Lo-fi",
    }
    assert edges(post) == {
        ("instagram:user:7", "authored", node),
        ("instagram:user:7", "alias", "instagram:username:ada_l"),
        (node, "contains", medium),
        ("instagram:tag:sea", "tagged", node),
        ("instagram:tag:fish", "tagged", node),
        (node, "mentioned", "instagram:user:9"),
        ("instagram:user:9", "alias", "instagram:username:zoe"),
        (node, "mentioned", "instagram:username:eve"),
    }
    assert edges(comment) == {
        ("instagram:user:8", "authored", "instagram:comment:92"),
        ("instagram:user:8", "alias", "instagram:username:bob"),
        (node, "reply", "instagram:comment:92"),
    }


def test_posts_of_the_beta_with_lists_iso_times_and_numbers(tmp_path: Path):
    caption = {"id": 91, "message": "fish", "from": person(7, "Ada_L"), "created_time": "x"}
    other = {"id": 92, "message": "hi", "from": person(8, "Bob")}
    older = {
        "id": 18600493,
        "type": 1,
        "created_time": "2011-01-20T12:04:54+0000",
        "user": person(7, "Ada_L"),
        "caption": caption,
        "comments": [caption, {**other, "created_time": "2011-01-20T14:52:12+0000"}],
        "like_count": 52,
        "images": sizes("a", "high_resolution"),
        "location": None,
    }
    write(tmp_path, {"a.json": {"data": [older]}})
    # The caption is the first comment, too: it is no comment of its own.
    post, comment = records(LEGACY, tmp_path)
    assert comment.subject == "instagram:comment:92"
    said = about(post, "instagram:post:18600493")
    assert said.update_time == datetime(2011, 1, 20, 12, 4, 54, tzinfo=UTC)
    assert (said.meta["media_type"], said.meta["like_count"]) == ("image", 52)
    shown = about(post, "instagram:media:18600493").meta
    assert (shown["media_url"], shown["width"]) == ("http://e.org/a_7.jpg", 612)


def test_sizes_are_one_medium_with_variants_and_a_thumbnail(tmp_path: Path):
    files = {name: name.encode() for name in ("a_7.jpg", "a_6.jpg", "a_5.jpg")}
    write(tmp_path, {"x.json": NEWER, **files})
    post = records(LEGACY, tmp_path)[0]
    assert positions(post) == [(0, "file a_7.jpg")]
    assert {edge for edge in edges(post) if edge[0].startswith("file")} == {
        ("file a_7.jpg", "variant", "file a_6.jpg"),
        ("file a_7.jpg", "thumbnail", "file a_5.jpg"),
    }


def test_videos_and_carousels(tmp_path: Path):
    videos = {
        "low_resolution": {"url": "http://e.org/v_low.mp4", "width": 480, "height": 480},
        "standard_resolution": {"url": "http://e.org/v.mp4", "width": 640, "height": 640},
    }
    film = {**NEWER, "id": "1_7", "type": "video", "videos": videos}
    parts = [{"type": "image", "images": sizes("b")}, {"type": "video", "videos": videos}]
    album = {**NEWER, "id": "2_7", "type": "carousel", "carousel_media": parts}
    write(tmp_path, {"x.json": {"data": [film, album]}, "v.mp4": b"v", "a_7.jpg": b"a"})
    found = records(LEGACY, tmp_path)
    one, two = subject(found, "instagram:post:1"), subject(found, "instagram:post:2")
    assert positions(one) == [(0, "file v.mp4")]
    assert ("file v.mp4", "thumbnail", "file a_7.jpg") in edges(one)
    assert about(one, "file v.mp4").meta["width"] == 640
    assert positions(two) == [(0, "instagram:media:2_1"), (1, "file v.mp4")]


def test_people_embeds_and_errors(tmp_path: Path):
    embed = {"provider_name": "Instagram", "media_id": "5_7", "title": "t #x", "author_id": 7}
    profile = {**person(7, "Ada_L"), "counts": {"media": 1, "follows": 2, "followed_by": 3}}
    files = {
        "a.json": {**embed, "author_name": "Ada_L", "url": "http://e.org/7.jpg", "type": "photo"},
        "b.json": {"meta": {"code": 200}, "data": profile},
        "c.json": {"meta": {"code": 400, "error_message": "invalid token"}},
        "d.json": [{"cars": 1}],
    }
    write(tmp_path, files)
    embedded, someone, wrong, other = outputs(LEGACY, tmp_path)
    assert edges(embedded) == {
        ("instagram:user:7", "authored", "instagram:post:5"),
        ("instagram:user:7", "alias", "instagram:username:ada_l"),
        ("instagram:post:5", "contains", "instagram:media:5"),
        ("instagram:tag:x", "tagged", "instagram:post:5"),
    }
    assert known(about(someone, "instagram:user:7"))["follower_count"] == 3
    assert wrong.reason == "only an error in it: invalid token"
    assert "first Instagram API" in other.reason
    assert len(problems(LEGACY, tmp_path)) == 2


@pytest.mark.parametrize("missing", [*NEWER])
def test_every_field_may_be_missing(tmp_path: Path, missing: str):
    value = {name: field for name, field in NEWER.items() if name != missing}
    write(tmp_path, {"x.json": {"meta": {"code": 200}, "data": value}})
    assert records(LEGACY, tmp_path)[0].subject == "instagram:post:18600493"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_posts_never_raise(tmp_path: Path, value: st.DataObject):
    original = {"meta": {"code": 200}, "data": [NEWER, {**NEWER, "carousel_media": [NEWER]}]}
    check_survives(LEGACY, tmp_path, "a.json", value.draw(mutated(original)))


# ---- Real samples ------------------------------------------------------------------------------


def test_samples_are_read_completely():
    assert counts(outputs(LEGACY, samples("instagram-legacy-api"))) == {
        "media.json": (4, 0),  # one post, four comments of which one is the caption
        "media_comments.json": (3, 0),
        "media_popular.json": (380, 0),  # 32 posts and their comments without captions
        "oembed.json": (1, 0),
        "user_media_feed.json": (64, 0),  # 21 posts and their comments without captions
    }


def sample(path: str, node: str) -> Record:
    found = [r for r in records(LEGACY, samples("instagram-legacy-api")) if r.path == path]
    return subject(found, node)


def test_sample_post():
    node = "instagram:post:18600493"
    post = sample("media.json", node)
    assert edges(post) == {
        ("instagram:user:4", "authored", node),
        ("instagram:user:4", "alias", "instagram:username:mikeyk"),
        (node, "contains", "instagram:media:18600493"),
        ("instagram:tag:youknowitslate", "tagged", node),
    }
    assert about(post, node).title == "#youknowitslate when the cab driver wishes you good morning"
    assert known(about(post, "instagram:media:18600493")) == {
        "post_id": "18600493",
        "shortcode": "BG9It",
        "media_id": "18600493",
        "media_type": "image",
        "media_url": "http://distillery.s3.amazonaws.com/media/2011/01/20/"
        "6248835b0acd48d39d7ee606937ae9f7_7.jpg",
        "width": 612,
        "height": 612,
    }


def test_sample_comments():
    for comment, user, name in (
        ("20808205", "1483611", "newyorkcity"),
        ("20873301", "5315", "abelnation"),
        ("20900554", "102516", "jasonsposa"),
    ):
        node = f"instagram:comment:{comment}"
        expected = {
            (f"instagram:user:{user}", "authored", node),
            (f"instagram:user:{user}", "alias", f"instagram:username:{name}"),
            ("instagram:post:18600493", "reply", node),
        }
        if comment == "20900554":
            expected.add((node, "mentioned", "instagram:username:docpop"))
        assert edges(sample("media.json", node)) == expected
    for comment, user, name, second in (
        ("924", "17", "doug", 19),
        ("928", "3", "kevin", 11),
        ("934", "37", "diane", 12),
    ):
        record = sample("media_comments.json", f"instagram:comment:{comment}")
        assert edges(record) == {
            (f"instagram:user:{user}", "authored", f"instagram:comment:{comment}"),
            (f"instagram:user:{user}", "alias", f"instagram:username:{name}"),
        }
        time = record.observations[0].update_time
        assert time is not None and (time.year, time.second) == (2010, second)


def test_samples_of_feeds():
    node = "instagram:post:22165398"
    post = sample("user_media_feed.json", node)
    assert edges(post) == {
        ("instagram:user:696557", "authored", node),
        ("instagram:user:696557", "alias", "instagram:username:justinmarshall"),
        (node, "contains", "instagram:media:22165398"),
    }
    assert known(about(post, node)) == {
        "post_id": "22165398",
        "shortcode": "BUjeW",
        "media_type": "image",
        "like_count": 0,
        "location_name": "The Banshee",
        "latitude": 39.729935,
        "longitude": -121.8410372,
    }
    node = "instagram:post:22157092"
    assert edges(sample("user_media_feed.json", node)) == {
        ("instagram:user:476322", "authored", node),
        ("instagram:user:476322", "alias", "instagram:username:redbull"),
        (node, "contains", "instagram:media:22157092"),
        (node, "mentioned", "instagram:username:rbma"),
    }
    untitled = sample("user_media_feed.json", "instagram:post:22155189")
    assert about(untitled, "instagram:post:22155189").title is None
    popular = sample("media_popular.json", "instagram:post:22378534")
    said = about(popular, "instagram:post:22378534")
    assert (said.title, said.author, said.meta["like_count"]) == (
        "Dresses<3",
        "instagram:user:362910",
        36,
    )


def test_sample_embed():
    node = "instagram:post:123657555223544123"
    record = sample("oembed.json", node)
    assert edges(record) == {
        ("instagram:user:1234", "authored", node),
        ("instagram:user:1234", "alias", "instagram:username:my_name"),
        (node, "contains", "instagram:media:123657555223544123"),
        ("instagram:tag:hash", "tagged", node),
    }
    assert (record.number, about(record, node).title) == (-1, "I like this title #hash")


def test_sniffs_its_own_samples():
    assert LEGACY.sniff(ScrapeFolder.of(samples("instagram-legacy-api"))).confidence >= 0.8
    for other in ("instagram-graph", "facebook-graph", "twitter-api-v2", "mastodon-api"):
        assert LEGACY.sniff(ScrapeFolder.of(samples(other))).confidence == 0, other
