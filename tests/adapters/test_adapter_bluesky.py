"""Bluesky: made-up views and records with every quirk, then samples checked by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    counts,
    links,
    mutated,
    observed,
    read,
    read_one,
    read_set,
    said,
    samples,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.bluesky.records import ADAPTERS

BLUESKY = ADAPTERS[0]
ANN, BOB = "did:plc:ann", "did:plc:bob"
CID_1 = "bafkreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
CID_2 = "bafkreibbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"


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


def test_a_thread(tmp_path: Path) -> None:
    reply = {"root": {"uri": uri("r1"), "cid": "c"}, "parent": {"uri": uri("p1"), "cid": "c"}}
    thread = {
        "thread": {
            "$type": "app.bsky.feed.defs#threadViewPost",
            "post": view("b1", BOB, {"reply": reply, "langs": ["en"]}),
            "parent": {
                "$type": "app.bsky.feed.defs#notFoundPost",
                "uri": uri("p1"),
                "notFound": True,
            },
            "replies": [{"post": view("c1", record={"reply": reply}), "replies": []}],
        }
    }
    items = read(BLUESKY, tmp_path, {"thread.json": thread})
    answer = f"bluesky:post:{uri('b1', BOB)}"
    assert [(item.number, isinstance(item, Record)) for item in items] == [(0, True), (1, True)]
    assert links(items[0]) == {
        f"bluesky:user:{BOB} -authored-> {answer}",
        f"bluesky:user:{BOB} -alias-> bluesky:username:bob.example",
        f"bluesky:post:{uri('p1')} -reply-> {answer}",
        f"bluesky:conversation:{uri('r1')} -conversation-> bluesky:post:{uri('r1')}",
        f"bluesky:conversation:{uri('r1')} -conversation-> {answer}",
    }
    row = said(items[0], answer)
    assert (row.title, row.author) == ("text b1", f"bluesky:user:{BOB}")
    assert row.update_time == datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert row.meta == {
        "uri": uri("b1", BOB),
        "cid": "bafyreicid",
        "like_count": 3,
        "repost_count": 2,
        "reply_count": 1,
        "quote_count": 0,
        "languages": ["en"],
    }
    assert said(items[0], f"bluesky:user:{BOB}").title == "Bob"


def test_pictures_of_record_and_view(tmp_path: Path) -> None:
    images = [
        {"alt": "a hill", "image": blob(CID_1), "aspectRatio": {"width": 4, "height": 3}},
        {"alt": "", "image": blob(CID_2)},
    ]
    shown = [
        {"fullsize": f"https://cdn.example/img/plain/{ANN}/{CID_1}@jpeg", "alt": "a hill"},
        {"fullsize": f"https://cdn.example/img/plain/{ANN}/{CID_2}@jpeg"},
    ]
    told = view(
        "i1",
        record={"embed": {"$type": "app.bsky.embed.images", "images": images}},
        embed={"$type": "app.bsky.embed.images#view", "images": shown},
    )
    items = read(BLUESKY, tmp_path, {"posts.json": {"posts": [told]}, f"media/{CID_2}.jpg": b"2"})
    post = f"bluesky:post:{uri('i1')}"
    assert {link for link in links(items[0]) if "contains" in link} == {
        f"{post} -contains 0-> bluesky:media:{CID_1}",
        f"{post} -contains 1-> file:media/{CID_2}.jpg",
    }
    hill = said(items[0], f"bluesky:media:{CID_1}")
    assert (hill.title, hill.is_root, hill.author) == ("a hill", True, f"bluesky:user:{ANN}")
    assert hill.meta["alt_text"] == "a hill"
    assert (hill.meta["width"], hill.meta["height"]) == (4, 3)
    assert hill.meta["media_url"] == f"https://cdn.example/img/plain/{ANN}/{CID_1}@jpeg"
    assert said(items[0], MediaFile(f"media/{CID_2}.jpg")).title == "text i1"


def test_the_view_alone_names_its_picture(tmp_path: Path) -> None:
    shown = {"images": [{"fullsize": f"https://cdn.example/plain/{ANN}/{CID_1}@jpeg", "alt": ""}]}
    items = read(BLUESKY, tmp_path, {"p.json": [view("i2", embed=shown)]})
    assert f"bluesky:post:{uri('i2')} -contains 0-> bluesky:media:{CID_1}" in links(items[0])


def test_a_video_and_a_link_card(tmp_path: Path) -> None:
    video = {"embed": {"$type": "app.bsky.embed.video", "video": blob(CID_1), "alt": "waves"}}
    seen = {"cid": CID_1, "playlist": f"https://video.example/{CID_1}/playlist.m3u8"}
    card = {"embed": {"external": {"uri": "https://news.example/1", "title": "News"}}}
    files = {
        "p.json": [view("v1", record=video, embed=seen), view("e1", record=card)],
        "v1.mp4": b"v",
    }
    items = read(BLUESKY, tmp_path, files)
    assert f"bluesky:post:{uri('v1')} -contains 0-> file:v1.mp4" in links(items[0])
    assert said(items[0], MediaFile("v1.mp4")).meta["alt_text"] == "waves"
    assert f"bluesky:post:{uri('e1')} -linked-> web:page:https://news.example/1" in links(items[1])


def test_quotes_with_and_without_media(tmp_path: Path) -> None:
    inner = {
        "$type": "app.bsky.embed.record#viewRecord",
        "uri": uri("q1", BOB),
        "cid": "c",
        "author": {"did": BOB, "handle": "bob.example"},
        "value": {"$type": "app.bsky.feed.post", "text": "quoted"},
    }
    plain = view(
        "a1",
        record={"embed": {"record": {"uri": uri("q1", BOB), "cid": "c"}}},
        embed={"$type": "app.bsky.embed.record#view", "record": inner},
    )
    both = view(
        "a2",
        record={
            "embed": {
                "record": {"record": {"uri": uri("q1", BOB)}},
                "media": {"images": [{"image": blob(CID_1), "alt": ""}]},
            }
        },
        embed={"record": {"record": inner}},
    )
    feed = view(
        "a3", record={"embed": {"record": {"uri": uri("g", BOB, "app.bsky.feed.generator")}}}
    )
    items = read(BLUESKY, tmp_path, {"p.json": [plain, both, feed]})
    quoted = f"bluesky:post:{uri('q1', BOB)}"
    assert [item.subject for item in items if isinstance(item, Record)] == [
        f"bluesky:post:{uri('a1')}",
        quoted,
        f"bluesky:post:{uri('a2')}",
        quoted,
        f"bluesky:post:{uri('a3')}",
    ]
    assert f"{quoted} -quote-> bluesky:post:{uri('a1')}" in links(items[0])
    assert links(items[2]) >= {
        f"{quoted} -quote-> bluesky:post:{uri('a2')}",
        f"bluesky:post:{uri('a2')} -contains 0-> bluesky:media:{CID_1}",
    }
    generator = f"bluesky:record:{uri('g', BOB, 'app.bsky.feed.generator')}"
    assert f"bluesky:post:{uri('a3')} -linked-> {generator}" in links(items[4])


def test_facets_and_labels(tmp_path: Path) -> None:
    facets = [
        {
            "features": [
                {"$type": "app.bsky.richtext.facet#tag", "tag": "Cats"},
                {"$type": "app.bsky.richtext.facet#mention", "did": BOB},
                {"$type": "app.bsky.richtext.facet#link", "uri": "https://x.example/"},
            ]
        }
    ]
    told = view("f1", record={"facets": facets, "tags": ["dogs"]}, labels=[{"val": "porn"}])
    (item,) = read(BLUESKY, tmp_path, {"p.json": [told]})
    post = f"bluesky:post:{uri('f1')}"
    assert links(item) >= {
        f"bluesky:tag:cats -tagged-> {post}",
        f"bluesky:tag:dogs -tagged-> {post}",
        f"{post} -mentioned-> bluesky:user:{BOB}",
        f"{post} -linked-> web:page:https://x.example/",
    }
    assert said(item, post).meta["hashtags"] == ["dogs", "Cats"]
    assert said(item, post).meta["labels"] == ["porn"]


def test_reposts(tmp_path: Path) -> None:
    by = {"did": BOB, "handle": "bob.example"}
    again = uri("rp", BOB, "app.bsky.feed.repost")
    reason = {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "by": by,
        "uri": again,
        "indexedAt": "2024-02-01",
    }
    nameless = {"$type": "app.bsky.feed.defs#reasonRepost", "by": by, "indexedAt": "2024-02-01"}
    feed = {
        "feed": [{"post": view("o1"), "reason": reason}, {"post": view("o2"), "reason": nameless}],
        "cursor": "x",
    }
    record = {
        "uri": again,
        "cid": "c",
        "value": {
            "$type": "app.bsky.feed.repost",
            "subject": {"uri": uri("o1"), "cid": "c"},
            "createdAt": "2024-02-01T00:00:00Z",
        },
    }
    items = read(BLUESKY, tmp_path, {"a.json": feed, "b.json": record})
    assert len(items) == 4
    edge = f"bluesky:post:{uri('o1')} -repost-> bluesky:post:{again}"
    assert edge in links(items[0])
    assert edge in links(items[3])
    assert f"bluesky:user:{BOB} -authored-> bluesky:post:{again}" in links(items[3])


def test_records_of_other_lexicons_and_profiles(tmp_path: Path) -> None:
    custom = {
        "uri": uri("k", ANN, "org.example.photo"),
        "cid": "c",
        "value": {"$type": "org.example.photo", "title": "Mine", "files": [{"x": blob(CID_1)}]},
    }
    profile = {
        "uri": uri("self", ANN, "app.bsky.actor.profile"),
        "cid": "c",
        "value": {"$type": "app.bsky.actor.profile", "displayName": "Ann"},
    }
    seen = {"did": BOB, "handle": "bob.example", "followersCount": 8, "postsCount": 2}
    items = read(BLUESKY, tmp_path, {"a.json": custom, "b.json": profile, "c.json": seen})
    photo = f"bluesky:record:{uri('k', ANN, 'org.example.photo')}"
    assert f"{photo} -contains 0-> bluesky:media:{CID_1}" in links(items[0])
    assert said(items[0], photo).title == "Mine"
    assert said(items[1], f"bluesky:user:{ANN}").title == "Ann"
    assert said(items[2], f"bluesky:user:{BOB}").meta["follower_count"] == 8


def test_lines_of_jetstream(tmp_path: Path) -> None:
    def event(**commit: Any) -> str:
        told = {"collection": "app.bsky.feed.post", "rkey": "j1", **commit}
        return json.dumps({"did": ANN, "time_us": 1, "kind": "commit", "commit": told})

    post = event(
        operation="create", cid="c", record={"$type": "app.bsky.feed.post", "text": "live"}
    )
    items = read(BLUESKY, tmp_path, {"live.jsonl": f"{post}\n{event(operation='delete')}\n"})
    assert said(items[0], f"bluesky:post:{uri('j1')}").title == "live"
    assert isinstance(items[1], Problem)
    assert "deleted" in items[1].reason


def test_an_address_with_a_handle(tmp_path: Path) -> None:
    record = {"uri": uri("h1", "Ann.example"), "cid": "c", "value": {"text": "x"}}
    item = read_one(BLUESKY, tmp_path, record)
    assert (
        said(item, f"bluesky:post:{uri('h1', 'Ann.example')}").author
        == "bluesky:username:ann.example"
    )


def test_what_has_no_address(tmp_path: Path) -> None:
    bare = {"$type": "app.bsky.feed.post", "text": "x", "createdAt": "2024-01-01"}
    items = read(BLUESKY, tmp_path, {"a.json": bare, "b.json": {"cursor": "x"}, "c.json": "[1,"})
    assert all(isinstance(item, Problem) for item in items)
    assert len(items) == 3


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
