"""ActivityPub objects: made-up activities with every quirk, then samples checked by hand."""

from __future__ import annotations

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

from adapters.records.items import MediaFile, Problem
from adapters.sources.fediverse.activitypub import ADAPTERS

ACTIVITYPUB = ADAPTERS[0]
CONTEXT = "https://www.w3.org/ns/activitystreams"
ANN = "https://one.example/users/ann"
NOTE = "https://one.example/notes/1"
SUBJECT = f"activitypub:post:{NOTE}"


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


def test_a_note(tmp_path: Path) -> None:
    told = note(
        summary="food",
        sensitive=True,
        url="https://one.example/@ann/1",
        conversation="tag:one.example,2024:objectId=1",
        inReplyTo="https://two.example/notes/9",
        quoteUrl="https://two.example/notes/8",
        tag=[
            {"type": "Hashtag", "name": "#Cats"},
            {"type": "Mention", "href": "https://two.example/users/bob"},
            {"type": "Emoji", "name": ":x:"},
        ],
        likes={"type": "Collection", "totalItems": 3},
        replies={"first": {"items": ["https://two.example/notes/10"]}},
    )
    item = read_one(ACTIVITYPUB, tmp_path, told)
    assert links(item) == {
        f"activitypub:user:{ANN} -authored-> {SUBJECT}",
        f"{SUBJECT} -alias-> activitypub:post:https://one.example/@ann/1",
        f"activitypub:conversation:tag:one.example,2024:objectId=1 -conversation-> {SUBJECT}",
        f"activitypub:post:https://two.example/notes/9 -reply-> {SUBJECT}",
        f"activitypub:post:https://two.example/notes/8 -quote-> {SUBJECT}",
        f"{SUBJECT} -reply-> activitypub:post:https://two.example/notes/10",
        f"{SUBJECT} -mentioned-> activitypub:user:https://two.example/users/bob",
        f"activitypub:tag:cats -tagged-> {SUBJECT}",
    }
    row = said(item, SUBJECT)
    assert (row.title, row.author) == ("Hello world", f"activitypub:user:{ANN}")
    assert row.update_time == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert row.meta == {
        "uri": NOTE,
        "url": "https://one.example/@ann/1",
        "server": "one.example",
        "object_type": "Note",
        "spoiler_text": "food",
        "is_sensitive": True,
        "favourite_count": 3,
        "hashtags": ["Cats"],
    }


def test_urls_and_people_of_every_shape(tmp_path: Path) -> None:
    page = [{"type": "Link", "mediaType": "text/html", "href": "https://one.example/p/1"}]
    group = {"type": "Group", "id": "https://one.example/c/cats"}
    people = [group, {"type": "Person", "id": ANN, "name": "Ann"}, "https://one.example/users/bob"]
    item = read_one(ACTIVITYPUB, tmp_path, note(url=page, attributedTo=people))
    assert links(item) == {
        f"activitypub:user:{ANN} -authored-> {SUBJECT}",
        f"activitypub:user:https://one.example/users/bob -credited-> {SUBJECT}",
        f"activitypub:user:https://one.example/c/cats -member-> {SUBJECT}",
        f"{SUBJECT} -alias-> activitypub:post:https://one.example/p/1",
    }
    assert said(item, f"activitypub:user:{ANN}").title == "Ann"


def test_attachments_and_content_map(tmp_path: Path) -> None:
    told = note(
        content=None,
        contentMap={"fr": "<p>Bonjour</p>"},
        attachment=[
            {
                "type": "Document",
                "mediaType": "image/png",
                "name": "A cat",
                "width": 4,
                "url": "https://one.example/m/picture01.png",
            },
            {
                "type": "Document",
                "mediaType": "video/mp4",
                "url": [{"href": "https://one.example/m/clip0001.mp4", "mediaType": "video/mp4"}],
            },
            {"type": "Link", "href": "https://news.example/1"},
            {"type": "PropertyValue", "name": "x", "value": "y"},
        ],
    )
    (item,) = read(ACTIVITYPUB, tmp_path, {"n.json": told, "files/picture01.png": b"1"})
    assert {link for link in links(item) if "authored" not in link} == {
        f"{SUBJECT} -contains 0-> file:files/picture01.png",
        f"{SUBJECT} -contains 1-> activitypub:media:https://one.example/m/clip0001.mp4",
        f"{SUBJECT} -linked-> web:page:https://news.example/1",
    }
    cat = said(item, MediaFile("files/picture01.png"))
    assert (cat.title, cat.is_root, cat.meta["alt_text"]) == ("A cat", True, "A cat")
    assert (said(item, SUBJECT).title, said(item, SUBJECT).meta["language"]) == ("Bonjour", "fr")


