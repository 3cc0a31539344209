"""Facebook Graph API: quirks on values of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    check_survives,
    mutated,
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


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_objects_never_raise(tmp_path: Path, value: st.DataObject):
    post = {**POST, "comments": {"data": [{**COMMENT, "comments": {"data": [COMMENT]}}]}}
    url = "https://www.facebook.com/7/posts/11/?comment_id=31"
    original = {"data": [post, PHOTO, {**COMMENT, "permalink_url": url}], "paging": {"next": url}}
    check_survives(GRAPH, tmp_path, "a.json", value.draw(mutated(original)))
