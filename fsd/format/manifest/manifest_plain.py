"""Reads many lines of a manifest at once: those in the form that our own programs write.

It owns the recognition of lines that are right for certain, and no rule: whatever else a line may
be, or may have wrong with it, is found out by `manifest`, which decodes it. Pure.

A plain line has no escape and nothing but printable ASCII; its fields are path, key or text,
size_bytes, node_id, in this order, of which the last two may be left out. The quotes cut lines with
the same fields into the same count of pieces, and a piece of all lines is checked at once.
"""

import contextlib
import json
from array import array
from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple, TypeAlias

from fsd.format.manifest.manifest_columns import KEY_SIZE_BYTES, UNKNOWN_SIZE, Columns
from fsd.format.paths import COMPONENT_SIZE_BYTES_MAX, all_surely_fine

_PRINTABLE = bytes(range(0x20, 0x7F)).replace(b"\\", b"")
_HEX_KEY_SIZE = 2 * KEY_SIZE_BYTES
_COLONS = {b":", b": "}
_COMMAS = {b",", b", "}
_END = b"}\n{"
_NUMBER_CHARACTERS = b"0123456789- "
_WIDTHS = (8, 10, 12)  # quotes in a line without a number, with one, with two


TEXT_SIZE_BYTES_MAX = 1024 * 1024
_WRITTEN_CHARACTERS_MAX = 21  # of a number of 64 bits, its sign and a space
File: TypeAlias = tuple[bytes, bytes | None, int, bytes | None, int | None]
"""Path, key, size, text, node: what `Columns.add_file` takes."""


class _NotPlainError(Exception):
    """Never leaves this module."""


class _Alike(NamedTuple):
    """What lines with the same fields have; `keys` joined, or `texts`, and never both."""

    paths: list[bytes]
    keys: bytes
    texts: list[bytes]
    sizes: "array[int] | None"
    nodes: "array[int] | None"


def add_plain_lines(columns: Columns, lines: list[bytes]) -> bool:
    """Append the entries of all lines, or none unless all are plain and have the same fields, a key
    among them; returns whether it did.
    """
    try:
        paths, keys, texts, sizes, nodes = _read(lines)
    except _NotPlainError:
        return False
    if texts:
        return False
    columns.add_all(paths, keys, sizes, nodes)
    return True


def plain_files(lines: list[bytes]) -> list[File | None]:
    """Read those lines that are plain, whatever fields they have; None for each other."""
    found: list[File | None] = [None] * len(lines)
    groups: dict[tuple[int, bool], list[int]] = {}
    for place, line in enumerate(lines):
        # A line with an escape may be right, but would keep its group from being read at once.
        if b"\\" not in line and line.isascii():
            groups.setdefault((line.count(b'"'), b'"text"' in line), []).append(place)
    for places in groups.values():
        with contextlib.suppress(_NotPlainError):
            for place, file in zip(places, _files([lines[n] for n in places]), strict=True):
                found[place] = file
    return found


def _files(lines: list[bytes]) -> Iterator[File]:
    paths, keys, texts, sizes, nodes = _read(lines)
    size = KEY_SIZE_BYTES
    return zip(
        paths,
        repeat(None) if texts else [keys[n * size : (n + 1) * size] for n in range(len(paths))],
        repeat(UNKNOWN_SIZE) if sizes is None else sizes,
        texts or repeat(None),
        repeat(None) if nodes is None else nodes,
        strict=False,
    )


def _read(lines: list[bytes]) -> _Alike:
    data, count = b"".join(lines), len(lines)
    # As many newlines as lines, and one behind each: no element has two lines in it.
    _require(data.translate(None, _PRINTABLE) == b"\n" * count)
    _require([line[-1:] for line in lines].count(b"\n") == count)
    pieces = (data + b"{").split(b'"')
    width, over = divmod(len(pieces) - 1, count)
    _require(not over and width in _WIDTHS)
    _require(pieces[0] == b"{")
    _require(pieces[1::width].count(b"path") == count)
    _require(_COLONS.issuperset(pieces[2::width]))
    paths = pieces[3::width]
    _require(_COMMAS.issuperset(pieces[4::width]))
    contents, content = pieces[5::width], pieces[5]
    _require(content in (b"key", b"text") and contents.count(content) == count)
    _require(_COLONS.issuperset(pieces[6::width]))
    contents, is_text = pieces[7::width], content == b"text"
    keys = b"" if is_text else _keys(contents)
    sizes, nodes = _numbers(pieces, width, count)
    # A text's size has to be compared with it.
    _require(not is_text or (sizes is None and max(map(len, contents)) <= TEXT_SIZE_BYTES_MAX))
    lengths = set(map(len, paths))
    _require(min(lengths) > 0 and max(lengths) <= COMPONENT_SIZE_BYTES_MAX)
    _require(all_surely_fine(paths))
    return _Alike(paths, keys, contents if is_text else [], sizes, nodes)


def _keys(pieces: list[bytes]) -> bytes:
    _require(set(map(len, pieces)) == {_HEX_KEY_SIZE})
    try:
        keys = bytes.fromhex(b"".join(pieces).decode("ascii"))
    except ValueError:
        raise _NotPlainError from None
    _require(len(keys) == KEY_SIZE_BYTES * len(pieces))  # fromhex skips spaces
    return keys


def _numbers(
    pieces: list[bytes], width: int, count: int
) -> tuple["array[int] | None", "array[int] | None"]:
    """Return (sizes, node numbers), and check everything behind the keys."""
    ends = pieces[width::width]
    if width == _WIDTHS[0]:
        _require(ends.count(_END) == count)
        return None, None
    _require(_COMMAS.issuperset(pieces[8::width]))
    names = pieces[9::width]
    if width == _WIDTHS[1]:
        name = names[0]
        _require(name in (b"size_bytes", b"node_id") and names.count(name) == count)
        numbers = _between(ends, _END)
        return (_sizes(numbers), None) if name == b"size_bytes" else (None, numbers)
    _require(names.count(b"size_bytes") == count)
    _require(pieces[11::width].count(b"node_id") == count)
    between = pieces[10::width]
    sizes = _between(between, b", " if between[0].endswith(b" ") else b",")
    return _sizes(sizes), _between(ends, _END)


def _sizes(numbers: "array[int]") -> "array[int]":
    _require(min(numbers) >= 0)
    return numbers


def _between(pieces: list[bytes], behind: bytes) -> "array[int]":
    """Read the number that each piece has between its colon and what is behind."""
    cut = -len(behind)
    _require({piece[cut:] for piece in pieces} == {behind})
    _require({piece[:1] for piece in pieces} == {b":"})
    written = [piece[1:cut] for piece in pieces]
    _require(max(map(len, written)) <= _WRITTEN_CHARACTERS_MAX)
    # With nothing but these in it, whatever is no number is no JSON either.
    _require(not b"".join(written).translate(None, _NUMBER_CHARACTERS))
    try:
        numbers = array("q", json.loads(b"[" + b",".join(written) + b"]"))
    except (ValueError, OverflowError):
        raise _NotPlainError from None
    _require(len(numbers) == len(pieces))
    return numbers


def _require(is_right: bool) -> None:
    if not is_right:
        raise _NotPlainError
