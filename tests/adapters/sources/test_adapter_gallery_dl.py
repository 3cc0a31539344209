"""gallery-dl: finding sidecars and their files, hostile input included."""

from __future__ import annotations

import json

import pytest
from gallery_dl_records import ALL, INSTAGRAM, PIXIV, TWEET
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, edges, mutated, observed, read, read_one, write

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.gallery_dl import ADAPTERS

ADAPTER = ADAPTERS[0]


def test_the_file_with_the_sidecars_name_is_the_medium(tmp_path):
    files = {"x 🏔.jpg": b"1", "x 🏔.jpg.json": INSTAGRAM}
    record = read_one(ADAPTER, tmp_path, files)
    assert ("instagram:post:500", "contains", "file:x 🏔.jpg") in edges(record)
    assert observed(record, MediaFile("x 🏔.jpg")).is_root
    assert not any("media:" in str(about.node) for about in record.observations)
    assert record.subject == "instagram:post:500" and record.complete is None


def test_the_file_that_the_record_names_is_the_second_guess(tmp_path):
    files = {"a/aaaa_bbbb_cccc.jpg": b"1", "a/info.json": INSTAGRAM}
    record = read_one(ADAPTER, tmp_path, files)
    assert ("instagram:post:500", "contains", "file:a/aaaa_bbbb_cccc.jpg") in edges(record)


def test_a_named_file_with_a_sidecar_of_its_own_is_not_taken(tmp_path):
    own = INSTAGRAM | {"media_id": "502"}
    files = {"aaaa_bbbb_cccc.jpg": b"1", "aaaa_bbbb_cccc.jpg.json": own, "z.json": INSTAGRAM}
    taken, other = read(ADAPTER, write(tmp_path, files))
    assert ("instagram:post:500", "contains", "file:aaaa_bbbb_cccc.jpg") in edges(taken)
    assert ("instagram:post:500", "contains", "instagram:media:501") in edges(other)


def test_names_in_records_never_leave_the_folder(tmp_path):
    write(tmp_path, {"secret_file.jpg": b"1"})
    hostile = INSTAGRAM | {"filename": "../secret_file"}
    record = read_one(ADAPTER, tmp_path / "in", {"a/info.json": hostile})
    assert ("instagram:post:500", "contains", "instagram:media:501") in edges(record)


def test_lines_and_dumps_hold_several_records(tmp_path):
    lines = b"\n".join(json.dumps(one).encode() for one in (TWEET, PIXIV)) + b"\n{broken"
    dump = [
        [2, TWEET | {"filename": None, "extension": None}],
        [3, "https://cdn.example/k.jpg", TWEET],
        [6, "https://elsewhere.example", TWEET],
        [3],
    ]
    files = {"a.jsonl": lines, "b.json": lines[: lines.rindex(b"\n")], "c.json": dump}
    items = read(ADAPTER, write(tmp_path, files))
    assert [(item.path, item.number, type(item)) for item in items] == [
        ("a.jsonl", 0, Record),
        ("a.jsonl", 1, Record),
        ("a.jsonl", 2, Problem),
        ("b.json", 0, Record),
        ("b.json", 1, Record),
        ("c.json", 0, Record),
        ("c.json", 1, Record),
        ("c.json", 3, Problem),
    ]
    assert items[0].complete == TWEET
    media = observed(items[6], "twitter:media:KeyOfMedium")
    assert media.meta["media_url"] == "https://cdn.example/k.jpg"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'"text"', b'{"category": 5}', b'{"id": 1}', b"\xff\xfe"]
)
def test_what_is_no_sidecar_is_a_problem(tmp_path, content: bytes):
    items = read(ADAPTER, write(tmp_path, {"x.jpg.json": content}))
    assert [type(item) for item in items] == [Problem]


def test_signals_are_no_records(tmp_path):
    assert read(ADAPTER, write(tmp_path, {"_READY.json": {"source": "gallery-dl"}})) == []


def test_a_record_that_names_nothing_is_a_problem(tmp_path):
    (item,) = read(ADAPTER, write(tmp_path, {"x.json": {"category": "newsite", "tags": ["a"]}}))
    assert isinstance(item, Problem) and "newsite" in item.reason


def test_sniffing(tmp_path):
    write(tmp_path, {"a/x.jpg.json": INSTAGRAM, "a/y.jpg.json": TWEET})
    assert ADAPTER.sniff(ScrapeFolder.of(str(tmp_path))).confidence >= 0.9
    other = write(tmp_path / "other", {"x.json": {"category": "fruit", "name": "apple"}})
    assert ADAPTER.sniff(ScrapeFolder.of(other)).confidence < 0.5
    none = write(tmp_path / "none", {"x.json": {"extractor": "youtube"}, "y.json": b"{"})
    assert ADAPTER.sniff(ScrapeFolder.of(none)).confidence == 0.0


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_mutated_records_never_raise(tmp_path_factory, which: int, seed: int):
    folder = tmp_path_factory.mktemp("fuzz")
    check(ADAPTER, write(folder, {"a.jpg": b"1", "a.jpg.json": mutated(ALL[which], seed)}))
