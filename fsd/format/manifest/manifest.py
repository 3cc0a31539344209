"""The manifest: which content (or inline text) becomes which relative path. Parse and check.

One JSON object per line, UTF-8:

    {"path": "a/b.jpg", "key": "<sha256, 64 hex>", "size_bytes": 12, "node_id": 7}
    {"path": "a/b.json", "text": "...", "node_id": 7}

`size_bytes` and `node_id` (an integer or a short string) are optional. A name that is not UTF-8
travels as lone surrogates (`"\\udcff"` is the byte 0xff), and so do such bytes inside a text.

This module is pure: it never reads a file, and never asks whether the content exists. A manifest is
refused as a whole, so that nothing is begun for one that would fail halfway.
"""

import difflib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

from fsd.format.errors import ManifestError
from fsd.format.manifest.manifest_columns import (
    KEY_SIZE_BYTES,
    UNKNOWN_SIZE,
    Columns,
    ManifestEntry,
)
from fsd.format.manifest.manifest_plain import TEXT_SIZE_BYTES_MAX, add_plain_lines, plain_files
from fsd.format.paths import (
    check_relative_path,
    decode_path,
    encode_path,
    find_collisions,
    surely_no_collision,
)

NODE_ID_SIZE_CHARACTERS_MAX = 200
# A text of 1 MiB of control characters needs six characters each, and there are other fields.
LINE_SIZE_BYTES_MAX = 8 * 1024 * 1024
_INTEGER_MAX = 2**63 - 1
_BOM = b"\xef\xbb\xbf"
_COLLISIONS = {
    "duplicate": "the path is given twice: {later}",
    "file and folder": "the path is both a file and a folder: {later}",
    "case": "{later} differs from {earlier} only in case or Unicode normalisation",
}
_FIELDS = ("path", "key", "text", "size_bytes", "node_id")
_BLOCK_LINES = 4096

_Given = TypeVar("_Given")


class Manifest(NamedTuple):
    """Entries that passed every check, in the order they were given.

    `size_bytes` sums the sizes that are known, texts included; `unsized` counts the entries whose
    size has to be asked of the store.
    """

    columns: Columns
    size_bytes: int
    unsized: int

    @property
    def entries(self) -> tuple[ManifestEntry, ...]:
        """All entries as objects: for few."""
        return tuple(self.columns.entries())


class _LineError(Exception):
    """The reason why one entry is refused; collected, never raised to a caller."""


def parse_manifest(lines: Iterable[bytes], *, allow_case_collisions: bool = False) -> Manifest:
    """Read JSON lines (an open binary file will do) into a checked manifest, in the given order.

    Blank lines are ignored, a byte order mark at the very start is stripped. Raises ManifestError
    with the first 20 problems as `line N: reason` and the count of all: broken JSON or UTF-8,
    unknown or repeated fields, a bad path, key, size or text, two entries for one path, and paths
    that differ only in case or normalisation unless `allow_case_collisions`.
    """
    columns, numbers, problems = Columns(), array("Q"), list[str]()
    rest, first = iter(lines), 1
    while block := list(islice(rest, _BLOCK_LINES)):
        if add_plain_lines(columns, block):
            numbers.extend(range(first, first + len(block)))
        else:
            _add_mixed(columns, numbers, block, first, problems)
        first += len(block)
    return _whole("line", columns, numbers, problems, allow_case_collisions)


def check_entries(
    entries: Iterable[ManifestEntry], *, allow_case_collisions: bool = False
) -> Manifest:
    """The same checks for entries made in memory; problems are counted as `entry N`, from 1."""
    columns, numbers, problems = Columns(), array("Q"), list[str]()
    read = _read_each("entry", enumerate(entries, start=1), _check_entry, problems)
    _add_each(columns, numbers, read)
    return _whole("entry", columns, numbers, problems, allow_case_collisions)


def _add_mixed(
    columns: Columns, numbers: "array[int]", lines: list[bytes], first: int, problems: list[str]
) -> None:
    """Append the entries of lines of every kind, the first of this number."""
    for number, (line, file) in enumerate(zip(lines, plain_files(lines), strict=True), first):
        if file is not None:
            columns.add_file(*file)
            numbers.append(number)
            continue
        if number == 1 and line.startswith(_BOM):
            line = line[len(_BOM) :]
        if stripped := line.strip():
            read = _read_each("line", [(number, stripped)], _parse_line, problems)
            _add_each(columns, numbers, read)


def _add_each(
    columns: Columns, numbers: "array[int]", read: Iterable[tuple[int, ManifestEntry]]
) -> None:
    for number, entry in read:
        columns.add(entry)
        numbers.append(number)


def _read_each(
    unit: str,
    numbered: Iterable[tuple[int, _Given]],
    read: Callable[[_Given], ManifestEntry],
    problems: list[str],
) -> Iterator[tuple[int, ManifestEntry]]:
    """Yield what passes, by number, and note what does not."""
    for number, given in numbered:
        try:
            yield number, read(given)
        except _LineError as error:
            problems.append(f"{unit} {number}: {error}")


def _whole(
    unit: str,
    columns: Columns,
    numbers: "array[int]",
    problems: list[str],
    allow_case_collisions: bool,
) -> Manifest:
    """Make the manifest of all entries, if there is no problem and they can stand together."""
    for position, kind, reason in _find_collisions(columns):
        if not (kind == "case" and allow_case_collisions):
            problems.append(f"{unit} {numbers[position]}: {reason}")
    if problems:
        raise ManifestError(problems)
    unsized = columns.sizes.count(UNKNOWN_SIZE)
    return Manifest(columns, sum(columns.sizes) - unsized * UNKNOWN_SIZE, unsized)


