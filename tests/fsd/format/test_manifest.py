"""Parsing, refusing, formatting and deduplicating manifests."""

import hashlib
import itertools
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_bytes import format_manifest

from fsd.format.errors import ManifestError
from fsd.format.manifest.manifest import (
    TEXT_SIZE_BYTES_MAX,
    ManifestEntry,
    check_entries,
    parse_manifest,
)
from fsd.format.manifest.manifest_columns import Columns
from fsd.format.manifest.manifest_keys import deduplicate
from fsd.format.paths import check_relative_path, encode_path, find_collisions

KEY = bytes(range(32))
KEY_HEX = KEY.hex()
OTHER = bytes(range(1, 33))


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def problems_of(*lines: bytes) -> list[str]:
    with pytest.raises(ManifestError) as refused:
        parse_manifest(lines)
    return refused.value.problems


GOLDEN = (
    b'{"path":"A b/\\u00e9.jpg","key":"000102030405060708090a0b0c0d0e0f'
    b'101112131415161718191a1b1c1d1e1f","size_bytes":12,"node_id":7}\n'
    b'{"path":"a","key":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}\n'
    b'{"path":"list.txt","text":"x\\n\\udcfe","node_id":"n"}\n'
    b'{"path":"\\ud83d\\ude00","key":"000102030405060708090a0b0c0d0e0f'
    b'101112131415161718191a1b1c1d1e1f","size_bytes":0}\n'
    b'{"path":"\\udcff","key":"000102030405060708090a0b0c0d0e0f'
    b'101112131415161718191a1b1c1d1e1f"}\n'
)
GOLDEN_ENTRIES = [
    ManifestEntry("A b/é.jpg", KEY, None, 12, 7),
    ManifestEntry("a", KEY),
    ManifestEntry("list.txt", None, "x\n\udcfe", 3, "n"),
    ManifestEntry("\U0001f600", KEY, None, 0),
    ManifestEntry("\udcff", KEY),
]


def test_golden_bytes() -> None:
    shuffled = random.Random(1).sample(GOLDEN_ENTRIES, len(GOLDEN_ENTRIES))
    assert format_manifest(shuffled) == GOLDEN
    assert hashlib.sha256(GOLDEN).hexdigest() == (
        "9c674905729acdfa3ea57cf784e04c52f857709ce4dcbe017ce7a46661098c68"
    )
    assert list(parse_manifest(GOLDEN.splitlines(keepends=True)).entries) == GOLDEN_ENTRIES


def canonical_order(entries: Iterable[ManifestEntry]) -> list[ManifestEntry]:
    columns = Columns(entries)
    columns.sort()
    return list(columns.entries())


def test_order_is_that_of_bytes_not_of_characters() -> None:
    # As code points U+DCFF comes before U+1F600; as bytes ff comes after f0.
    assert [e.path for e in canonical_order(GOLDEN_ENTRIES)][-2:] == ["\U0001f600", "\udcff"]


def test_totals_and_lenience() -> None:
    manifest = parse_manifest(
        [
            b'\xef\xbb\xbf{"path": "a", "key": "' + KEY_HEX.upper().encode() + b'"}\r\n',
            b"\n",
            b"   \t\r\n",
            line(path="b", text="é", key=None, size_bytes=2),
            line(path="c:d", key=KEY_HEX, size_bytes=10, node_id="x:y"),
        ]
    )
    assert manifest.entries == (
        ManifestEntry("a", KEY),
        ManifestEntry("b", None, "é", 2),
        ManifestEntry("c:d", KEY, None, 10, "x:y"),
    )
    assert (manifest.size_bytes, manifest.unsized) == (12, 1)
    assert manifest.entries[1].text_bytes() == "é".encode()


def test_an_empty_manifest_is_a_manifest() -> None:
    assert parse_manifest([]).entries == ()
    assert format_manifest([]) == b""