def test_the_encodings_of_a_video_are_one_medium(tmp_path: Path) -> None:
    def link(height: int) -> dict[str, Any]:
        href = f"https://v.example/static/film-{height}.mp4"
        return {"type": "Link", "mediaType": "video/mp4", "href": href, "height": height}

    playlist = {
        "type": "Link",
        "mediaType": "application/x-mpegURL",
        "href": "https://v.example/film.m3u8",
        "tag": [link(480)],
    }
    page = {"type": "Link", "mediaType": "text/html", "href": "https://v.example/w/1"}
    film = note(
        type="Video",
        name="Film",
        url=[page, link(240), link(1080), playlist],
        duration="PT1H2M3S",
        views=7,
        likes=4,
        icon={"type": "Image", "url": "https://v.example/thumbs/film-thumb.jpg"},
    )
    names = ("film-240.mp4", "film-480.mp4", "film-thumb.jpg")
    (item,) = read(ACTIVITYPUB, tmp_path, {"f.json": film} | dict.fromkeys(names, b"x"))
    media = {link for link in links(item) if "authored" not in link and "alias" not in link}
    assert media == {
        f"{SUBJECT} -contains 0-> file:film-480.mp4",
        "file:film-480.mp4 -variant-> file:film-240.mp4",
        "file:film-480.mp4 -thumbnail-> file:film-thumb.jpg",
    }
    assert said(item, SUBJECT).view == 7
    assert said(item, SUBJECT).meta["favourite_count"] == 4
    medium = said(item, MediaFile("film-480.mp4")).meta
    assert (medium["height"], medium["duration_s"]) == (1080, 3723.0)


def test_an_outbox_of_an_archive(tmp_path: Path) -> None:
    picture = {
        "type": "Document",
        "mediaType": "image/jpeg",
        "url": "/media_attachments/files/1.jpg",
    }
    outbox = {
        "@context": CONTEXT,
        "id": "outbox.json",
        "type": "OrderedCollection",
        "orderedItems": [
            {
                "type": "Create",
                "id": f"{NOTE}/activity",
                "actor": ANN,
                "object": note(attachment=[picture], attributedTo=None),
            },
            {
                "type": "Announce",
                "id": f"{NOTE}/boost",
                "actor": ANN,
                "published": "2024-01-03T00:00:00Z",
                "object": "https://two.example/notes/5",
            },
            {"type": "Delete", "id": f"{NOTE}/delete", "actor": ANN, "object": NOTE},
            {
                "type": "Like",
                "id": f"{NOTE}/like",
                "actor": ANN,
                "object": "https://two.example/notes/6",
            },
            {
                "type": "Create",
                "id": f"{NOTE}/gone",
                "actor": ANN,
                "object": "https://one.example/notes/2",
            },
        ],
    }
    actor = {
        "@context": CONTEXT,
        "type": "Person",
        "id": ANN,
        "preferredUsername": "ann",
        "name": "Ann",
        "url": "https://one.example/@ann",
        "icon": {"type": "Image", "url": "avatar.png"},
    }
    files = {"outbox.json": outbox, "actor.json": actor, "avatar.png": b"1"}
    items = read(ACTIVITYPUB, tmp_path, files | {"media_attachments/files/1.jpg": b"2"})
    assert [(item.path, item.number, type(item).__name__) for item in items] == [
        ("actor.json", -1, "Record"),
        ("outbox.json", 0, "Record"),
        ("outbox.json", 1, "Record"),
        ("outbox.json", 2, "Record"),
        ("outbox.json", 3, "Problem"),
    ]
    user = f"activitypub:user:{ANN}"
    assert links(items[0]) == {
        f"{user} -alias-> activitypub:user:https://one.example/@ann",
        f"{user} -contains 0-> file:avatar.png",
    }
    assert said(items[0], user).meta["user_name"] == "ann@one.example"
    assert links(items[1]) == {
        f"{user} -authored-> {SUBJECT}",
        f"{SUBJECT} -contains 0-> file:media_attachments/files/1.jpg",
    }
    boost = f"activitypub:post:{NOTE}/boost"
    assert links(items[2]) == {
        f"{user} -authored-> {boost}",
        f"activitypub:post:https://two.example/notes/5 -repost-> {boost}",
    }
    like = f"activitypub:record:{NOTE}/like"
    assert links(items[3]) == {
        f"{user} -authored-> {like}",
        f"{like} -linked-> activitypub:post:https://two.example/notes/6",
    }


def test_an_event_an_article_and_a_poll(tmp_path: Path) -> None:
    event = note(
        type="Event", name="Party", startTime="2024-05-01T18:00:00Z", location={"name": "Park"}
    )
    article = note(type="Article", name="On cats", summary="In short")
    poll = note(type="Question", oneOf=[{"name": "Yes"}, {"name": "No"}], votersCount=6)
    items = read(ACTIVITYPUB, tmp_path, {"a.json": event, "b.json": article, "c.json": poll})
    party = said(items[0], SUBJECT)
    assert (party.title, party.meta["location_name"]) == ("Party", "Park")
    assert party.meta["start_time"] == datetime(2024, 5, 1, 18, tzinfo=UTC)
    assert said(items[1], SUBJECT).title == "On cats"
    assert "spoiler_text" not in said(items[1], SUBJECT).meta
    assert said(items[2], SUBJECT).meta["poll_options"] == ["Yes", "No"]
    assert said(items[2], SUBJECT).meta["poll_vote_count"] == 6


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    follow = {"@context": CONTEXT, "type": "Follow", "id": "https://one.example/f/1", "object": ANN}
    files = {"a.json": note(None), "b.json": follow, "c.json": [1], "d.json": {"@context": CONTEXT}}
    items = read(ACTIVITYPUB, tmp_path, files)
    assert all(isinstance(item, Problem) for item in items)
    assert [item.path for item in items] == ["a.json", "b.json", "c.json", "d.json"]
    assert isinstance(items[0], Problem)
    assert "no id" in items[0].reason


def test_several_types(tmp_path: Path) -> None:
    item = read_one(ACTIVITYPUB, tmp_path, note(type=["Note", "x:Review"]))
    assert said(item, SUBJECT).meta["object_type"] == "Note"


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
