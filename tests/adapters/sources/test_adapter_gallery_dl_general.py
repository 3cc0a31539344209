"""gallery-dl: the Fediverse, Tumblr, Flickr, and sites that only the general rules know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, edges, mutated, observed, read_one, write

from adapters.sources.gallery_dl import ADAPTERS

ADAPTER = ADAPTERS[0]

STATUS = {
    "category": "social.example",
    "subcategory": "status",
    "id": "900",
    "uri": "https://social.example/users/ann/statuses/900",
    "url": "https://social.example/@ann/900",
    "created_at": "2024-07-01T10:00:00.000Z",
    "content": "<p>Good <b>morning</b></p>",
    "account": {
        "id": "1",
        "acct": "ann",
        "display_name": "Ann",
        "uri": "https://social.example/users/ann",
        "url": "https://social.example/@ann",
    },
    "favourites_count": 4,
    "reblogs_count": 0,
    "replies_count": 1,
    "tags": ["Morning"],
    "media": {
        "id": "77",
        "type": "image",
        "url": "https://files.example/77.png",
        "description": "sun",
        "meta": {"original": {"width": 9, "height": 8}},
    },
    "num": 1,
    "count": 1,
    "filename": "77",
    "extension": "png",
}
TUMBLR = {
    "category": "tumblr",
    "subcategory": "post",
    "id": 2**60 + 1,
    "blog_name": "hills",
    "blog": {"name": "hills", "uuid": "t:hh", "title": "Hills!", "posts": 3},
    "type": "photo",
    "summary": "a hill",
    "timestamp": 1700000000,
    "tags": ["hill top"],
    "note_count": 12,
    "reblogged_from_id": "44",
    "reblogged_from_name": "peaks",
    "reblogged_from_uuid": "t:pp",
    "photo": {"url": "https://media.example/h.png", "width": 3, "height": 4},
    "hash": "hhhh",
    "num": 1,
    "filename": "tumblr_h",
    "extension": "png",
}
FLICKR = {
    "category": "flickr",
    "subcategory": "image",
    "id": 123,
    "title": "Lake",
    "user": {"nsid": "5@N01", "username": "Lou!", "path_alias": "Lou", "realname": "Lou L"},
    "date": "2020-01-01 00:00:00",
    "dates": {"taken": "2019-12-31 10:00:00", "takengranularity": 0},
    "views": "1234",
    "tags": ["lake"],
    "license": "4",
    "license_name": "Attribution",
    "album": {"id": "7", "title": "Lakes"},
    "filename": "123_b",
    "extension": "jpg",
    "width": 2,
    "height": 3,
}
UNKNOWN = {
    "category": "500new.site",
    "subcategory": "gallery",
    "post_id": 31,
    "id": "m1",
    "media_id": "m1",
    "title": "Walk",
    "description": "<p>Up</p>",
    "author": "Someone",
    "artist": ["Someone", "Other"],
    "likes": "1,200",
    "views": 5,
    "comments": [{"text": "no count"}],
    "comment_count": 3,
    "date": "2024-08-01 09:30:00",
    "tags": "sun sea",
    "num": 2,
    "count": 4,
    "album": {"id": 6, "title": "Walks"},
    "in_reply_to_id": 30,
    "url": "https://cdn.example/m1.jpg",
    "filename": "m1",
    "extension": "jpg",
}
ALL = [STATUS, TUMBLR, FLICKR, UNKNOWN]


def general(tmp_path: Any, **fields: Any):
    base = {"category": "newsite", "id": 5, "extension": "jpg", "filename": "f"}
    return read_one(ADAPTER, tmp_path, {"x.jpg.json": base | fields})


def test_a_status_of_the_fediverse(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.png.json": STATUS})
    post = "activitypub:post:https://social.example/users/ann/statuses/900"
    ann = "activitypub:user:https://social.example/users/ann"
    assert observed(record, post).title == "Good morning"
    assert observed(record, post).meta["reblog_count"] == 0
    medium = observed(record, "activitypub:media:https://files.example/77.png")
    assert (medium.title, medium.meta["width"]) == ("sun", 9)
    assert edges(record) == {
        (ann, "authored", post),
        (post, "contains", "activitypub:media:https://files.example/77.png"),
        (ann, "alias", "activitypub:user:https://social.example/@ann"),
        (post, "alias", "activitypub:post:https://social.example/@ann/900"),
        ("activitypub:tag:morning", "tagged", post),
    }


def test_a_reblog_on_tumblr(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.png.json": TUMBLR})
    post = "tumblr:post:1152921504606846977"
    assert observed(record, post).title == "a hill"
    assert observed(record, post).meta["note_count"] == 12
    assert edges(record) == {
        ("tumblr:user:t:hh", "authored", post),
        (post, "contains", "tumblr:media:hhhh"),
        ("tumblr:user:t:hh", "alias", "tumblr:username:hills"),
        ("tumblr:user:t:pp", "alias", "tumblr:username:peaks"),
        ("tumblr:tag:hill top", "tagged", post),
        ("tumblr:post:44", "repost", post),
        ("tumblr:user:t:pp", "authored", "tumblr:post:44"),
    }


def test_a_photo_of_flickr(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": FLICKR})
    post = observed(record, "flickr:post:123")
    assert (post.view, post.meta["license"]) == (1234, "Attribution")
    assert post.meta["taken_time"] == datetime(2019, 12, 31, 10, tzinfo=UTC)
    assert post.meta["taken_granularity"] == "second"
    assert edges(record) == {
        ("flickr:user:5@N01", "authored", "flickr:post:123"),
        ("flickr:post:123", "contains", "flickr:media:123"),
        ("flickr:user:5@N01", "alias", "flickr:username:lou"),
        ("flickr:tag:lake", "tagged", "flickr:post:123"),
        ("flickr:album:7", "member", "flickr:post:123"),
    }


def test_an_unknown_site(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": UNKNOWN})
    post = observed(record, "site_500new_site:post:31")
    assert (post.title, post.view) == ("Walk", 5)
    assert post.update_time == datetime(2024, 8, 1, 9, 30, tzinfo=UTC)
    assert (post.meta["like_count"], post.meta["comment_count"]) == (1200, 3)
    assert post.meta["tags"] == ["sun", "sea"]
    medium = observed(record, "site_500new_site:media:m1")
    assert medium.meta["media_url"] == "https://cdn.example/m1.jpg"
    assert edges(record) == {
        ("site_500new_site:username:Someone", "authored", "site_500new_site:post:31"),
        ("site_500new_site:username:Other", "credited", "site_500new_site:post:31"),
        ("site_500new_site:post:31", "contains", "site_500new_site:media:m1"),
        ("site_500new_site:album:6", "member", "site_500new_site:post:31"),
        ("site_500new_site:post:30", "reply", "site_500new_site:post:31"),
        ("site_500new_site:tag:sun", "tagged", "site_500new_site:post:31"),
        ("site_500new_site:tag:sea", "tagged", "site_500new_site:post:31"),
    }


@pytest.mark.parametrize(
    ("fields", "author", "title"),
    [
        ({"author": "Ann"}, "newsite:username:Ann", "Ann"),
        ({"author": {"id": 3, "name": "Ann"}}, "newsite:user:3", "Ann"),
        ({"author": [{"id": 3, "name": "Ann"}, "Bob"]}, "newsite:user:3", "Ann"),
        ({"author": ["Ann", "Bob"]}, "newsite:username:Ann", "Ann"),
        ({"user_id": 3, "user_name": "ann"}, "newsite:user:3", "ann"),
        ({"owner": "Ann", "owner_login": "ann"}, "newsite:username:ann", "Ann"),
        ({"owner_id": "3", "username": "ann", "fullname": "Ann A"}, "newsite:user:3", "Ann A"),
        ({"user": {"userid": "0", "username": "ann"}}, "newsite:username:ann", "ann"),
        ({"author": {"id": None}, "uploader": "ann"}, "newsite:username:ann", "ann"),
    ],
)
def test_authors_come_in_many_shapes(tmp_path, fields: dict[str, Any], author: str, title: str):
    record = general(tmp_path, **fields)
    assert observed(record, "newsite:post:5").author == author
    assert observed(record, author).title == title


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["a b", "#c"], ["a b", "c"]),
        ("a b", ["a", "b"]),
        ("a b, c", ["a b", "c"]),
        ({"artist": ["x"], "general": ["y", "x"]}, ["x", "y"]),
        ([{"name": "a"}, {"title": "b"}, None, 5], ["a", "b", "5"]),
        ([], None),
        (7, None),
    ],
)
def test_tags_come_in_many_shapes(tmp_path, tags: Any, expected: list[str] | None):
    assert observed(general(tmp_path, tags=tags), "newsite:post:5").meta.get("tags") == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2024-01-01 00:00:00", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-01T00:00:00+09:00", datetime(2023, 12, 31, 15, tzinfo=UTC)),
        (1704067200, datetime(2024, 1, 1, tzinfo=UTC)),
        ("1970-01-01 00:00:00", None),
        ("0001-01-01 00:00:00", None),
        (2019, None),
        ("Mar 31, 2022 to ?", None),
    ],
)
def test_dates(tmp_path, date: Any, expected: datetime | None):
    assert observed(general(tmp_path, date=date), "newsite:post:5").update_time == expected


def test_a_mirror_yields_the_posts_of_the_site_it_mirrors(tmp_path):
    mirrored = {
        "category": "kemono",
        "subcategory": "patreon",
        "service": "patreon",
        "id": "70",
        "user": "8",
        "username": "Ann",
        "hash": "hh",
        "num": 1,
    }
    record = general(tmp_path, **mirrored)
    assert edges(record) >= {("patreon:post:70", "contains", "patreon:media:hh")}


@pytest.mark.parametrize(
    ("fields", "post", "medium"),
    [
        ({"category": "artstation", "id": 5, "hash_id": "x", "asset": {"id": 9}}, "5", "9"),
        ({"category": "deviantart", "index": 6, "deviationid": "U-U"}, "6", "6"),
        (
            {"category": "webtoons", "title_no": "35", "episode_no": "1", "num": 3, "count": 9},
            "35/1",
            "35/1_3",
        ),
        ({"category": "patreon", "id": 5, "hash": "ff", "file": {"id": 2}}, "5", "2"),
    ],
)
def test_sites_keep_their_ids_in_many_places(tmp_path, fields: Any, post: str, medium: str):
    site = fields["category"]
    record = general(tmp_path, **fields)
    assert (f"{site}:post:{post}", "contains", f"{site}:media:{medium}") in edges(record)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_mutated_records_never_raise(tmp_path_factory, which: int, seed: int):
    folder = tmp_path_factory.mktemp("fuzz")
    check(ADAPTER, write(folder, {"a.jpg": b"1", "a.jpg.json": mutated(ALL[which], seed)}))
