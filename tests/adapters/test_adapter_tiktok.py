"""tiktok-scraper: JSON and printed JSON5 of our own, then the one real sample."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    about,
    check_survives,
    counts,
    edges,
    known,
    mutated,
    outputs,
    positions,
    problems,
    records,
    samples,
    write,
)

from adapters.records.folder import ScrapeFolder
from adapters.sources.tiktok_scraper import ADAPTERS, JSON5_BYTES_MAX

TIKTOK = ADAPTERS[0]

POST: dict[str, Any] = {
    "id": "6807491984882765062",
    "text": "fish #Sea @bob",
    "createTime": "1583870600",
    "authorMeta": {
        "id": "7",
        "name": "Ada_L",
        "nickName": "Ada",
        "following": 6,
        "fans": 5,
        "heart": "1093998",
        "video": 3,
        "verified": True,
    },
    "musicMeta": {
        "musicId": "9",
        "musicName": "Tune",
        "musicAuthor": "Eve",
        "musicOriginal": False,
    },
    "covers": {"default": "https://p.example/cover.jpeg"},
    "videoUrl": "https://v.example/video/tos/film.mp4?a=1",
    "videoMeta": {"width": 480, "height": 864, "duration": 14},
    "diggCount": 2104,
    "shareCount": 1,
    "playCount": 9007,
    "commentCount": 50,
    "mentions": ["@Bob", "", 3],
    "hashtags": [{"id": "1", "name": "Sea"}, {"id": "2"}],
}

PRINTED = """{
    headers: { cookie: 'tt_webid_v2=1' },
    collector:[{
        id: '5', // as printed
        text: 'it\\'s [Array] ... "here" // not a comment',
        authorMeta:{ id: '7', name: 'Ada_L', fans: 5, signature: "x" },
        videoUrl:'https://v.example/a.mp4',
        playCount: +9,
        hashtags:
        [{ name: 'Sea', cover: [Array] }... 2 more items],
        mentions: [ '@bob', ],
        musicMeta: [Object],
    }...],
    zip: '/home/user.zip',
}"""


def test_a_post(tmp_path: Path):
    write(tmp_path, {"user_1.json": [POST]})
    [record] = records(TIKTOK, tmp_path)
    node, medium = "tiktok:post:6807491984882765062", "tiktok:media:6807491984882765062"
    said = about(record, node)
    assert said.update_time == datetime(2020, 3, 10, 20, 3, 20, tzinfo=UTC)
    assert (said.title, said.view, said.is_root) == ("fish #Sea @bob", 9007, False)
    assert known(said) == {
        "post_id": "6807491984882765062",
        "like_count": 2104,
        "share_count": 1,
        "comment_count": 50,
        "hashtags": ["Sea"],
        "music_id": "9",
        "music_title": "Tune",
        "music_author": "Eve",
        "is_music_original": False,
    }
    assert known(about(record, "tiktok:user:7")) == {
        "user_id": "7",
        "user_name": "Ada_L",
        "display_name": "Ada",
        "follower_count": 5,
        "following_count": 6,
        "heart_count": 1093998,
        "post_count": 3,
        "is_verified": True,
    }
    shown = about(record, medium)
    assert (shown.is_root, shown.view, shown.meta["duration_s"]) == (True, 9007, 14.0)
    assert edges(record) == {
        ("tiktok:user:7", "authored", node),
        ("tiktok:user:7", "alias", "tiktok:username:ada_l"),
        (node, "contains", medium),
        ("tiktok:tag:sea", "tagged", node),
        (node, "mentioned", "tiktok:username:bob"),
    }
    assert record.complete == POST


@pytest.mark.parametrize(
    "name", ["6807491984882765062.mp4", "1583870600_6807491984882765062.mp4", "film.mp4"]
)
def test_files_by_id_time_and_address(tmp_path: Path, name: str):
    write(tmp_path, {"user_1.json": [POST], name: b"v", "cover.jpeg": b"c"})
    [record] = records(TIKTOK, tmp_path)
    assert positions(record) == [(0, f"file {name}")]
    assert (f"file {name}", "thumbnail", "file cover.jpeg") in edges(record)


def test_what_the_console_prints(tmp_path: Path):
    write(tmp_path, {"out.json5": PRINTED})
    [record] = records(TIKTOK, tmp_path)
    said = about(record, "tiktok:post:5")
    assert said.title == 'it\'s [Array] ... "here" // not a comment'
    assert (said.view, said.meta["hashtags"]) == (9, ["Sea"])
    assert record.complete["hashtags"] == [{"name": "Sea", "cover": []}]
    assert "cookie" not in json.dumps(record.complete)
    assert TIKTOK.sniff(ScrapeFolder.of(str(tmp_path))).confidence >= 0.8


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{a:" * 60 + "1" + "}" * 60, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ("[" + "1," * JSON5_BYTES_MAX + "]", "at most"),
        ("[NaN]", "no value of a record"),
        ("[1e999]", "out of range"),
        ("{a: }", "no valid JSON5"),
        ("", "no valid JSON5"),
        ("'" * 3 + "\\", "no valid JSON5"),
        ("[{cars: 3}]", "tiktok-scraper"),
        ("[]", "nothing in it"),
    ],
)
def test_hostile_printed_text_is_a_problem(tmp_path: Path, text: str, reason: str):
    write(tmp_path, {"out.json5": text})
    [problem] = problems(TIKTOK, tmp_path)
    assert reason in problem.reason
    assert problem.path == "out.json5"


def test_a_name_that_is_a_path_finds_nothing(tmp_path: Path):
    write(tmp_path, {"secret.mp4": b"s"})
    evil = {**POST, "id": "../secret", "videoUrl": "x", "authorMeta": {"name": "Ada_L"}}
    write(tmp_path / "in", {"a.json": {"collector": [evil]}})
    [record] = records(TIKTOK, tmp_path / "in")
    assert positions(record) == [(0, "tiktok:media:../secret")]
    assert ("tiktok:username:ada_l", "authored", "tiktok:post:../secret") in edges(record)


@pytest.mark.parametrize("missing", [name for name in POST if name != "id"])
def test_every_field_but_the_id_may_be_missing(tmp_path: Path, missing: str):
    value = {name: field for name, field in POST.items() if name != missing}
    write(tmp_path, {"x.json": [value]})
    [record] = records(TIKTOK, tmp_path)
    assert record.subject == "tiktok:post:6807491984882765062"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data(), name=st.sampled_from(["a.json", "a.json5"]))
def test_mutated_posts_never_raise(tmp_path: Path, value: st.DataObject, name: str):
    check_survives(TIKTOK, tmp_path, name, value.draw(mutated({"collector": [POST]})))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, len(PRINTED) - 1), text=st.text(max_size=4))
def test_mutated_prints_never_raise(tmp_path: Path, at: int, text: str):
    changed = PRINTED[:at] + text + PRINTED[at + 1 :]
    write(tmp_path, {"out.json5": changed.encode(errors="replace")})
    assert outputs(TIKTOK, tmp_path)


# ---- The real sample: it has one record --------------------------------------------------------


def test_sample():
    found = outputs(TIKTOK, samples("tiktok-scraper"))
    assert counts(found) == {"readme-output-0.json5": (1, 0)}
    [record] = records(TIKTOK, samples("tiktok-scraper"))
    node = "tiktok:post:VIDEO_ID"
    assert edges(record) == {
        ("tiktok:user:USER ID", "authored", node),
        ("tiktok:user:USER ID", "alias", "tiktok:username:username"),
        (node, "contains", "tiktok:media:VIDEO_ID"),
        ("tiktok:tag:playwithlife", "tagged", node),
        (node, "mentioned", "tiktok:username:bob"),
        (node, "mentioned", "tiktok:username:sam"),
        (node, "mentioned", "tiktok:username:bob_again"),
        (node, "mentioned", "tiktok:username:and_sam_again"),
    }
    said = about(record, node)
    assert (said.title, said.view) == ("CAPTION", 9007)
    assert known(said) == {
        "post_id": "VIDEO_ID",
        "like_count": 2104,
        "share_count": 1,
        "comment_count": 50,
        "hashtags": ["PlayWithLife"],
        "music_id": "6808098113188120838",
        "music_title": "blah blah",
        "music_author": "blah",
        "is_music_original": True,
    }


def test_sniffs_its_own_sample():
    assert TIKTOK.sniff(ScrapeFolder.of(samples("tiktok-scraper"))).confidence >= 0.8
    for other in ("twitter-api-v1", "instagram-graph", "yt-dlp-info-json"):
        assert TIKTOK.sniff(ScrapeFolder.of(samples(other))).confidence == 0, other
