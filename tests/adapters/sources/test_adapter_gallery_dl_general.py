"""gallery-dl: the Fediverse, Tumblr, Flickr, and sites that only the general rules know."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, mutated, read_one, write

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


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_mutated_records_never_raise(tmp_path_factory, which: int, seed: int):
    folder = tmp_path_factory.mktemp("fuzz")
    check(ADAPTER, write(folder, {"a.jpg": b"1", "a.jpg.json": mutated(ALL[which], seed)}))
