"""Facebook Graph API: quirks on values of our own."""

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
    edges,
    known,
    mutated,
    positions,
    problems,
    records,
    write,
)

from adapters.sources.facebook.graph import ADAPTERS

GRAPH = ADAPTERS[0]


def total(count: int) -> dict[str, Any]:
    return {"data": [], "summary": {"total_count": count}}


def picture(number: int, name: str) -> dict[str, Any]:
    return {
        "type": "photo",
        "media": {"image": {"src": f"https://s.example/{name}.jpg?x=1", "width": 4, "height": 3}},
        "target": {"id": str(number), "url": "https://www.facebook.com/x/photos/1"},
    }


POST: dict[str, Any] = {
    "id": "7_11",
    "created_time": "2021-07-09T19:09:52+0000",
    "updated_time": "2021-07-12T01:03:23+0000",
    "message": "Fish at the #Sea",
    "status_type": "added_photos",
    "permalink_url": "https://www.facebook.com/7/posts/11",
    "attachments": {
        "data": [
            {
                "type": "album",
                "media_type": "album",
                "media": {"image": {"src": "https://s.example/one.jpg"}},
                "target": {"id": "20"},
                "subattachments": {"data": [picture(21, "one"), picture(22, "two")]},
            },
            {"type": "share", "media_type": "link", "unshimmed_url": "https://example.org/x"},
        ]
    },
    "message_tags": [{"id": "8", "name": "Bob", "type": "page"}],
    "shares": {"count": 10},
    "comments": total(13),
    "reactions": total(125),
    "like": total(119),
    "love": total(6),
    "haha": total(0),
}
COMMENT: dict[str, Any] = {
    "id": "11_31",
    "created_time": "2021-07-09T20:00:00+0000",
    "message": "nice",
    "from": {"id": "9", "name": "Eve"},
    "like_count": 1,
    "comment_count": 1,
}


def test_a_post_with_its_album_reactions_and_links(tmp_path: Path):
    write(tmp_path, {"x.json": {"data": [POST], "paging": {"cursors": {}}}, "two.jpg": b"2"})
    [record] = records(GRAPH, tmp_path)
    node = "facebook:post:7_11"
    said = about(record, node)
    assert said.update_time == datetime(2021, 7, 9, 19, 9, 52, tzinfo=UTC)
    assert (said.title, said.author, said.is_root) == ("Fish at the #Sea", "facebook:user:7", False)
    assert known(said) == {
        "object_id": "7_11",
        "object_type": "post",
        "status_type": "added_photos",
        "permalink_url": "https://www.facebook.com/7/posts/11",
        "reaction_count": 125,
        "like_count": 119,
        "love_count": 6,
        "haha_count": 0,
        "comment_count": 13,
        "share_count": 10,
        "hashtags": ["Sea"],
    }
    assert positions(record) == [(0, "facebook:media:21"), (1, "file two.jpg")]
    assert edges(record) == {
        ("facebook:user:7", "authored", node),
        ("facebook:user:7", "member", node),
        ("facebook:tag:sea", "tagged", node),
        (node, "mentioned", "facebook:user:8"),
        (node, "linked", "web:page:https://example.org/x"),
        (node, "contains", "facebook:media:21"),
        (node, "contains", "file two.jpg"),
    }
    shown = about(record, "file two.jpg")
    assert shown.is_root
    assert known(shown) == {
        "object_id": "7_11",
        "object_type": "post",
        "media_id": "22",
        "media_type": "photo",
        "media_url": "https://s.example/two.jpg?x=1",
        "width": 4,
        "height": 3,
    }


def test_a_visitor_is_not_taken_for_the_page(tmp_path: Path):
    visitor = {**POST, "status_type": "wall_post"}
    signed = {**visitor, "id": "7_12", "from": {"id": "9", "name": "Eve"}, "parent_id": "5_6"}
    write(tmp_path, {"x.json": [visitor, signed]})
    first, second = records(GRAPH, tmp_path)
    assert about(first, "facebook:post:7_11").author is None
    assert ("facebook:user:9", "authored", "facebook:post:7_12") in edges(second)
    assert ("facebook:user:7", "member", "facebook:post:7_12") in edges(second)
    assert ("facebook:post:5_6", "repost", "facebook:post:7_12") in edges(second)
    assert about(second, "facebook:user:9").title == "Eve"


PHOTO = {
    "id": "21",
    "created_time": "2021-07-09T19:09:52+0000",
    "name": "a fish",
    "from": {"id": "7", "name": "Ada"},
    "album": {"id": "40", "name": "Timeline", "created_time": "2010-09-17T13:58:40+0000"},
    "alt_text": "shows a fish",
    "page_story_id": "7_11",
    "images": [
        {"source": "https://s.example/small.jpg", "width": 10, "height": 8},
        {"source": "https://s.example/large.jpg", "width": 100, "height": 80},
    ],
}


