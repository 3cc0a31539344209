"""yt-dlp: the recorded samples, against what a person read in them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from sidecar_harness import check, edges, observed, read, samples, write

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record
from adapters.sources.yt_dlp import ADAPTERS

ADAPTER = ADAPTERS[0]

# (file, post, author, medium, timestamp, length, other edges that lead to the post)
EXPECTED: list[tuple[str, str, str | None, str, int, float, set[tuple[str, str]]]] = [
    (
        "twitter-014",
        "twitter:post:1087791357756956680",
        "twitter:username:x",
        "twitter:media:1087791272830607360",
        1_548_184_644,
        61.567,
        set(),
    ),
    (
        "reddit-004",
        "reddit:post:zjjw82",
        "reddit:user:otaku-senpai69420",
        "reddit:media:a1oneun6pa5a1",
        1_670_812_309,
        16.0,
        {("reddit:subreddit:dumbfuckers_club", "member")},
    ),
    (
        "vimeo-003",
        "vimeo:post:75629013",
        "vimeo:username:atencio",
        "vimeo:media:75629013",
        1_380_339_469,
        187.0,
        {("vimeo:channel:keypeele", "member")},
    ),
    (
        "tiktok-000",
        "tiktok:post:6748451240264420610",
        "tiktok:user:6691488002098119685",
        "tiktok:media:6748451240264420610",
        1_571_246_252,
        13.0,
        set(),
    ),
    (
        "youtube_video-000",
        "youtube:post:YE7VzlLtp-4",
        "youtube:channel:UCSMOQeBJ2RAnuFungnQOxLg",
        "youtube:media:YE7VzlLtp-4",
        1_212_060_266,
        597.0,
        set(),
    ),
    (
        "soundcloud-008",
        "soundcloud:post:583011102",
        "soundcloud:user:3352531",
        "soundcloud:media:583011102",
        1_551_394_171,
        180.134,
        set(),
    ),
    (
        "nebula-002",
        "nebula:post:b96c5714-9e2b-4ec3-b3f1-20f6e89cc553",
        "nebula:user:tom-scott-presents-money",
        "nebula:media:b96c5714-9e2b-4ec3-b3f1-20f6e89cc553",
        1_584_980_400,
        825.0,
        set(),
    ),
    (
        "instagram-004",
        "instagram:post:1810369531748018058",
        "instagram:user:25025320",
        "instagram:media:1810369531748018058",
        1_530_032_919,
        53.83,
        set(),
    ),
    (
        "twitch-002",
        "twitch:post:v635475444",
        "twitch:username:riotgames",
        "twitch:media:v635475444",
        1_590_770_569,
        11643.0,
        set(),
    ),
    (
        "peertube-000",
        "peertube:post:9c9de5e8-0a1e-484a-b099-e80766180a6d",
        "peertube:user:3",
        "peertube:media:9c9de5e8-0a1e-484a-b099-e80766180a6d",
        1_538_391_166,
        113.0,
        {("peertube:channel:2215", "member")},
    ),
    (
        "niconico-006",
        "niconico:post:so41370536",
        "niconico:user:ch2607134",
        "niconico:media:so41370536",
        1_668_394_800,
        63.0,
        set(),
    ),
]


@pytest.fixture(scope="module")
def expected_items(tmp_path_factory) -> dict[str, Record | Problem]:
    root = samples("yt-dlp-expected")
    files: dict[str, Any] = {}
    for path in ScrapeFolder.of(root).paths:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            test = json.load(file)
        name = test["extractor_class"].removesuffix("IE")
        value = {"extractor": name.lower(), "extractor_key": name} | test["info"]
        if test.get("entries"):
            value |= {"_type": "playlist", "entries": [one["info"] for one in test["entries"]]}
        files[os.path.basename(path)[:-5] + ".info.json"] = value
    folder = write(tmp_path_factory.mktemp("expected"), files)
    check(ADAPTER, folder)
    return {item.path.removesuffix(".info.json"): item for item in read(ADAPTER, folder)}


@pytest.mark.parametrize("expected", EXPECTED, ids=[row[0] for row in EXPECTED])
def test_records_that_a_person_read(expected_items, expected: Any):
    name, post, author, medium, timestamp_s, duration_s, others = expected
    record = expected_items[name]
    assert record.subject == post
    about = observed(record, post)
    assert (about.author, about.update_time) == (author, datetime.fromtimestamp(timestamp_s, UTC))
    assert about.meta["duration_s"] == duration_s
    assert observed(record, medium).is_root
    found = {(e[0], e[1]) for e in edges(record) if e[2] == post and e[1] != "tagged"}
    assert found == {(author, "authored")} | others
    assert (post, "contains", medium) in edges(record)


def test_every_expected_info_is_a_record(expected_items):
    assert len(expected_items) == 214
    assert not [item for item in expected_items.values() if isinstance(item, Problem)]
    record = expected_items["bilibili-010"]
    edge = ("bilibili:playlist:BV1af4y1H7ga", "member", "bilibili:post:BV1af4y1H7ga_400950101")
    assert edge in edges(record)


def test_the_recorded_infos():
    folder = ScrapeFolder.of(samples("yt-dlp-info-json"))
    assert ADAPTER.sniff(folder).confidence >= 0.9
    items = {item.path: item for item in ADAPTER.read(folder)}
    # Two were cut down so far that neither id nor address is left.
    assert {path for path, item in items.items() if isinstance(item, Problem)} == {
        "tubesync_metadata_issue_499_premium.json",
        "tubesync_minimal_metadata.json",
    }
    assert len(items) == 7
    stem = "Mountain_3_-_Video_Background_HD_1080p-6iRV8liah8A"
    record = items[f"{stem}.info.json"]
    assert isinstance(record, Record)
    about = observed(record, "youtube:post:6iRV8liah8A")
    assert (about.view, about.meta["like_count"], about.meta["dislike_count"]) == (3417, 4, 0)
    assert about.update_time == datetime(2015, 1, 5, tzinfo=UTC)
    assert {edge for edge in edges(record) if edge[1] != "tagged"} == {
        (
            "youtube:channel:UCWpsozCMdAnfI16rZHQ9XDg",
            "authored",
            "youtube:post:6iRV8liah8A",
        ),
        ("youtube:post:6iRV8liah8A", "contains", "youtube:media:6iRV8liah8A"),
        ("youtube:media:6iRV8liah8A", "attachment", f"file:{stem}.annotations.xml"),
    }
    channel = items["pinchflat_channel_source_metadata.json"]
    assert isinstance(channel, Record) and channel.subject == "youtube:channel:UCEABC123"
    assert observed(channel, channel.subject).meta["follower_count"] == 35000
