"""Reddit as its API gives it: made-up listings with every quirk, then samples checked by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    mutated,
)

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
