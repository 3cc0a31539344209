"""The Tumblr API: made-up responses with every quirk, then samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    counts,
    links,
    mutated,
    read_set,
    said,
    samples,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem
from adapters.sources.tumblr.posts import ADAPTERS

TUMBLR = ADAPTERS[0]
KEY = "0123456789abcdef0123456789abcdef/0123456789abcdef-01"
BASE = f"https://64.media.tumblr.com/{KEY}"
ID = 738291028374650123


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
