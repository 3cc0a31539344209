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
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar, cast

from fsd.errors import ManifestError
from fsd.paths import (
    all_surely_fine,
    check_relative_path,
    decode_path,
    encode_path,
    find_collisions,
    surely_no_collision,
)

KEY_SIZE_BYTES = 32
NODE_ID_SIZE_CHARACTERS_MAX = 200
TEXT_SIZE_BYTES_MAX = 1024 * 1024
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
# Our own form of a line with a key and without an escape: it needs no JSON decoder. Whatever else a
# line may be, or may have wrong with it, is found out by decoding it.
_PLAIN_LINE = re.compile(
    r'^\{"path": ?"([ !#-\[\]-~]{1,255})", ?"key": ?"([0-9a-f]{64})"'
    r'(?:, ?"size_bytes": ?(0|[1-9][0-9]{0,17}))?(?:, ?"node_id": ?(0|-?[1-9][0-9]{0,17}))?\}$',
    re.MULTILINE,
)
_BLOCK_LINES = 4096

_Given = TypeVar("_Given")
_Fields: TypeAlias = "tuple[str, bytes | None, str | None, int | None, str | int | None]"


class ManifestEntry(NamedTuple):
    """One file of the target folder: stored content (`key`) or inline `text`, exactly one of them.

    `key` is the 32-byte sha256. `size_bytes` is None where the manifest does not say it; for a text
    the parser fills in the length of its bytes. Integer and string node ids are never equal.
    A named tuple, because a million of them take a third of the time of a frozen dataclass.
    """

    path: str
    key: bytes | None = None
    text: str | None = None
    size_bytes: int | None = None
    node_id: str | int | None = None

    def text_bytes(self) -> bytes:
        """The bytes of an inline text's file; empty for an entry with a key."""
        return encode_path(self.text) if self.text is not None else b""


make_entry = cast("Callable[[type[ManifestEntry], _Fields], ManifestEntry]", tuple.__new__)
"""Makes one of all its fields, for loops over millions: thrice as fast as calling the class."""


class Manifest(NamedTuple):
    """Entries that passed every check, in the order they were given.

    `size_bytes` sums the sizes that are known, texts included; `unsized` counts the entries whose
    size has to be asked of the store.
    """

    entries: tuple[ManifestEntry, ...]
    size_bytes: int
    unsized: int


class _LineError(Exception):
    """The reason why one entry is refused; collected, never raised to a caller."""


def parse_manifest(lines: Iterable[bytes], *, allow_case_collisions: bool = False) -> Manifest:
    """Read JSON lines (an open binary file will do) into a checked manifest, in the given order.

    Blank lines are ignored, a byte order mark at the very start is stripped. Raises ManifestError
    with the first 20 problems as `line N: reason` and the count of all: broken JSON or UTF-8,
    unknown or repeated fields, a bad path, key, size or text, two entries for one path, and paths
    that differ only in case or normalisation unless `allow_case_collisions`.
    """
    entries, numbers, problems = list[ManifestEntry](), array("Q"), list[str]()
    rest, first = iter(lines), 1
    while block := list(islice(rest, _BLOCK_LINES)):
        plain = _parse_plain(block)
        if plain is not None:
            entries += plain
            numbers.extend(range(first, first + len(plain)))
        else:
            read = _read_each("line", _number_lines(block, first), _parse_line, problems)
            for number, entry in read:
                entries.append(entry)
                numbers.append(number)
        first += len(block)
    return _whole("line", entries, numbers, problems, allow_case_collisions)


def check_entries(
    entries: Iterable[ManifestEntry], *, allow_case_collisions: bool = False
) -> Manifest:
    """The same checks for entries made in memory; problems are counted as `entry N`, from 1."""
    problems: list[str] = []
    read = list(_read_each("entry", enumerate(entries, start=1), _check_entry, problems))
    numbers = array("Q", (number for number, _ in read))
    return _whole("entry", [e for _, e in read], numbers, problems, allow_case_collisions)


def _number_lines(lines: Iterable[bytes], first: int) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=first):
        if number == 1 and line.startswith(_BOM):
            line = line[len(_BOM) :]
        line = line.strip()
        if line:
            yield number, line


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
    entries: list[ManifestEntry],
    numbers: "array[int]",
    problems: list[str],
    allow_case_collisions: bool,
) -> Manifest:
    """Make the manifest of all entries, if there is no problem and they can stand together."""
    for position, kind, reason in _find_collisions(entries):
        if not (kind == "case" and allow_case_collisions):
            problems.append(f"{unit} {numbers[position]}: {reason}")
    if problems:
        raise ManifestError(problems)
    sizes = [entry.size_bytes for entry in entries if entry.size_bytes is not None]
    return Manifest(tuple(entries), sum(sizes), len(entries) - len(sizes))


def _find_collisions(entries: Sequence[ManifestEntry]) -> Iterator[tuple[int, str, str]]:
    """Yield (position, kind, reason)."""
    if surely_no_collision([entry.path for entry in entries]):
        return
    position = -1

    def paths() -> Iterator[str]:
        nonlocal position
        for entry in entries:
            position += 1
            yield entry.path

    # find_collisions is lazy: what it yields is about the path it took last.
    for kind, earlier, later in find_collisions(paths()):
        reason = _COLLISIONS[kind].format(earlier=_shorten(earlier), later=_shorten(later))
        yield position, kind, reason


def _parse_plain(lines: list[bytes]) -> list[ManifestEntry] | None:
    """Read many lines at once; None unless all are plain, and surely right in themselves."""
    data = b"".join(lines)
    # As many newlines as lines, and one behind each: no element has two lines in it.
    if data.count(b"\n") != len(lines) or not data.isascii():
        return None
    if [line[-1:] for line in lines].count(b"\n") != len(lines):
        return None
    return _plain_entries(data.decode("ascii"), len(lines))


def _plain_entries(text: str, count: int) -> list[ManifestEntry] | None:
    found = cast("list[tuple[str, str, str, str]]", _PLAIN_LINE.findall(text))
    if len(found) != count or not all_surely_fine([path for path, _, _, _ in found]):
        return None
    return [
        make_entry(
            ManifestEntry,
            (
                path,
                bytes.fromhex(key),
                None,
                int(size_bytes) if size_bytes else None,
                int(node_id) if node_id else None,
            ),
        )
        for path, key, size_bytes, node_id in found
    ]


def _parse_line(line: bytes) -> ManifestEntry:
    if len(line) > LINE_SIZE_BYTES_MAX:
        raise _LineError(f"the line has {len(line)} bytes, the limit is {LINE_SIZE_BYTES_MAX}")
    try:
        text = str(line, "utf-8")
        if "\n" not in text and (plain := _plain_entries(text, 1)):
            return plain[0]
        document = _decode(text)
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
