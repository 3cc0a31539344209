"""Reddit as its API gives it: made-up listings with every quirk, then samples checked by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    links,
    mutated,
    read,
    read_one,
    said,
)

from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.reddit.api import ADAPTERS

REDDIT = ADAPTERS[0]


def listing(*children: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": None, "children": list(children)}}


def post(identity: str = "a1", **fields: Any) -> dict[str, Any]:
    data = {
        "id": identity,
        "name": f"t3_{identity}",
        "title": "A walk",
        "author": "Ann_Lee",
        "subreddit": "Trails",
        "score": 12,
        "ups": 14,
        "num_comments": 3,
        "created_utc": 1600000000.0,
        "edited": False,
        "over_18": False,
        "is_self": False,
        "permalink": f"/r/Trails/comments/{identity}/a_walk/",
        "url": "https://example.org/walk",
    }
    return {"kind": "t3", "data": data | fields}


def comment(identity: str, parent: str, **fields: Any) -> dict[str, Any]:
    data = {
        "id": identity,
        "name": f"t1_{identity}",
        "body": f"says {identity}",
        "author": "Bob",
        "subreddit": "Trails",
        "parent_id": parent,
        "link_id": "t3_a1",
        "score": 2,
        "created_utc": 1600000100.0,
        "replies": "",
    }
    return {"kind": "t1", "data": data | fields}


def test_a_link_post(tmp_path: Path) -> None:
    (item,) = read(REDDIT, tmp_path, {"listing.json": listing(post())})
    assert isinstance(item, Record)
    assert (item.number, item.subject) == (0, "reddit:post:a1")
    assert item.complete == post()["data"]
    assert links(item) == {
        "reddit:user:ann_lee -authored-> reddit:post:a1",
        "reddit:subreddit:trails -member-> reddit:post:a1",
        "reddit:post:a1 -linked-> web:page:https://example.org/walk",
    }
    row = said(item, "reddit:post:a1")
    assert (row.title, row.view, row.author) == ("A walk", None, "reddit:user:ann_lee")
    assert row.update_time == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert not row.is_root
    assert row.meta == {
        "post_id": "t3_a1",
        "subreddit": "Trails",
        "score": 12,
        "up_count": 14,
        "comment_count": 3,
        "url": "https://example.org/walk",
        "permalink": "https://www.reddit.com/r/Trails/comments/a1/a_walk/",
        "is_nsfw": False,
        "is_self": False,
        "is_edited": False,
    }
    assert said(item, "reddit:user:ann_lee").title == "Ann_Lee"


def test_edited_is_a_time_or_false(tmp_path: Path) -> None:
    item = read_one(REDDIT, tmp_path, listing(post(edited=1600000500.0)))
    row = said(item, "reddit:post:a1")
    assert row.update_time == datetime(2020, 9, 13, 12, 35, tzinfo=UTC)
    assert row.meta["is_edited"] is True


def test_a_deleted_author_is_nobody(tmp_path: Path) -> None:
    item = read_one(REDDIT, tmp_path, listing(post(author="[deleted]")))
    assert said(item, "reddit:post:a1").author is None
    assert not any("-authored->" in link for link in links(item))


def test_a_comment_tree_with_stubs(tmp_path: Path) -> None:
    inner = comment("c2", "t1_c1", replies="")
    more = {"kind": "more", "data": {"id": "_", "parent_id": "t1_c1", "children": []}}
    outer = comment("c1", "t3_a1", replies=listing(inner, more))
    items = read(REDDIT, tmp_path, {"tree.json": [listing(post()), listing(outer)]})
    assert [item.number for item in items] == [0, 1, 2]
    top, below = items[1], items[2]
    assert links(top) == {
        "reddit:user:bob -authored-> reddit:comment:c1",
        "reddit:subreddit:trails -member-> reddit:comment:c1",
        "reddit:post:a1 -reply-> reddit:comment:c1",
        "reddit:conversation:a1 -conversation-> reddit:post:a1",
        "reddit:conversation:a1 -conversation-> reddit:comment:c1",
    }
    assert "reddit:comment:c1 -reply-> reddit:comment:c2" in links(below)
    assert isinstance(top, Record)
    assert "replies" not in top.complete
    assert said(top, "reddit:comment:c1").title == "says c1"


def test_a_hidden_score_is_unknown(tmp_path: Path) -> None:
    item = read_one(REDDIT, tmp_path, listing(comment("c1", "t3_a1", score=1, score_hidden=True)))
    assert "score" not in said(item, "reddit:comment:c1").meta


def test_a_gallery_keeps_its_order_and_captions(tmp_path: Path) -> None:
    def medium(name: str, **source: Any) -> dict[str, Any]:
        return {"id": name, "e": "Image", "status": "valid", "s": {"x": 30, "y": 20, **source}}

    gallery = post(
        is_gallery=True,
        url="https://www.reddit.com/gallery/a1",
        gallery_data={"items": [{"media_id": "zzz111"}, {"media_id": "aaa222", "caption": "Two"}]},
        media_metadata={
            "aaa222": medium("aaa222", u="https://preview.redd.it/aaa222.png?width=30&amp;s=1"),
            "zzz111": medium("zzz111", gif="https://i.redd.it/zzz111.gif"),
        },
    )
    files = {"listing.json": listing(gallery), "images/aaa222.png": b"png"}
    (item,) = read(REDDIT, tmp_path, files)
    assert {link for link in links(item) if "contains" in link} == {
        "reddit:post:a1 -contains 0-> reddit:media:zzz111",
        "reddit:post:a1 -contains 1-> file:images/aaa222.png",
    }
    second = said(item, MediaFile("images/aaa222.png"))
    assert (second.title, second.is_root, second.author) == ("Two", True, "reddit:user:ann_lee")
    assert second.meta == {
        "media_id": "aaa222",
        "url": "https://preview.redd.it/aaa222.png?width=30&s=1",
        "width": 30,
        "height": 20,
    }
    assert said(item, "reddit:media:zzz111").title == "A walk"
    assert not any("-linked->" in link for link in links(item))


def test_escaped_text_and_addresses(tmp_path: Path) -> None:
    escaped = post(title="Salt &amp; pepper &lt;3", url="https://example.org/?a=1&amp;b=2")
    item = read_one(REDDIT, tmp_path, listing(escaped))
    assert said(item, "reddit:post:a1").title == "Salt & pepper <3"
    assert "reddit:post:a1 -linked-> web:page:https://example.org/?a=1&b=2" in links(item)


def test_text_that_was_not_escaped_stays(tmp_path: Path) -> None:
    item = read_one(REDDIT, tmp_path, listing(post(title="What does &amp; mean? R&D")))
    assert said(item, "reddit:post:a1").title == "What does &amp; mean? R&D"


def test_pictures_videos_and_previews(tmp_path: Path) -> None:
    picture = post(
        "p1",
        url="https://i.redd.it/qwertyuiop12.jpg",
        preview={
            "images": [
                {
                    "source": {
                        "url": "https://external-preview.redd.it/PreviewName1.jpg?s=1",
                        "width": 9,
                        "height": 8,
                    }
                }
            ]
        },
    )
    video = post(
        "v1",
        url="https://v.redd.it/abcdefghijklm",
        is_video=True,
        media={
            "reddit_video": {
                "fallback_url": "https://v.redd.it/abcdefghijklm/DASH_720?source=fallback",
                "width": 1280,
                "height": 720,
            }
        },
    )
    elsewhere = post("e1", url="http://i.example.net/Hq8Zx1.gifv")
    own = post("o1", url="https://example.org/page", thumbnail="default")
    files = {
        "listing.json": listing(picture, video, elsewhere, own),
        "qwertyuiop12.jpg": b"jpg",
        "PreviewName1.jpg": b"small",
        "v1.mp4": b"mp4",
        "o1_1.png": b"png",
    }
    items = read(REDDIT, tmp_path, files)
    assert links(items[0]) >= {
        "reddit:post:p1 -contains 0-> file:qwertyuiop12.jpg",
        "file:qwertyuiop12.jpg -thumbnail-> file:PreviewName1.jpg",
    }
    assert said(items[0], MediaFile("qwertyuiop12.jpg")).meta["width"] == 9
    assert "reddit:post:v1 -contains 0-> file:v1.mp4" in links(items[1])
    assert said(items[1], MediaFile("v1.mp4")).meta["media_id"] == "abcdefghijklm"
    assert "reddit:post:e1 -contains 0-> web:media:http://i.example.net/Hq8Zx1.gifv" in links(
        items[2]
    )
    assert "reddit:post:o1 -contains 0-> file:o1_1.png" in links(items[3])


def test_a_crosspost_repeats_its_original(tmp_path: Path) -> None:
    original = post("orig", url="https://i.redd.it/qwertyuiop12.jpg")["data"]
    again = post(
        "again",
        crosspost_parent="t3_orig",
        crosspost_parent_list=[original],
        url="https://i.redd.it/qwertyuiop12.jpg",
    )
    items = read(REDDIT, tmp_path, {"listing.json": listing(again)})
    assert [item.subject for item in items if isinstance(item, Record)] == [
        "reddit:post:again",
        "reddit:post:orig",
    ]
    assert "reddit:post:orig -repost-> reddit:post:again" in links(items[0])
    assert not any("-contains" in link for link in links(items[0]))
    assert "reddit:post:orig -contains 0-> reddit:media:qwertyuiop12" in links(items[1])


def test_a_link_to_another_post(tmp_path: Path) -> None:
    target = "https://old.reddit.com/r/Maps/comments/zz9/title/"
    item = read_one(REDDIT, tmp_path, listing(post(url=target)))
    assert "reddit:post:a1 -linked-> reddit:post:zz9" in links(item)


def test_an_export_with_comments_in_it(tmp_path: Path) -> None:
    export = """{
      // what I kept
      "profile": {"name": "me"},
      "saved": [{"name": "t3_s1", "id": "s1", "title": "Kept", "created_utc": 1600000000.0,
                 "subreddit": {"display_name": "Maps", "subscribers": 7},
                 "author": {"name": "Cy"}, "permalink": "/r/Maps/comments/s1/kept/",}],
      "comments": [],
      "inbox": [{"name": "t4_m1", "id": "m1", "subject": "hello", "body": "hi", "was_comment": false,
                 "author": {"name": "Dee"}, "created_utc": 1600000001.0}],
    }"""  # noqa: E501
    items = read(REDDIT, tmp_path, {"export.json": export})
    assert [(item.number, item.subject) for item in items if isinstance(item, Record)] == [
        (0, "reddit:post:s1"),
        (1, "reddit:message:m1"),
    ]
    assert "reddit:user:cy -authored-> reddit:post:s1" in links(items[0])
    assert "reddit:subreddit:maps -member-> reddit:post:s1" in links(items[0])
    assert said(items[0], "reddit:subreddit:maps").meta["subscriber_count"] == 7
    assert said(items[1], "reddit:message:m1").title == "hello"


def test_lines_without_envelopes(tmp_path: Path) -> None:
    lines = [json.dumps(post("l1")["data"]), "{broken", json.dumps(comment("c9", "t3_l1")["data"])]
    items = read(REDDIT, tmp_path, {"dump.jsonl": "\n".join(lines)})
    assert [type(item).__name__ for item in items] == ["Record", "Problem", "Record"]
    assert isinstance(items[1], Problem)
    assert "line 2" in items[1].reason


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    nameless = {"kind": "t3", "data": {"title": "no id"}}
    files = {
        "a.json": listing(nameless, post("ok")),
        "b.json": {"kind": "Listing", "data": {"children": []}},
        "c.json": "{ ...\n}",
        "d.json": {"something": "else"},
    }
    items = read(REDDIT, tmp_path, files)
    problems = {item.path: item.reason for item in items if isinstance(item, Problem)}
    assert set(problems) == {"a.json", "b.json", "c.json", "d.json"}
    assert "neither a name" in problems["a.json"]
    assert sum(isinstance(item, Record) for item in items) == 1


TREE = [
    listing(
        post(
            gallery_data={"items": [{"media_id": "m1"}]},
            media_metadata={"m1": {"s": {"u": "https://preview.redd.it/m1.png", "x": 1, "y": 2}}},
            crosspost_parent="t3_b2",
            crosspost_parent_list=[post("b2")["data"]],
            preview={"images": [{"source": {"url": "u", "width": 1}, "resolutions": []}]},
            media={"reddit_video": {"fallback_url": "https://v.redd.it/x/DASH", "width": 1}},
        )
    ),
    listing(comment("c1", "t3_a1", replies=listing(comment("c2", "t1_c1")))),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(TREE))
def test_mutated_records_never_raise(value: Any) -> None:
    check_mutated(REDDIT, value)
