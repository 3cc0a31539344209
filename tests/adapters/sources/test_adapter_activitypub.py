"""ActivityPub objects: made-up activities with every quirk, then samples checked by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    mutated,
)

from adapters.sources.fediverse.activitypub import ADAPTERS

ACTIVITYPUB = ADAPTERS[0]
CONTEXT = "https://www.w3.org/ns/activitystreams"
ANN = "https://one.example/users/ann"
NOTE = "https://one.example/notes/1"


def note(identity: str = NOTE, **fields: Any) -> dict[str, Any]:
    data = {
        "@context": CONTEXT,
        "id": identity,
        "type": "Note",
        "attributedTo": ANN,
        "published": "2024-01-02T03:04:05Z",
        "content": "<p>Hello <b>w</b>orld</p>",
    }
    return data | fields


TEMPLATE = {
    "@context": CONTEXT,
    "type": "Create",
    "actor": ANN,
    "object": note(
        type="Video",
        url=[
            {
                "mediaType": "video/mp4",
                "href": "https://v.example/film.mp4",
                "height": 1,
                "tag": [{"mediaType": "video/mp4", "href": "https://v.example/film2.mp4"}],
            }
        ],
        attachment=[
            {"type": "Document", "mediaType": "image/png", "url": "https://v.example/a.png"}
        ],
        tag=[{"type": "Hashtag", "name": "#a"}, {"type": "Mention", "href": ANN}],
        attributedTo=[{"type": "Person", "id": ANN, "name": "Ann"}, {"type": "Group", "id": "g"}],
        duration="PT1S",
        icon=[{"url": "https://v.example/i.png"}],
        inReplyTo=[{"id": "x"}],
        replies={"first": {"items": ["y"]}},
        location={"name": "here"},
        oneOf=[{"name": "z"}],
    ),
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(TEMPLATE))
def test_mutated_objects_never_raise(value: Any) -> None:
    check_mutated(ACTIVITYPUB, value)