def _find_collisions(columns: Columns) -> Iterator[tuple[int, str, str]]:
    """Yield (position, kind, reason)."""
    if surely_no_collision(columns.path_blocks()):
        return
    position = -1

    def paths() -> Iterator[str]:
        nonlocal position
        for path in chain.from_iterable(columns.path_blocks()):
            position += 1
            yield decode_path(path)

    # find_collisions is lazy: what it yields is about the path it took last.
    for kind, earlier, later in find_collisions(paths()):
        reason = _COLLISIONS[kind].format(earlier=_shorten(earlier), later=_shorten(later))
        yield position, kind, reason


def _parse_line(line: bytes) -> ManifestEntry:
    if len(line) > LINE_SIZE_BYTES_MAX:
        raise _LineError(f"the line has {len(line)} bytes, the limit is {LINE_SIZE_BYTES_MAX}")
    try:
        document = _decode(str(line, "utf-8"))
    except UnicodeDecodeError as error:
        raise _LineError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _LineError(f"broken JSON: {error.msg} at character {error.pos}") from None
    except (ValueError, RecursionError) as error:
        # Also an integer of thousands of digits, or brackets nested beyond the stack.
        raise _LineError(f"broken JSON: {error}") from None
    return _entry_of(document)


def _decode(text: str) -> dict[str, Any]:
    document = _decode_json(text)
    if type(document) is not dict:
        raise _LineError("not a JSON object")
    # Every field costs a colon, so more colons than fields are colons in strings, nested objects,
    # or a field given twice. Asking json for pairs each time would triple the time of decoding.
    fields = cast("dict[str, Any]", document)
    return fields if text.count(":") == len(fields) else _decode_pairs(text)


def _entry_of(document: dict[str, Any]) -> ManifestEntry:
    get = document.get
    path, key, text = get("path"), get("key"), get("text")
    size_bytes, node_id = get("size_bytes"), get("node_id")
    if len(document) != 5 - (path, key, text, size_bytes, node_id).count(None):
        _refuse_unknown_fields(document)
    if type(path) is not str:
        raise _LineError("`path` is missing or not a string")
    if key is not None:
        key = _parse_key(key)
    return _check_entry(ManifestEntry(path, key, text, size_bytes, node_id))


def _refuse_unknown_fields(document: dict[str, Any]) -> None:
    """Refuse an unknown field; a known field that is null counts as absent."""
    for field in document:
        if field not in _FIELDS:
            near = difflib.get_close_matches(field[:64], _FIELDS, n=1)
            hint = f", did you mean `{near[0]}`?" if near else ""
            raise _LineError(f"unknown field {field[:64]!a}{hint}")


def _parse_key(key: object) -> bytes:
    try:
        value = bytes.fromhex(key) if type(key) is str and len(key) == 64 else b""
    except ValueError:
        value = b""
    if len(value) != KEY_SIZE_BYTES:  # fromhex skips spaces
        raise _LineError("`key` is not a sha256 of 64 hexadecimal digits")
    return value


def _check_entry(entry: ManifestEntry) -> ManifestEntry:
    """Refuse a bad field. A text comes back with its size, and with its canonical spelling."""
    reason = check_relative_path(entry.path)
    if reason is not None:
        raise _LineError(f"{reason}: {_shorten(entry.path)}")
    if entry.size_bytes is not None and not _is_integer(entry.size_bytes, 0):
        raise _LineError("`size_bytes` is not an integer from 0 to 2^63 - 1")
    if entry.node_id is not None and not _is_node_id(entry.node_id):
        raise _LineError("`node_id` is neither a 64-bit integer nor a string of 1-200 characters")
    if entry.key is None:
        if entry.text is None:
            raise _LineError("neither `key` nor `text` is given")
        return _check_text(entry, entry.text)
    if entry.text is not None:
        raise _LineError("both `key` and `text` are given")
    if len(entry.key) != KEY_SIZE_BYTES:
        raise _LineError(f"the key has {len(entry.key)} bytes, not {KEY_SIZE_BYTES}")
    return entry


def _check_text(entry: ManifestEntry, text: str) -> ManifestEntry:
    if type(text) is not str:
        raise _LineError("`text` is not a string")
    try:
        encoded = encode_path(text)
    except UnicodeEncodeError:
        raise _LineError("`text` has a surrogate that stands for no byte") from None
    size_bytes = len(encoded)
    if size_bytes > TEXT_SIZE_BYTES_MAX:
        raise _LineError(f"`text` has {size_bytes} bytes, the limit is {TEXT_SIZE_BYTES_MAX}")
    if entry.size_bytes not in (None, size_bytes):
        raise _LineError(f"`size_bytes` is {entry.size_bytes}, but the text has {size_bytes} bytes")
    # Escaped bytes that join into valid UTF-8 become characters: equal files, equal manifests.
    return ManifestEntry(entry.path, None, decode_path(encoded), size_bytes, entry.node_id)


def _is_integer(value: object, lowest: int) -> bool:
    return type(value) is int and lowest <= value <= _INTEGER_MAX


def _is_node_id(value: object) -> bool:
    if type(value) is str:
        return 1 <= len(value) <= NODE_ID_SIZE_CHARACTERS_MAX
    return _is_integer(value, -_INTEGER_MAX - 1)


def _shorten(path: str) -> str:
    """ASCII, so that no hostile name reaches a terminal."""
    return ascii(path if len(path) <= 200 else path[:197] + "...")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field is given twice")
    return document


# json.loads would build these anew on every call that has options.
_decode_json: Callable[[str], object] = json.JSONDecoder(parse_constant=_refuse_constant).decode
_decode_pairs: Callable[[str], dict[str, Any]] = json.JSONDecoder(
    object_pairs_hook=_refuse_repetition
).decode
