"""Batch parts: golden bytes, any name there and back, and the bound on a line's size."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsd.format.batch_part import (
    PartFile,
    PartHead,
    estimate_bytes,
    format_part,
    parse_files,
    parse_head,
)
from fsd.format.errors import CorruptError

KEY = bytes(range(32)).hex()
FILES = [
    PartFile("a/b.jpg", KEY, 12),
    PartFile('Ü 😀\n"\\', KEY, 0),
    PartFile(os.fsdecode(b"not utf-8 \xff\xfe"), KEY, 2**63 - 1),
]
GOLDEN = (
    b'{"batch": "b \\u00e4", "class": "raw", "part": 3, "files": 3, '
    b'"size_bytes": 9223372036854775819}\n'
    b'{"path": "a/b.jpg", "key": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"'
    b', "size_bytes": 12}\n'
    b'{"path": "\\u00dc \\ud83d\\ude00\\n\\"\\\\", "key": "000102030405060708090a0b0c0d0e0f10111213'
    b'1415161718191a1b1c1d1e1f", "size_bytes": 0}\n'
    b'{"path": "not utf-8 \\udcff\\udcfe", "key": "000102030405060708090a0b0c0d0e0f10111213141516'
    b'1718191a1b1c1d1e1f", "size_bytes": 9223372036854775807}\n'
)

names = st.binary(min_size=1, max_size=80).map(os.fsdecode)
files = st.builds(PartFile, names, st.just(KEY), st.integers(0, 2**63 - 1))


def test_golden_part():
    assert format_part("b ä", "raw", 3, FILES) == GOLDEN
    assert parse_head(GOLDEN) == PartHead("b ä", "raw", 3, 3, 12 + 2**63 - 1)
    assert parse_files(GOLDEN) == FILES


def test_a_part_without_files():
    data = format_part("b", "generated", 0, [])
    assert parse_head(data) == PartHead("b", "generated", 0, 0, 0)
    assert parse_files(data) == []


@given(st.lists(files, max_size=20), st.integers(0, 2**32 - 1))
def test_round_trip(listed: list[PartFile], number: int):
    data = format_part("b", "raw", number, iter(listed))
    assert parse_files(data) == listed
    head = parse_head(data)
    assert head == ("b", "raw", number, len(listed), sum(file.size_bytes for file in listed))


@given(files)
def test_the_estimate_is_an_upper_bound(file: PartFile):
    line = format_part("b", "raw", 0, [file]).split(b"\n")[1]
    assert len(line) + 1 <= estimate_bytes(file.path)


def test_the_estimate_of_the_longest_characters():
    for path in ("😀" * 1000, "\udcff" * 1000, "\x01" * 1000):
        line = format_part("b", "raw", 0, [PartFile(path, KEY, 2**64)]).split(b"\n")[1]
        assert len(line) + 1 <= estimate_bytes(path)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"[]\n", b'"x"\n', b"{}\n", b'{"batch": "b"}\n', b"\xff\n", b"null"]
)
def test_what_is_no_part_is_refused(data: bytes):
    with pytest.raises(CorruptError, match="batch part"):
        parse_head(data)
