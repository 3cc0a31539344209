"""tiktok-scraper: JSON and printed JSON5 of our own, then the one real sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    about,
    counts,
    edges,
    known,
    outputs,
    problems,
    records,
    samples,
    write,
)

from adapters.records.folder import ScrapeFolder
from adapters.sources.tiktok_scraper import ADAPTERS, JSON5_BYTES_MAX

TIKTOK = ADAPTERS[0]

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
        "url": "https://www.tiktok.com/@USERNAME/video/VIDEO_ID",
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
