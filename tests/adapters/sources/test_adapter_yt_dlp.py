"""yt-dlp: info files of all generations, playlists, comments and the files beside them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, edges, mutated, observed, read, read_one, write

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.yt_dlp import ADAPTERS

ADAPTER = ADAPTERS[0]
CHANNEL = "UC" + "a" * 22
OTHER = "UC" + "b" * 22

VIDEO: dict[str, Any] = {
    "id": "-abc_DEF123",
    "title": "A hill",
    "extractor": "youtube",
    "extractor_key": "Youtube",
    "webpage_url": "https://www.youtube.com/watch?v=-abc_DEF123",
    "channel": "Hills",
    "channel_id": CHANNEL,
    "channel_follower_count": 50,
    "uploader": "Hills",
    "uploader_id": "@Hills",
    "timestamp": 1700000000,
    "upload_date": "20231114",
    "duration": 61,
    "view_count": 1000,
    "like_count": 10,
    "comment_count": 2,
    "tags": ["Hill", "Green"],
    "categories": ["Travel"],
    "age_limit": 0,
    "width": 1920,
    "height": 1080,
    "fps": 25,
    "ext": "mp4",
    "availability": "public",
    "playlist_id": "PLxyz",
    "playlist_title": "All hills",
    "playlist_index": 3,
    "formats": [{"format_id": "137", "url": "https://cdn.example/v"}],
    "comments": [
        {"id": "c1", "text": "nice", "author": "Eve", "author_id": OTHER, "parent": "root",
         "timestamp": 1700000100, "like_count": 1},
        {"id": "c1.r1", "text": "yes", "author": "Hills", "author_id": CHANNEL, "parent": "c1"},
        {"text": "without an id"},
    ],
}  # fmt: skip
OLD = {
    "id": "xyz",
    "fulltitle": "Old video",
    "extractor": "youtube",
    "uploader": "Hills",
    "uploader_id": CHANNEL,
    "upload_date": "20150105",
    "dislike_count": 4,
    "_filename": "/home/somebody/Old_video-xyz.mkv",
}
PLAYLIST: dict[str, Any] = {
    "_type": "playlist",
    "id": "PLxyz",
    "title": "All hills",
    "extractor": "youtube:tab",
    "channel_id": CHANNEL,
    "channel": "Hills",
    "playlist_count": 3,
    "modified_date": "20240101",
    "entries": [
        {"_type": "url", "ie_key": "Youtube", "id": "v1", "title": "One", "view_count": 5},
        None,
        {"_type": "url", "id": "v3", "url": "https://www.youtube.com/watch?v=v3"},
        "nonsense",
    ],
}
ALL = [VIDEO, OLD, PLAYLIST]
POST = "youtube:post:-abc_DEF123"


def info(tmp_path: Any, value: dict[str, Any]) -> Record:
    return read_one(ADAPTER, tmp_path, {"x.info.json": value})


def test_a_video(tmp_path):
    record = info(tmp_path, VIDEO)
    about = observed(record, POST)
    assert (about.title, about.view, about.is_root) == ("A hill", 1000, False)
    assert about.update_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert about.author == f"youtube:channel:{CHANNEL}"
    assert about.meta["duration_s"] == 61.0 and about.meta["comment_count"] == 2
    assert about.meta["privacy"] == "public" and "dislike_count" not in about.meta
    medium = observed(record, "youtube:media:-abc_DEF123")
    assert medium.is_root and medium.meta["frame_rate"] == 25.0
    channel = observed(record, f"youtube:channel:{CHANNEL}")
    assert (channel.title, channel.meta["follower_count"]) == ("Hills", 50)
    assert edges(record) == {
        (f"youtube:channel:{CHANNEL}", "authored", POST),
        (f"youtube:channel:{CHANNEL}", "alias", "youtube:username:@hills"),
        (POST, "contains", "youtube:media:-abc_DEF123"),
        ("youtube:playlist:PLxyz", "member", POST),
        ("youtube:tag:hill", "tagged", POST),
        ("youtube:tag:green", "tagged", POST),
        (POST, "reply", "youtube:comment:c1"),
        ("youtube:comment:c1", "reply", "youtube:comment:c1.r1"),
        (f"youtube:channel:{OTHER}", "authored", "youtube:comment:c1"),
        (f"youtube:channel:{CHANNEL}", "authored", "youtube:comment:c1.r1"),
    }
    (member,) = [link for link in record.links if link.relationship == "member"]
    assert member.position == 2
    comment = observed(record, "youtube:comment:c1")
    assert (comment.title, comment.author) == ("nice", f"youtube:channel:{OTHER}")


def test_an_old_record(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"a.info.json": OLD, "Old_video-xyz.mkv": b"1"})
    about = observed(record, "youtube:post:xyz")
    assert (about.title, about.view, about.meta["dislike_count"]) == ("Old video", None, 4)
    assert about.update_time == datetime(2015, 1, 5, tzinfo=UTC)
    assert edges(record) == {
        (f"youtube:channel:{CHANNEL}", "authored", "youtube:post:xyz"),
        ("youtube:post:xyz", "contains", "file:Old_video-xyz.mkv"),
    }


def test_files_beside(tmp_path):
    stem = "d/A hill. Part 1-[-abc]"
    files: dict[str, Any] = {
        f"{stem}.info.json": VIDEO | {"comments": None, "tags": None, "playlist_id": None},
        f"{stem}.mp4": b"1",
        f"{stem}.f140.m4a": b"2",
        f"{stem}.webp": b"3",
        f"{stem}.en.vtt": b"4",
        f"{stem}.description": b"5",
        f"{stem}.annotations.xml": b"6",
        f"{stem}.live_chat.json": b'{"a": 1}\n{"a": 2}\n',
        f"{stem}.nfo": b"7",
        f"{stem}.mp4.part": b"8",
        "d/A hill.mp4": b"another",
        "d/A hill. Part 1-[-abc]s.mp4": b"another",
    }
    record = read_one(ADAPTER, tmp_path, files)
    main = f"file:{stem}.mp4"
    assert edges(record) == {
        (f"youtube:channel:{CHANNEL}", "authored", POST),
        (f"youtube:channel:{CHANNEL}", "alias", "youtube:username:@hills"),
        (POST, "contains", main),
        (main, "variant", f"file:{stem}.f140.m4a"),
        (main, "thumbnail", f"file:{stem}.webp"),
        (main, "attachment", f"file:{stem}.en.vtt"),
        (main, "attachment", f"file:{stem}.description"),
        (main, "attachment", f"file:{stem}.annotations.xml"),
        (main, "attachment", f"file:{stem}.live_chat.json"),
        (main, "attachment", f"file:{stem}.nfo"),
    }
    assert observed(record, MediaFile(f"{stem}.mp4")).is_root


def test_a_stem_that_begins_another_stem(tmp_path):
    files = {
        "A.info.json": VIDEO,
        "A.B.info.json": VIDEO | {"id": "second"},
        "A.mp4": b"1",
        "A.B.mp4": b"2",
    }
    by_path = {item.path: item for item in read(ADAPTER, write(tmp_path, files))}
    assert (POST, "contains", "file:A.mp4") in edges(by_path["A.info.json"])
    second = edges(by_path["A.B.info.json"])
    assert ("youtube:post:second", "contains", "file:A.B.mp4") in second
    assert not any("A.B.mp4" in edge[2] for edge in edges(by_path["A.info.json"]))


def test_a_playlist(tmp_path):
    record = info(tmp_path, PLAYLIST)
    playlist = observed(record, "youtube:playlist:PLxyz")
    assert (playlist.title, playlist.meta["video_count"]) == ("All hills", 3)
    assert observed(record, "youtube:post:v1").view == 5
    assert edges(record) == {
        (f"youtube:channel:{CHANNEL}", "authored", "youtube:playlist:PLxyz"),
        ("youtube:playlist:PLxyz", "member", "youtube:post:v1"),
        ("youtube:playlist:PLxyz", "member", "youtube:post:v3"),
    }
    positions = [link.position for link in record.links if link.relationship == "member"]
    assert positions == [0, 2]


def test_the_tab_of_a_channel_is_the_channel(tmp_path):
    tab = PLAYLIST | {"id": "@Hills", "uploader_id": "@Hills", "entries": [PLAYLIST]}
    record = info(tmp_path, tab)
    assert record.subject == f"youtube:channel:{CHANNEL}"
    assert (record.subject, "member", "youtube:playlist:PLxyz") in edges(record)


def test_playlists_in_playlists_end(tmp_path):
    deep: dict[str, Any] = PLAYLIST
    for number in range(30):
        deep = PLAYLIST | {"id": f"PL{number}", "entries": [deep]}
    assert len(edges(info(tmp_path, deep))) < 20


@pytest.mark.parametrize(
    ("fields", "post", "author", "others"),
    [
        (
            {"extractor": "twitter", "id": "111", "display_id": "2222", "uploader_id": "Ann"},
            "twitter:post:2222",
            "twitter:username:ann",
            {("twitter:post:2222", "contains", "twitter:media:111")},
        ),
        (
            {"extractor": "twitter", "id": "111", "uploader_id": "Ann", "channel_id": "77"},
            "twitter:post:111",
            "twitter:user:77",
            {("twitter:user:77", "alias", "twitter:username:ann")},
        ),
        (
            {"extractor": "Reddit", "id": "vid", "display_id": "abc12", "uploader": "Ann_B",
             "channel_id": "Hills"},
            "reddit:post:abc12",
            "reddit:user:ann_b",
            {("reddit:subreddit:hills", "member", "reddit:post:abc12"),
             ("reddit:post:abc12", "contains", "reddit:media:vid")},
        ),
        (
            {"extractor": "Instagram", "id": "BkfuX9UB-eK", "uploader_id": "9", "channel": "Ann"},
            "instagram:post:1810369531748018058",
            "instagram:user:9",
            {("instagram:user:9", "alias", "instagram:username:ann")},
        ),
        (
            {"extractor": "Bluesky", "id": "3k", "uploader_id": "Ann.example",
             "channel_id": "did:plc:ann"},
            "bluesky:post:at://did:plc:ann/app.bsky.feed.post/3k",
            "bluesky:user:did:plc:ann",
            {("bluesky:user:did:plc:ann", "alias", "bluesky:username:ann.example")},
        ),
        (
            {"extractor": "vimeo:album", "id": "5", "uploader_id": "ann", "channel_id": "picks"},
            "vimeo:post:5",
            "vimeo:username:ann",
            {("vimeo:channel:picks", "member", "vimeo:post:5")},
        ),
        (
            {"extractor": "PeerTube", "id": "u-u", "uploader_id": "3", "channel_id": "22"},
            "peertube:post:u-u",
            "peertube:user:3",
            {("peertube:channel:22", "member", "peertube:post:u-u")},
        ),
        (
            {"extractor": "generic", "id": "file", "webpage_url": "https://a.example/v"},
            "web:page:https://a.example/v",
            None,
            set(),
        ),
        (
            {"extractor": "NewSite:live", "id": 12, "creators": ["Ann", "Bob"], "series_id": "s"},
            "newsite:post:12",
            "newsite:username:ann",
            {("newsite:album:s", "member", "newsite:post:12")},
        ),
    ],
)  # fmt: skip
def test_sites(tmp_path, fields: Any, post: str, author: str | None, others: Any):
    record = info(tmp_path, {"title": "t"} | fields)
    assert record.subject == post and observed(record, post).author == author
    assert edges(record) >= others


def test_a_post_with_several_videos_is_a_post(tmp_path):
    part = {"extractor": "twitter", "display_id": "2222", "uploader_id": "Ann"}
    post = {"_type": "playlist", "id": "2222", "extractor": "twitter", "title": "two videos",
            "entries": [part | {"id": "11"}, part | {"id": "12"}]}  # fmt: skip
    record = info(tmp_path, post)
    assert edges(record) >= {
        ("twitter:post:2222", "contains", "twitter:media:11"),
        ("twitter:post:2222", "contains", "twitter:media:12"),
    }


def test_lines_are_records(tmp_path):
    lines = b"\n".join(json.dumps(one).encode() for one in (VIDEO, PLAYLIST))
    items = read(ADAPTER, write(tmp_path, {"all.jsonl": lines}))
    assert [item.number for item in items] == [0, 1]
    assert isinstance(items[0], Record) and items[0].complete == VIDEO


@pytest.mark.parametrize("value", [b"", b"{", [], {"id": 5}, {"formats": [{"format_id": "1"}]}])
def test_what_is_no_info_is_a_problem(tmp_path, value: Any):
    (item,) = read(ADAPTER, write(tmp_path, {"a.json": value}))
    assert isinstance(item, Problem)


def test_a_record_without_id_belongs_to_its_file(tmp_path):
    nameless = {"title": "t", "formats": [{"format_id": "1"}]}
    record = read_one(ADAPTER, tmp_path, {"a.info.json": nameless, "a.mp4": b"1"})
    assert record.subject == MediaFile("a.mp4")


def test_sniffing(tmp_path):
    good = write(tmp_path / "good", {"a.info.json": VIDEO, "b.info.json": PLAYLIST})
    assert ADAPTER.sniff(ScrapeFolder.of(good)).confidence >= 0.9
    other = write(tmp_path / "other", {"a.json": {"category": "instagram", "id": 1}})
    assert ADAPTER.sniff(ScrapeFolder.of(other)).confidence == 0.0


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_mutated_records_never_raise(tmp_path_factory, which: int, seed: int):
    folder = tmp_path_factory.mktemp("fuzz")
    files = {"a.mp4": b"1", "a.jpg": b"2", "a.info.json": mutated(ALL[which], seed)}
    check(ADAPTER, write(folder, files))
