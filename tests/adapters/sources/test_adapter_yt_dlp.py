"""yt-dlp: info files of all generations, playlists, comments and the files beside them."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, mutated, read_one, write

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
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


def info(tmp_path: Any, value: dict[str, Any]) -> Record:
    return read_one(ADAPTER, tmp_path, {"x.info.json": value})


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
