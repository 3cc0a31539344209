"""Telegram Desktop exports as JSON: made-up chats with every quirk, then the sample by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from social_records import check_mutated, links, mutated, read, said

from adapters.records.items import MediaFile, Record
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
        "published_time": row.update_time,
        "from_id": "user42",
        "user_name": "Ann Lee",
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