def test_an_open_file_will_do(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(GOLDEN)
    with (tmp_path / "m.jsonl").open("rb") as lines:
        assert len(parse_manifest(lines).entries) == 5


@pytest.mark.parametrize(
    ("given_line", "reason"),
    [
        (b"{", "broken JSON"),
        (b'{"path": "a",}', "broken JSON"),
        (line(path="a", key=KEY_HEX) + b"{}", "broken JSON"),
        (b"\xef\xbb\xbf" * 2 + line(path="a", key=KEY_HEX), "broken JSON"),
        (b"[" * 100_000, "broken JSON"),
        (b'{"path": "a", "size_bytes": ' + b"9" * 5000 + b"}", "broken JSON"),
        (b"\xff" + line(path="a", key=KEY_HEX), "not UTF-8 at byte 0"),
        (b'{"path": "\xed\xb3\xbf", "text": ""}', "not UTF-8 at byte 10"),
        (line(path="a", key=KEY_HEX).decode().encode("utf-16"), "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"path"', "not a JSON object"),
        (b"{}", "`path` is missing"),
        (line(path=None, key=KEY_HEX), "`path` is missing"),
        (line(path=7, key=KEY_HEX), "`path` is missing"),
        (line(path=["a"], key=KEY_HEX), "`path` is missing"),
        (line(path="a"), "neither `key` nor `text`"),
        (line(path="a", key=None), "neither `key` nor `text`"),
        (line(path="a", key=KEY_HEX, text=""), "both `key` and `text`"),
        (line(path="a", key=KEY_HEX[1:]), "not a sha256"),
        (line(path="a", key=KEY_HEX[:-2] + "  "), "not a sha256"),
        (line(path="a", key=KEY_HEX[:-1] + "g"), "not a sha256"),
        (line(path="a", key=KEY_HEX[:-1] + "٣"), "not a sha256"),
        (line(path="a", key=5), "not a sha256"),
        (line(path="a", key=False), "not a sha256"),
        (line(path="a", key=""), "not a sha256"),
        (line(path="a", key=KEY_HEX, size=1), "unknown field 'size'"),
        (line(path="a", key=KEY_HEX, size_byte=1), "did you mean `size_bytes`?"),
        (line(path="a", key=KEY_HEX, nodeid=1), "did you mean `node_id`?"),
        (line(path="a", key=KEY_HEX, x=None), "unknown field 'x'"),
        (line(path="a", key=KEY_HEX, size_bytes=-1), "`size_bytes`"),
        (line(path="a", key=KEY_HEX, size_bytes=True), "`size_bytes`"),
        (line(path="a", key=KEY_HEX, size_bytes=1.0), "`size_bytes`"),
        (line(path="a", key=KEY_HEX, size_bytes=2**63), "`size_bytes`"),
        (line(path="a", key=KEY_HEX, size_bytes="1"), "`size_bytes`"),
        (line(path="a", key=KEY_HEX, size_bytes=float("nan")), "NaN is not JSON"),
        (line(path="a", key=KEY_HEX, size_bytes=float("-inf")), "-Infinity is not JSON"),
        (b'{"path": "a", "size_bytes": 1e999, "key": "' + KEY_HEX.encode() + b'"}', "`size_bytes`"),
        (line(path="a", key=KEY_HEX, node_id=True), "`node_id`"),
        (line(path="a", key=KEY_HEX, node_id=""), "`node_id`"),
        (line(path="a", key=KEY_HEX, node_id="x" * 201), "`node_id`"),
        (line(path="a", key=KEY_HEX, node_id=2**63), "`node_id`"),
        (line(path="a", key=KEY_HEX, node_id=[1]), "`node_id`"),
        (line(path="a", key=KEY_HEX, node_id={"a": 1}), "`node_id`"),
        (line(path="a", text=5), "`text` is not a string"),
        (line(path="a", text="\ud800"), "`text` has a surrogate"),
        (line(path="a", text="é", size_bytes=1), "the text has 2 bytes"),
        (line(path="a", text="x" * (TEXT_SIZE_BYTES_MAX + 1)), "the limit is 1048576"),
        (line(path="a", text="x" * 9_000_000), "the line has"),
        (line(path="../a", key=KEY_HEX), "'..' component: '../a'"),
        (line(path="_SEALED", key=KEY_HEX), "reserved"),
        (line(path="\ud800", key=KEY_HEX), "no byte: '\\ud800'"),
        (line(path="a", key=KEY_HEX)[:-1] + b', "path": "b"}', "a field is given twice"),
        (line(path="a", text="x")[:-1] + b', "p\\u0061th": "b"}', "a field is given twice"),
    ],
)
def test_refused_lines(given_line: bytes, reason: str) -> None:
    problems = problems_of(line(path="ok", text=""), b"", given_line)
    assert len(problems) == 1
    assert problems[0].startswith("line 3: ")
    assert reason in problems[0]


def test_the_largest_text_is_accepted_even_when_all_of_it_is_escaped() -> None:
    text = "\0" * TEXT_SIZE_BYTES_MAX
    [entry] = parse_manifest([line(path="a", text=text)]).entries
    assert entry.text == text
    assert entry.size_bytes == TEXT_SIZE_BYTES_MAX


def test_a_byte_order_mark_counts_only_at_the_start() -> None:
    assert "broken JSON" in problems_of(b"", b"\xef\xbb\xbf" + line(path="a", text=""))[0]


def test_only_the_first_twenty_problems_are_listed() -> None:
    with pytest.raises(ManifestError) as refused:
        parse_manifest(b"{" for _ in range(1000))
    assert len(refused.value.problems) == 20
    assert refused.value.problem_count == 1000
    assert refused.value.problems[19].startswith("line 20: ")


def test_collisions_name_their_line() -> None:
    lines = [line(path=p, text="") for p in ["B/x", "a", "b", "a", "a/c"]]
    assert problems_of(b"", *lines) == [
        "line 4: 'b' differs from 'B' only in case or Unicode normalisation",
        "line 5: the path is given twice: 'a'",
        "line 6: the path is both a file and a folder: 'a'",
    ]


def test_case_collisions_may_be_allowed_but_duplicates_never() -> None:
    lines = [line(path=p, text="") for p in ["a", "A", "A"]]
    assert len(parse_manifest(lines[:2], allow_case_collisions=True).entries) == 2
    with pytest.raises(ManifestError, match="line 3: the path is given twice"):
        parse_manifest(lines, allow_case_collisions=True)


def test_hostile_names_reach_the_message_escaped() -> None:
    [problem] = problems_of(line(path="\x1b[2J/../\u202e", key=KEY_HEX))
    assert problem.isascii()
    assert problem.isprintable()


def test_entries_made_in_memory_get_the_same_checks() -> None:
    with pytest.raises(ManifestError) as refused:
        check_entries(
            [
                ManifestEntry("ok", KEY),
                ManifestEntry("/bad", KEY),
                ManifestEntry("short", b"123"),
                ManifestEntry("none"),
                ManifestEntry("ok", OTHER),
            ]
        )
    assert [p.split(":")[0] for p in refused.value.problems] == [
        "entry 2",
        "entry 3",
        "entry 4",
        "entry 5",
    ]
    assert check_entries([ManifestEntry("t", None, "é")]).size_bytes == 2


def test_a_text_has_one_spelling() -> None:
    joined = check_entries([ManifestEntry("t", None, "\udcc3\udca9")]).entries
    assert joined == (ManifestEntry("t", None, "é", 2),)


names = st.binary(min_size=1, max_size=6).map(os.fsdecode) | st.text(max_size=6)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
node_ids = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1, max_size=9)
stored = st.builds(
    ManifestEntry,
    paths,
    st.binary(min_size=32, max_size=32),
    st.none(),
    st.none() | st.integers(0, 2**63 - 1),
    node_ids,
)
inline = st.builds(
    ManifestEntry,
    paths,
    st.none(),
    st.text() | st.binary(max_size=20).map(os.fsdecode),
    st.none(),
    node_ids,
)


def is_fine(entry: ManifestEntry) -> bool:
    try:
        encode_path(entry.text or "")
        str(entry.node_id).encode()
    except UnicodeEncodeError:
        return False
    return check_relative_path(entry.path) is None


@given(st.lists((stored | inline).filter(is_fine), max_size=6))
def test_round_trip(entries: list[ManifestEntry]) -> None:
    kinds = {kind for kind, _, _ in find_collisions(entry.path for entry in entries)}
    if kinds - {"case"}:
        return
    checked = check_entries(entries, allow_case_collisions=True).entries
    formatted = format_manifest(checked)
    parsed = parse_manifest(formatted.splitlines(keepends=True), allow_case_collisions=True)
    assert list(parsed.entries) == canonical_order(checked)
    assert format_manifest(parsed.entries) == formatted
    assert formatted.isascii()


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_garbage_is_refused_and_never_escapes(lines: list[bytes]) -> None:
    try:
        assert all(not one.strip() for one in lines) or not parse_manifest(lines).entries
    except ManifestError as error:
        assert error.problem_count >= 1


def test_by_sha256_keeps_the_first_path_of_each_content() -> None:
    entries = [
        ManifestEntry("c", KEY, node_id=1),
        ManifestEntry("a", KEY, node_id=2),
        ManifestEntry("b", OTHER),
        ManifestEntry("t1", None, "same"),
        ManifestEntry("t2", None, "same"),
    ]
    kept, dropped_count, _ = deduplicate(Columns(entries), "by_sha256")
    assert [entry.path for entry in kept.entries()] == ["a", "b", "t1", "t2"]
    assert dropped_count == 1


def test_by_node_keeps_each_content_once_per_node() -> None:
    entries = [
        ManifestEntry("e", KEY, node_id=1),
        ManifestEntry("d", KEY, node_id=1),
        ManifestEntry("c", OTHER, node_id=1),
        ManifestEntry("b", KEY, node_id="1"),
        ManifestEntry("a", KEY),
        ManifestEntry("f", KEY),
        ManifestEntry("t", None, "text", node_id=1),
    ]
    kept, dropped_count, _ = deduplicate(Columns(entries), "by_node")
    assert [entry.path for entry in kept.entries()] == ["a", "b", "c", "d", "f", "t"]
    assert dropped_count == 1


def test_deduplication_does_not_depend_on_the_order_given() -> None:
    entries = [ManifestEntry(p, KEY, node_id=n) for p, n in [("a", 1), ("b", 2), ("c", 1)]]
    for mode in ("by_sha256", "by_node"):
        results = set[str]()
        for order in itertools.permutations(entries):
            kept, dropped_count, _ = deduplicate(Columns(order), mode)
            results.add(str((list(kept.entries()), dropped_count)))
        assert len(results) == 1


def test_an_unknown_mode_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="by_sha256 or by_node"):
        deduplicate(Columns(), "by_name")  # pyright: ignore[reportArgumentType]