def test_all_sizes_of_a_photo_are_one_medium(tmp_path: Path):
    files = {"x.json": PHOTO, "small.jpg": b"s", "large.jpg": b"l"}
    write(tmp_path, files)
    [record] = records(GRAPH, tmp_path)
    node = "facebook:post:21"
    assert edges(record) == {
        ("facebook:user:7", "authored", node),
        ("facebook:album:40", "member", node),
        (node, "contains", "file large.jpg"),
        ("facebook:post:7_11", "contains", "file large.jpg"),
        ("file large.jpg", "variant", "file small.jpg"),
    }
    shown = about(record, "file large.jpg")
    assert (shown.title, shown.meta["width"], shown.meta["alt_text"]) == (
        "a fish",
        100,
        "shows a fish",
    )
    assert about(record, "facebook:album:40").title == "Timeline"


def test_albums_with_photos_and_videos(tmp_path: Path):
    inner = {"id": "22", "images": PHOTO["images"]}
    album = {"id": "40", "name": "Sea", "count": 9, "photos": {"data": [inner]}}
    film = {
        "id": "51",
        "title": "Film",
        "description": "long",
        "length": 33.5,
        "source": "https://v.example/film.mp4?x=1",
        "picture": "https://v.example/film.jpg",
        "permalink_url": "/ada/videos/51/",
        "views": 77,
    }
    write(tmp_path, {"x.json": [album, film], "51.mp4": b"v", "film.jpg": b"p"})
    whole, photo, video = records(GRAPH, tmp_path)
    assert known(about(whole, "facebook:album:40"))["item_count"] == 9
    assert ("facebook:album:40", "member", "facebook:post:22") in edges(photo)
    assert edges(video) == {
        ("facebook:post:51", "contains", "file 51.mp4"),
        ("file 51.mp4", "thumbnail", "file film.jpg"),
    }
    assert (about(video, "facebook:post:51").view, about(video, "facebook:post:51").title) == (
        77,
        "Film",
    )
    assert about(video, "file 51.mp4").meta["duration_s"] == 33.5


def test_comments_and_their_answers(tmp_path: Path):
    answer = {**COMMENT, "id": "11_32", "message": "yes"}
    post = {**POST, "comments": {"data": [{**COMMENT, "comments": {"data": [answer]}}]}}
    lone = {**COMMENT, "id": "11_33", "parent": {"id": "11_31"}}
    nameless = {
        "message": "x",
        "comment_count": 0,
        "permalink_url": "https://www.facebook.com/7/posts/11/?comment_id=31&reply_comment_id=34",
    }
    edge = "https://graph.facebook.com/v11.0/7_11/comments?after=x"
    page = {"data": [lone, nameless], "paging": {"next": edge}}
    write(tmp_path, {"a.json": post, "b.json": page})
    _post, first, second, third, fourth = records(GRAPH, tmp_path)
    assert edges(first) == {
        ("facebook:user:9", "authored", "facebook:comment:31"),
        ("facebook:post:7_11", "reply", "facebook:comment:31"),
    }
    assert ("facebook:comment:31", "reply", "facebook:comment:32") in edges(second)
    assert ("facebook:comment:31", "reply", "facebook:comment:33") in edges(third)
    assert edges(fourth) == {("facebook:comment:31", "reply", "facebook:comment:34")}


@pytest.mark.parametrize(
    ("value", "node"),
    [
        ({"id": "1_2", "message": "x", "created_time": "2021-01-01T00:00:00+0000"}, "post:1_2"),
        ({"id": "3", "name": "x", "start_time": "2021-07-23T21:00:00+0800"}, "event:3"),
        ({"4": {"id": "4", "link": "https://www.facebook.com/a/photos/b/4"}}, "post:4"),
        ({"id": "5", "name": "Page", "fan_count": 6, "username": "Page"}, "user:5"),
    ],
)
def test_objects_are_known_by_what_they_have(tmp_path: Path, value: Any, node: str):
    write(tmp_path, {"x.json": value})
    [record] = records(GRAPH, tmp_path)
    assert record.subject == f"facebook:{node}"


def test_what_is_nothing_known_is_a_problem(tmp_path: Path):
    error = {"error": {"message": "Invalid OAuth access token.", "code": 190}}
    write(tmp_path, {"a.json": error, "b.json": {"cars": 1}, "c.json": {"data": [POST, 5]}})
    assert [(p.path, p.number) for p in problems(GRAPH, tmp_path)] == [
        ("a.json", 0),
        ("b.json", 0),
        ("c.json", 1),
    ]
    assert problems(GRAPH, tmp_path)[0].reason.endswith("Invalid OAuth access token.")


@pytest.mark.parametrize("missing", [name for name in POST if name != "id"])
def test_every_field_but_the_id_may_be_missing(tmp_path: Path, missing: str):
    value = {name: field for name, field in POST.items() if name != missing}
    write(tmp_path, {"x.json": {"data": [value, {"id": "7_11"}]}})
    assert [r.subject for r in records(GRAPH, tmp_path)] == ["facebook:post:7_11"] * 2


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_objects_never_raise(tmp_path: Path, value: st.DataObject):
    post = {**POST, "comments": {"data": [{**COMMENT, "comments": {"data": [COMMENT]}}]}}
    url = "https://www.facebook.com/7/posts/11/?comment_id=31"
    original = {"data": [post, PHOTO, {**COMMENT, "permalink_url": url}], "paging": {"next": url}}
    check_survives(GRAPH, tmp_path, "a.json", value.draw(mutated(original)))
