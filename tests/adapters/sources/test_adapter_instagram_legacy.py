"""The first Instagram API: quirks on values of our own, then real samples checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    records,
    samples,
    subject,
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
