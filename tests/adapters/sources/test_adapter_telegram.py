"""Telegram Desktop exports as JSON: made-up chats with every quirk, then the sample by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from social_records import check_mutated, links, mutated, read, said

from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.telegram.export import ADAPTERS

TELEGRAM = ADAPTERS[0]
CHAT = "telegram:channel:555"


def message(number: int = 7, **fields: Any) -> dict[str, Any]:
    data = {
        "id": number,
        "type": "message",
        "date": "2022-03-04T05:06:07",
        "date_unixtime": "1646359567",
        "from": "Ann Lee",
        "from_id": "user42",
        "text": "hello",
    }
    return data | fields


def chat(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    data = {"name": "Walks", "type": "private_supergroup", "id": 555, "messages": list(messages)}
    return data | fields


def message_of(tmp_path: Path, told: dict[str, Any], **files: Any) -> Record:
    items = read(TELEGRAM, tmp_path, {"result.json": chat(told), **files})
    assert len(items) == 2
    assert isinstance(items[1], Record)
    return items[1]


def test_a_chat_and_a_message(tmp_path: Path) -> None:
    items = read(TELEGRAM, tmp_path, {"export/any.json": chat(message())})
    assert isinstance(items[0], Record)
    assert (items[0].number, items[0].subject) == (0, CHAT)
    assert items[0].complete == {"name": "Walks", "type": "private_supergroup", "id": 555}
    assert said(items[0], CHAT).meta["chat_type"] == "private_supergroup"
    post = "telegram:post:555/7"
    assert links(items[1]) == {
        f"telegram:user:42 -authored-> {post}",
        "telegram:user:42 -alias-> telegram:username:ann lee",
        f"{CHAT} -member-> {post}",
    }
    row = said(items[1], post)
    assert (row.title, row.author) == ("hello", "telegram:user:42")
    # The seconds are those of date_unixtime: `date` is in the zone of whoever exported.
    assert row.update_time == datetime(2022, 3, 4, 2, 6, 7, tzinfo=UTC)
    assert row.meta == {
        "chat_id": "555",
        "chat_name": "Walks",
        "message_id": "7",
        "from_id": "user42",
        "user_name": "Ann Lee",
    }


def test_a_date_without_zone_means_utc(tmp_path: Path) -> None:
    item = message_of(tmp_path, message(date_unixtime=None))
    assert said(item, "telegram:post:555/7").update_time == datetime(
        2022, 3, 4, 5, 6, 7, tzinfo=UTC
    )


def test_text_of_pieces(tmp_path: Path) -> None:
    pieces = [
        "See ",
        {"type": "hashtag", "text": "#Cats"},
        " by ",
        {"type": "mention", "text": "@Bob"},
        {"type": "text_link", "text": " here", "href": "https://x.example/1"},
        {"type": "link", "text": "tg://user?id=1"},
        {"type": "mention_name", "text": " Cy", "user_id": 9},
    ]
    item = message_of(tmp_path, message(text=pieces))
    post = "telegram:post:555/7"
    assert said(item, post).title == "See #Cats by @Bob heretg://user?id=1 Cy"
    assert links(item) >= {
        f"telegram:tag:cats -tagged-> {post}",
        f"{post} -mentioned-> telegram:username:bob",
        f"{post} -mentioned-> telegram:user:9",
        f"{post} -linked-> web:page:https://x.example/1",
    }
    assert sum("-linked->" in link for link in links(item)) == 1


def test_replies_forwards_and_edits(tmp_path: Path) -> None:
    told = message(reply_to_message_id=3, forwarded_from="Some News", edited_unixtime="1646359600")
    item = message_of(tmp_path, told)
    assert links(item) >= {
        "telegram:post:555/3 -reply-> telegram:post:555/7",
        "telegram:username:some news -repost-> telegram:post:555/7",
    }
    row = said(item, "telegram:post:555/7")
    assert row.update_time == datetime(2022, 3, 4, 2, 6, 40, tzinfo=UTC)
    assert row.meta["forwarded_from"] == "Some News"


def test_a_forward_and_a_reply_with_ids(tmp_path: Path) -> None:
    told = message(
        forwarded_from="News",
        forwarded_from_id="channel77",
        reply_to_message_id=3,
        reply_to_peer_id="channel88",
    )
    item = message_of(tmp_path, told)
    assert links(item) >= {
        "telegram:channel:77 -repost-> telegram:post:555/7",
        "telegram:post:88/3 -reply-> telegram:post:555/7",
    }


def test_files_and_previews(tmp_path: Path) -> None:
    photo = message(1, photo="photos/photo_1@04-03-2022_05-06-07.jpg", width=4, height=3)
    video = message(
        2,
        file="video_files/a b.mp4",
        thumbnail="video_files/a b.mp4_thumb.jpg",
        media_type="video_file",
        mime_type="video/mp4",
        duration_seconds=2,
    )
    archive = message(3, file="files/data.zip", mime_type="application/zip")
    files = {
        "x/result.json": chat(photo, video, archive),
        "x/photos/photo_1@04-03-2022_05-06-07.jpg": b"1",
        "x/video_files/a b.mp4": b"2",
        "x/video_files/a b.mp4_thumb.jpg": b"3",
        "x/files/data.zip": b"4",
    }
    items = read(TELEGRAM, tmp_path, files)
    first = MediaFile("x/photos/photo_1@04-03-2022_05-06-07.jpg")
    assert f"telegram:post:555/1 -contains 0-> file:{first.path}" in links(items[1])
    assert said(items[1], first).meta["media_type"] == "photo"
    assert said(items[1], first).is_root
    assert links(items[2]) >= {
        "telegram:post:555/2 -contains 0-> file:x/video_files/a b.mp4",
        "file:x/video_files/a b.mp4 -thumbnail-> file:x/video_files/a b.mp4_thumb.jpg",
    }
    assert said(items[2], MediaFile("x/video_files/a b.mp4")).meta["duration_s"] == 2.0
    assert "telegram:post:555/3 -attachment 0-> file:x/files/data.zip" in links(items[3])


@pytest.mark.parametrize(
    "path",
    [
        "(File not included. Change data exporting settings to download.)",
        "(File exceeds maximum size. Change data exporting settings to download.)",
        "../../etc/passwd",
        "/etc/passwd",
        "photos/gone.jpg",
    ],
)
def test_a_file_that_is_missing(tmp_path: Path, path: str) -> None:
    item = message_of(tmp_path, message(photo=path))
    assert "telegram:post:555/7 -contains 0-> telegram:media:555/7" in links(item)


def test_a_file_of_the_same_name_in_another_chat_is_not_taken(tmp_path: Path) -> None:
    told = message(file="files/report.pdf", mime_type="application/pdf")
    files = {"one/result.json": chat(told), "two/files/report.pdf": b"1"}
    items = read(TELEGRAM, tmp_path, files)
    assert "telegram:post:555/7 -contains 0-> telegram:media:555/7" in links(items[1])


def test_an_animated_sticker_is_no_medium(tmp_path: Path) -> None:
    told = message(
        file="stickers/a.tgs",
        thumbnail="stickers/a.tgs_thumb.jpg",
        media_type="sticker",
        sticker_emoji="!",
    )
    files = {"stickers/a.tgs": b"1", "stickers/a.tgs_thumb.jpg": b"2"}
    item = message_of(tmp_path, told, **files)
    assert links(item) >= {
        "telegram:post:555/7 -contains 0-> telegram:media:555/7",
        "telegram:media:555/7 -thumbnail-> file:stickers/a.tgs_thumb.jpg",
    }
    assert said(item, "telegram:media:555/7").meta["sticker_emoji"] == "!"


def test_service_messages(tmp_path: Path) -> None:
    def service(number: int, action: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": number,
            "type": "service",
            "date": "2022-03-04T05:06:07",
            "actor": "Ann Lee",
            "actor_id": "user42",
            "action": action,
            "text": "",
            **fields,
        }

    joins = service(1, "invite_members", members=["Bob"])
    named = service(2, "edit_group_title", title="Long walks")
    shown = service(3, "edit_group_photo", photo="photos/p.jpg")
    files = {"result.json": chat(joins, named, shown), "photos/p.jpg": b"1"}
    items = read(TELEGRAM, tmp_path, files)
    assert [item.subject for item in items if isinstance(item, Record)] == [
        CHAT,
        CHAT,
        "telegram:post:555/3",
    ]
    assert said(items[1], CHAT).title == "Long walks"
    assert "telegram:post:555/3 -contains 0-> file:photos/p.jpg" in links(items[2])
    assert said(items[2], "telegram:post:555/3").meta["media_type"] == "service"


def test_a_whole_account(tmp_path: Path) -> None:
    one = chat(message(1), id=1, type="personal_chat", name="Ann Lee")
    two = chat(
        message(1, file="chats/chat_2/files/a.png", **{"from": None, "from_id": None}),
        id=2,
        type="public_channel",
    )
    export = {
        "about": "x",
        "contacts": {"list": [{}]},
        "chats": {"list": [one, two]},
        "left_chats": {"list": [chat(id=3)]},
    }
    items = read(TELEGRAM, tmp_path, {"result.json": export, "chats/chat_2/files/a.png": b"1"})
    assert [item.subject for item in items if isinstance(item, Record)] == [
        "telegram:conversation:1",
        "telegram:post:1/1",
        "telegram:channel:2",
        "telegram:post:2/1",
        "telegram:channel:3",
    ]
    assert "telegram:conversation:1 -conversation-> telegram:post:1/1" in links(items[1])
    assert links(items[3]) == {
        "telegram:channel:2 -member-> telegram:post:2/1",
        "telegram:post:2/1 -contains 0-> file:chats/chat_2/files/a.png",
    }


def test_polls_places_reactions(tmp_path: Path) -> None:
    told = message(
        text="",
        poll={"question": "Tea?", "total_voters": 3, "answers": [{"text": "Yes"}, {"text": "No"}]},
        location_information={"latitude": 1.5, "longitude": -2.5},
        reactions=[{"type": "emoji", "count": 2, "emoji": "a"}, {"type": "emoji", "count": 3}],
    )
    row = said(message_of(tmp_path, told), "telegram:post:555/7")
    assert (row.title, row.meta["poll_options"], row.meta["poll_vote_count"]) == (
        "Tea?",
        ["Yes", "No"],
        3,
    )
    assert (row.meta["latitude"], row.meta["longitude"], row.meta["reaction_count"]) == (
        1.5,
        -2.5,
        5,
    )


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    files = {
        "a.json": chat(message(None), 5),
        "b.json": {"x": 1},
        "c.json": chat(message(), id=None),
    }  # type: ignore[arg-type]
    items = read(TELEGRAM, tmp_path, files)
    assert [(item.path, type(item).__name__) for item in items] == [
        ("a.json", "Record"),
        ("a.json", "Problem"),
        ("a.json", "Problem"),
        ("b.json", "Problem"),
        ("c.json", "Problem"),
        ("c.json", "Problem"),
    ]
    assert isinstance(items[1], Problem)
    assert "no id" in items[1].reason


TEMPLATE = {
    "chats": {
        "list": [
            chat(
                message(
                    1,
                    text=["a", {"type": "mention_name", "text": "b", "user_id": 3}],
                    photo="p.jpg",
                    reply_to_message_id=1,
                    reply_to_peer_id="channel2",
                    forwarded_from="c",
                    poll={"question": "q", "answers": [{"text": "x"}]},
                    reactions=[{"count": 1}],
                    location_information={"latitude": 1, "longitude": 2},
                ),
                {
                    "id": 2,
                    "type": "service",
                    "action": "create_group",
                    "title": "t",
                    "actor_id": "user1",
                },
            )
        ]
    }
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(TEMPLATE))
def test_mutated_exports_never_raise(value: Any) -> None:
    check_mutated(TELEGRAM, value)
