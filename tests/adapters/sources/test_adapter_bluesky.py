"""Bluesky: made-up views and records with every quirk, then samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    counts,
    links,
    mutated,
    observed,
    read_set,
    said,
    samples,
)

from adapters.records.folder import ScrapeFolder
from adapters.sources.bluesky.records import ADAPTERS

BLUESKY = ADAPTERS[0]
ANN, BOB = "did:plc:ann", "did:plc:bob"
CID_1 = "bafkreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"


def uri(key: str, did: str = ANN, collection: str = "app.bsky.feed.post") -> str:
    return f"at://{did}/{collection}/{key}"


def blob(cid: str) -> dict[str, Any]:
    return {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/jpeg", "size": 5}


def view(
    key: str, did: str = ANN, record: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    name = did.rpartition(":")[2]
    data = {
        "uri": uri(key, did),
        "cid": "bafyreicid",
        "author": {"did": did, "handle": f"{name}.example", "displayName": name.title()},
        "record": {
            "$type": "app.bsky.feed.post",
            "text": f"text {key}",
            "createdAt": "2024-01-02T03:04:05.678Z",
            **(record or {}),
        },
        "likeCount": 3,
        "repostCount": 2,
        "replyCount": 1,
        "quoteCount": 0,
        "indexedAt": "2024-01-02T03:04:06Z",
    }
    return data | fields


TEMPLATE = {
    "feed": [
        {
            "post": view(
                "t1",
                record={
                    "reply": {"root": {"uri": uri("r")}, "parent": {"uri": uri("p")}},
                    "embed": {
                        "record": {"record": {"uri": uri("q")}},
                        "media": {"images": [{"alt": "a", "image": blob(CID_1)}]},
                    },
                    "facets": [
                        {"features": [{"tag": "a"}, {"did": BOB}, {"uri": "https://x.example"}]}
                    ],
                },
                embed={
                    "record": {"record": {"uri": uri("q"), "value": {"text": "q"}}},
                    "media": {"images": [{"fullsize": "f", "thumb": "t"}]},
                },
                labels=[{"val": "x"}],
            ),
            "reason": {
                "$type": "x#reasonRepost",
                "by": {"did": BOB, "handle": "b"},
                "uri": uri("z"),
            },
        },
        {"uri": uri("l", ANN, "app.bsky.feed.like"), "value": {"subject": {"uri": uri("a")}}},
    ]
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(TEMPLATE))
def test_mutated_views_never_raise(value: Any) -> None:
    check_mutated(BLUESKY, value)


# ---- Samples --------------------------------------------------------------------------------


def test_samples() -> None:
    items = read_set(BLUESKY, "bluesky-api")
    assert counts(items) == {
        "feed_record.json": (1, 0),
        "like_record.json": (1, 0),
        "post_record.json": (1, 0),
        "thread_view_post_with_embed_media.json": (2, 0),
    }
    assert BLUESKY.sniff(ScrapeFolder.of(samples("bluesky-api"))).confidence >= 0.9
    test = "did:plc:kvwvcn5iqfooopmyzvb4qzba"
    maker = "did:plc:s6jnht6koorxz7trghirytmf"
    feed = f"bluesky:record:at://{maker}/app.bsky.feed.generator/atproto"
    avatar = "bluesky:media:bafkreignfeqych2ksvvqyyrrlbsiwb4jrrlhvfuxppgtn6wbqusfaqo35u"
    assert links(items[("feed_record.json", -1)]) == {
        f"bluesky:user:{maker} -authored-> {feed}",
        f"{feed} -contains 0-> {avatar}",
    }
    assert said(items[("feed_record.json", -1)], feed).title == "AT Protocol"
    like = f"bluesky:record:at://{test}/app.bsky.feed.like/3k5u7c7j7a52v"
    assert links(items[("like_record.json", -1)]) == {
        f"bluesky:user:{test} -authored-> {like}",
        f"{like} -linked-> bluesky:post:at://{test}/app.bsky.feed.post/3k5u7c7eis72y",
    }
    post = f"bluesky:post:at://{test}/app.bsky.feed.post/3k2yihcrp6f2c"
    row = said(items[("post_record.json", -1)], post)
    assert (row.title, row.author) == ("new text114", f"bluesky:user:{test}")
    assert row.update_time == datetime(2024, 2, 22, 19, 58, 13, 903293, tzinfo=UTC)

    quoting = f"bluesky:post:at://{test}/app.bsky.feed.post/3kaheyt6vpc22"
    quoted = f"bluesky:post:at://{test}/app.bsky.feed.post/3kahesw26il2z"
    medium = "bluesky:media:bafkreic3cp5ky525vsukjvrzxsc2h3jka2gud74l2hgeatw2rhj2qycnmq"
    thread = items[("thread_view_post_with_embed_media.json", 0)]
    assert links(thread) == {
        f"bluesky:user:{test} -authored-> {quoting}",
        f"bluesky:user:{test} -alias-> bluesky:username:test.marshal.dev",
        f"{quoting} -contains 0-> {medium}",
        f"{quoted} -quote-> {quoting}",
    }
    assert observed(thread) == [quoting, f"bluesky:user:{test}", medium]
    inner = said(items[("thread_view_post_with_embed_media.json", 1)], quoted)
    assert (inner.title, inner.meta["like_count"]) == ("test", 0)
    assert inner.update_time == datetime(2023, 9, 28, 12, 46, 18, 414000, tzinfo=UTC)
