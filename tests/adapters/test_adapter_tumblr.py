"""The Tumblr API: made-up responses with every quirk, then samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    counts,
    links,
    mutated,
    read,
    read_one,
    read_set,
    said,
    samples,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.tumblr.posts import ADAPTERS

TUMBLR = ADAPTERS[0]
KEY = "0123456789abcdef0123456789abcdef/0123456789abcdef-01"
BASE = f"https://64.media.tumblr.com/{KEY}"
ID = 738291028374650123
POST = f"tumblr:post:{ID}"


def post(identity: int = ID, **fields: Any) -> dict[str, Any]:
    data = {
        "type": "text",
        "id": identity,
        "id_string": str(identity),
        "blog_name": "Hill-Walks",
        "blog": {"name": "Hill-Walks", "uuid": "t:abc", "title": "Hills", "updated": 1600000000},
        "post_url": f"https://hill-walks.tumblr.com/post/{identity}",
        "slug": "a-walk",
        "date": "2020-09-13 12:26:40 GMT",
        "timestamp": 1600000000,
        "state": "published",
        "reblog_key": "k",
        "tags": ["Hills", "long walks"],
        "note_count": 12,
        "summary": "short",
    }
    return data | fields


def response(*posts: dict[str, Any]) -> dict[str, Any]:
    return {"meta": {"status": 200, "msg": "OK"}, "response": {"posts": list(posts)}}


def test_a_text_post(tmp_path: Path) -> None:
    told = post(title="A walk", body="<p>Up<br/>down</p>")
    (item,) = read(TUMBLR, tmp_path, {"posts.json": response(told)})
    assert links(item) == {
        f"tumblr:user:t:abc -authored-> {POST}",
        "tumblr:user:t:abc -alias-> tumblr:username:hill-walks",
        f"tumblr:tag:hills -tagged-> {POST}",
        f"tumblr:tag:long walks -tagged-> {POST}",
    }
    row = said(item, POST)
    assert (row.title, row.author) == ("A walk", "tumblr:user:t:abc")
    assert row.update_time == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert row.meta == {
        "post_id": "738291028374650123",
        "blog_name": "Hill-Walks",
        "blog_uuid": "t:abc",
        "post_type": "text",
        "post_url": f"https://hill-walks.tumblr.com/post/{ID}",
        "slug": "a-walk",
        "state": "published",
        "note_count": 12,
        "tags": ["Hills", "long walks"],
    }
    assert said(item, "tumblr:user:t:abc").title == "Hills"


def test_a_blog_that_is_known_by_name(tmp_path: Path) -> None:
    item = read_one(TUMBLR, tmp_path, post(blog=None, body="<p>text only</p>"))
    assert said(item, POST).author == "tumblr:username:hill-walks"
    assert said(item, POST).title == "text only"


def test_legacy_photos_in_many_sizes(tmp_path: Path) -> None:
    def size(width: int, name: str) -> dict[str, Any]:
        return {
            "url": f"https://66.media.tumblr.com/x/{name}_{width}.jpg",
            "width": width,
            "height": 9,
        }

    one = {
        "caption": "The top",
        "original_size": size(1280, "tumblr_abc1o1"),
        "alt_sizes": [
            size(1280, "tumblr_abc1o1"),
            size(500, "tumblr_abc1o1"),
            size(250, "tumblr_abc1o1"),
        ],
    }
    two = {"caption": "", "original_size": size(1280, "tumblr_abc1o2"), "alt_sizes": []}
    told = post(type="photo", photos=[one, two], caption="<p>Two views</p>")
    files = {"tumblr_abc1o1_500.jpg": b"5", "tumblr_abc1o1_250.jpg": b"2"}
    (item,) = read(TUMBLR, tmp_path, {"posts.json": response(told), **files})
    assert {link for link in links(item) if "tumblr_abc" in link} == {
        f"{POST} -contains 0-> file:tumblr_abc1o1_500.jpg",
        "file:tumblr_abc1o1_500.jpg -variant-> file:tumblr_abc1o1_250.jpg",
        f"{POST} -contains 1-> tumblr:media:tumblr_abc1o2",
    }
    first = said(item, MediaFile("tumblr_abc1o1_500.jpg"))
    assert (first.title, first.is_root, first.meta["width"]) == ("The top", True, 1280)
    assert said(item, "tumblr:media:tumblr_abc1o2").title == "Two views"


def test_legacy_video_sound_quote_link(tmp_path: Path) -> None:
    video = post(
        1,
        type="video",
        video_url="https://va.media.tumblr.com/tumblr_vid1.mp4",
        duration=4,
        thumbnail_url="https://64.media.tumblr.com/tumblr_vid1_frame1.jpg",
    )
    sound = post(
        2,
        type="audio",
        audio_url="https://a.tumblr.com/tumblr_aud1o1.mp3",
        plays=6,
        artist="Band",
        album="Disc",
        track_name="Song",
        caption="",
    )
    quote = post(3, type="quote", text="To be &amp; not", source="<a href='x'>W</a>")
    link = post(4, type="link", url="https://news.example/1", title="News", description="<p>d</p>")
    files = {
        "p.json": response(video, sound, quote, link),
        "1.mp4": b"1",
        "tumblr_vid1_frame1.jpg": b"2",
    }
    items = read(TUMBLR, tmp_path, files)
    assert links(items[0]) >= {
        "tumblr:post:1 -contains 0-> file:1.mp4",
        "file:1.mp4 -thumbnail-> file:tumblr_vid1_frame1.jpg",
    }
    assert said(items[0], MediaFile("1.mp4")).meta["duration_s"] == 4.0
    song = said(items[1], "tumblr:media:https://a.tumblr.com/tumblr_aud1o1.mp3")
    assert (song.title, song.meta["artist"], song.meta["album"]) == ("Song", "Band", "Disc")
    assert said(items[1], "tumblr:post:2").meta["play_count"] == 6
    assert said(items[2], "tumblr:post:3").title == "To be & not"
    assert "tumblr:post:4 -linked-> web:page:https://news.example/1" in links(items[3])


def test_blocks(tmp_path: Path) -> None:
    content = [
        {"type": "text", "subtype": "heading1", "text": "Walks"},
        {
            "type": "image",
            "alt_text": "a hill",
            "media": [
                {
                    "type": "image/jpeg",
                    "url": f"{BASE}/s640x960/a.jpg",
                    "width": 640,
                    "height": 480,
                },
                {
                    "type": "image/jpeg",
                    "url": f"{BASE}/s1280x1920/b.jpg",
                    "width": 1280,
                    "height": 960,
                },
            ],
        },
        {
            "type": "text",
            "text": "see here",
            "formatting": [{"type": "link", "url": "https://x.example/"}],
        },
        {"type": "video", "provider": "youtube", "url": "https://www.youtube.com/watch?v=1"},
        {
            "type": "audio",
            "title": "Song",
            "artist": "Band",
            "duration": 2500,
            "media": {"type": "audio/mp3", "url": "https://a.tumblr.com/tumblr_xyz9.mp3"},
            "poster": [{"url": "https://64.media.tumblr.com/tumblr_xyz9_500.jpg"}],
        },
        {"type": "image", "media": []},
    ]
    told = post(type="blocks", original_type="photo", content=content, trail=[])
    (item,) = read(TUMBLR, tmp_path, {"p.json": response(told), "tumblr_xyz9_500.jpg": b"1"})
    song = "tumblr:media:https://a.tumblr.com/tumblr_xyz9.mp3"
    assert {link for link in links(item) if link.startswith((POST, song))} == {
        f"{POST} -contains 0-> tumblr:media:{KEY}",
        f"{POST} -contains 1-> {song}",
        f"{song} -thumbnail-> file:tumblr_xyz9_500.jpg",
        f"{POST} -linked-> web:page:https://x.example/",
        f"{POST} -linked-> web:page:https://www.youtube.com/watch?v=1",
    }
    hill = said(item, f"tumblr:media:{KEY}")
    assert hill.meta["media_url"] == f"{BASE}/s1280x1920/b.jpg"
    assert (hill.meta["width"], hill.meta["alt_text"]) == (1280, "a hill")
    assert said(item, song).meta["duration_s"] == 2.5
    assert said(item, POST).title == "Walks\nsee here"
    assert said(item, POST).meta["post_type"] == "photo"


def test_a_reblog_chain(tmp_path: Path) -> None:
    trail = [
        {
            "blog": {"name": "root-blog"},
            "post": {"id": "11"},
            "content": [{"type": "text", "text": "first"}],
        },
        {"blog": {"name": "mid-blog", "uuid": "t:mid"}, "post": {"id": "22"}, "content": []},
        {"broken_blog_name": "gone", "content": [{"type": "text", "text": "lost"}]},
        {"blog": {"name": "Hill-Walks"}, "post": {"id": str(ID)}, "content_raw": "<p>mine</p>"},
    ]
    told = post(
        trail=trail, reblogged_from_id="33", reblogged_from_name="near-blog", reblogged_root_id="11"
    )
    items = read(TUMBLR, tmp_path, {"p.json": response(told)})
    assert [item.subject for item in items if isinstance(item, Record)] == [POST, "tumblr:post:11"]
    assert {link for link in links(items[0]) if "-repost->" in link or "authored" in link} == {
        "tumblr:post:11 -repost-> tumblr:post:22",
        "tumblr:post:22 -repost-> tumblr:post:33",
        f"tumblr:post:33 -repost-> {POST}",
        "tumblr:username:root-blog -authored-> tumblr:post:11",
        "tumblr:user:t:mid -authored-> tumblr:post:22",
        "tumblr:username:near-blog -authored-> tumblr:post:33",
        f"tumblr:user:t:abc -authored-> {POST}",
    }
    assert said(items[1], "tumblr:post:11").title == "first"


def test_pictures_in_html(tmp_path: Path) -> None:
    body = f'<p>Look <img src="{BASE}/s1280x1920/c.jpg" alt="x"><img src="data:image/gif,1"></p>'
    (item,) = read(TUMBLR, tmp_path, {"p.json": response(post(body=body))})
    assert {link for link in links(item) if "contains" in link} == {
        f"{POST} -contains 0-> tumblr:media:{KEY}"
    }


def test_blogs_and_notes(tmp_path: Path) -> None:
    blog = {
        "meta": {"status": 200},
        "response": {"blog": {"name": "Hill-Walks", "uuid": "t:abc", "posts": 4}},
    }
    notes = {
        "response": {
            "notes": [
                {"type": "like", "timestamp": 1600000000, "blog_name": "x"},
                {"type": "reblog", "timestamp": 1600000000, "blog_name": "y", "post_id": "44"},
                {"type": "reply", "timestamp": 1600000000, "blog_name": "z", "reply_text": "nice"},
            ]
        },
        "meta": {"status": 200},
    }
    items = read(TUMBLR, tmp_path, {"a.json": blog, "b.json": notes})
    assert said(items[0], "tumblr:user:t:abc").meta["post_count"] == 4
    assert "tumblr:username:y -authored-> tumblr:post:44" in links(items[1])
    assert isinstance(items[2], Problem)
    assert "no id of its own" in items[2].reason


def test_bodies_of_requests_are_problems(tmp_path: Path) -> None:
    files = {
        "a.json": {"content": [{"type": "text", "text": "x"}]},
        "b.json": {"type": "image", "media": [{"url": "u"}]},
        "c.json": response(post(None, id_string=None)),  # type: ignore[arg-type]
        "d.json": {"x": 1},
    }
    items = read(TUMBLR, tmp_path, files)
    assert len(items) == 4
    assert all(isinstance(item, Problem) and item.reason for item in items)


TEMPLATE = response(
    post(
        photos=[
            {
                "caption": "c",
                "original_size": {"url": f"{BASE}/a_500.jpg", "width": 1},
                "alt_sizes": [{"url": "b"}],
            }
        ],
        content=[
            {
                "type": "image",
                "media": [{"url": f"{BASE}/b.jpg", "width": 2, "media_key": "a:b"}],
                "poster": [{"url": "p"}],
                "attribution": {"url": "https://x.example"},
            },
            {"type": "text", "text": "t", "formatting": [{"url": "https://x.example"}]},
        ],
        trail=[
            {"blog": {"name": "a"}, "post": {"id": "1"}, "content": [{"type": "text", "text": "t"}]}
        ],
        body="<p><img src='https://x.example/a.png'></p>",
        reblogged_from_id="5",
        video_url="https://x/v.mp4",
    )
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(TEMPLATE))
def test_mutated_posts_never_raise(value: Any) -> None:
    check_mutated(TUMBLR, value)


# ---- Samples --------------------------------------------------------------------------------


def test_samples() -> None:
    items = read_set(TUMBLR, "tumblr-docs")
    found = counts(items)
    assert len(found) == 19
    # The rest are blocks that a manual shows or a request sends, and a list of filtered words.
    assert {path for path, count in found.items() if count == (1, 0)} == {
        "api.0.json",
        "api.3.json",
    }
    assert set(found.values()) == {(1, 0), (0, 1)}
    assert TUMBLR.sniff(ScrapeFolder.of(samples("tumblr-docs"))).confidence >= 0.8
    blog = said(items[("api.0.json", 0)], "tumblr:username:david")
    assert (blog.title, blog.update_time) == ("david", datetime(2020, 6, 1, 18, 22, 40, tzinfo=UTC))
    reblog = items[("api.3.json", 0)]
    assert links(reblog) == {
        "tumblr:user:t:abcd1234 -authored-> tumblr:post:1123456688899000",
        "tumblr:user:t:abcd1234 -alias-> tumblr:username:test-blog",
    }
    row = said(reblog, "tumblr:post:1123456688899000")
    assert row.update_time == datetime(2020, 7, 23, 18, 6, 14, tzinfo=UTC)
    bodies = [item for item in items.values() if isinstance(item, Problem) and item.number == -1]
    assert len(bodies) == 16
    assert all("body of a request" in item.reason for item in bodies)
    words = items[("api.5.json", 0)]
    assert isinstance(words, Problem)
    assert "no post, blog or note" in words.reason
