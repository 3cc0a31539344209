"""JSON of a source that nobody declared: each object is a node, and its JSON is found at once.

The key of an object is the hash of its bytes as they were sent: a file that is one object is its
own node; an object of a list or a line is a file of its own, tied to the one it lay in. What the
objects have in common is decided when all of them are in (adapters/schemas).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.decide.names import NAME_LENGTH_MAX, word_of
from adapters.decide.rows import json_text
from adapters.decide.shapes import keys_of, shape_of
from adapters.records.errors import RecordError
from adapters.records.folder import RECORD_BYTES_MAX, ScrapeFolder, is_packed, unpacked_name
from adapters.records.items import MediaFile, Observation, Problem, Record, Sniff
from adapters.records.json_objects import FoundObject, ObjectReader
from adapters.records.values import as_text
from adapters.sources.plain_folder import ADAPTERS as PLAIN
from adapters.sources.reading.documents import (
    LINE_SUFFIXES,
    document_paths,
    holds_lines,
    likely_paths,
)
from adapters.sources.received import (
    MANIFEST,
    TABLES,
    Line,
    read_lines,
    said_of_parts,
    with_keys,
)
from sql import Column, DeclaredTable

SOURCE = "json"
CONFIDENCE = 0.15
"""More than any folder is of plain files, and less than any format that knows what it reads."""
SNIFFED_FILES_MAX = 6
SNIFFED_BYTES_MAX = 1 << 20
TITLE_KEYS = ("title", "name", "caption", "headline", "label", "text", "description")
ORIGIN_FALLBACK = "documents"
TABLE = DeclaredTable(
    kind="source",
    name=SOURCE,
    version=1,
    comment="JSON objects of sources that nobody declared",
    columns=(
        Column(name="shape", type="bytea", comment="Hash of its top-level keys", is_indexed=True),
        Column(
            name="origin", type="text", comment="File of objects, or folder of files, as a word"
        ),
        Column(name="document", type="jsonb", comment="The object", is_indexed=True),
    ),
)


class JsonAdapter:
    """Objects of JSON files, of lists in them, of JSON Lines; and what was sent with them."""

    name = SOURCE
    tables: tuple[DeclaredTable, ...] = (TABLE, *TABLES)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Possible where files hold JSON objects, never sure."""
        paths = likely_paths(folder, count_max=SNIFFED_FILES_MAX)
        small = [path for path in paths if folder.files[path].size_bytes <= SNIFFED_BYTES_MAX]
        known = sum(self._holds_objects(folder, path) for path in small)
        reason = f"{known} of {len(paths)} documents looked at hold JSON objects of any kind"
        return Sniff(CONFIDENCE if known else 0.0, reason)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield what was sent with parts, a record of every object, and of the other parts."""
        lines, problems = read_lines(folder)
        yield from problems
        yield from said_of_parts(lines)
        others = set(lines)
        for path in document_paths(folder):
            if path == MANIFEST:
                continue
            others.discard(path)
            yield from _items(folder, path, lines.get(path))
        yield from PLAIN[0].read(folder.part(sorted(others)))

    def _holds_objects(self, folder: ScrapeFolder, path: str) -> bool:
        try:
            return any(not found.fault for found in _objects(folder, path))
        except RecordError:
            return False


def _objects(folder: ScrapeFolder, path: str) -> Iterator[FoundObject]:
    """Yield the objects of a file in their order; RecordError where it holds no JSON."""
    reader = ObjectReader()
    is_large = folder.files[path].size_bytes > RECORD_BYTES_MAX
    if unpacked_name(path).lower().endswith(LINE_SUFFIXES) or is_large:
        yield from _lines(folder, path, reader)
        return
    text = folder.read_text(path)
    try:
        found = list(reader.read(text))
    except RecordError:
        if not holds_lines(text):
            raise
        found = None
    if found is None:
        yield from _lines(folder, path, reader)
    else:
        yield from found


def _lines(folder: ScrapeFolder, path: str, reader: ObjectReader) -> Iterator[FoundObject]:
    for _, line in folder.read_lines(path):
        if isinstance(line, RecordError):
            yield FoundObject("", {}, str(line))
        else:
            yield reader.read_one(line.strip())


def _items(folder: ScrapeFolder, path: str, line: Line | None) -> Iterator[Record | Problem]:
    number = 0
    try:
        for found in _objects(folder, path):
            yield _item(folder, path, number, found, line)
            number += 1
    except RecordError as error:
        yield Problem(path, number or -1, str(error))
    else:
        if not number:
            yield Problem(path, -1, "no JSON object in it")


def _item(
    folder: ScrapeFolder, path: str, number: int, found: FoundObject, line: Line | None
) -> Record | Problem:
    is_file = not is_packed(path) and _is_whole(folder, path, found)
    number = -1 if is_file else number
    if found.fault:
        return Problem(path, number, found.fault)
    if is_file:
        subject = MediaFile(path)
    else:
        subject = folder.extract(path, "object.json", [found.text.encode()])
    value: dict[str, Any] = found.value
    if line is not None and line.named:
        known = {name: folder.files[file].key for name, file in line.named.items()}
        value = with_keys(value, {name: key for name, key in known.items() if key})
    said = Observation(
        subject,
        SOURCE,
        True,
        title=_title(found.value),
        meta={
            "shape": shape_of(keys_of(found.value)),
            "origin": _origin(path, is_file=is_file),
            "document": json_text(value),
        },
    )
    return Record(path, number, subject, (said,), excerpt=None if is_file else found.value)


def _is_whole(folder: ScrapeFolder, path: str, found: FoundObject) -> bool:
    """Tell whether an object is all that its file holds, but for spaces around it."""
    size = len(found.text.encode(errors="surrogatepass"))
    rest = folder.files[path].size_bytes - size
    if not 0 <= rest <= 64:
        return False
    with folder.open(path) as file:
        return file.read().decode(errors="replace").strip("\ufeff \t\r\n") == found.text


def _title(value: dict[str, Any]) -> str | None:
    named = (value.get(key) for key in TITLE_KEYS)
    return next((text for one in named if isinstance(one, str) and (text := as_text(one))), None)


def _origin(path: str, *, is_file: bool) -> str:
    """Return what objects are called that came in this file: its stem, or that of its folder."""
    folder, _, name = path.rpartition("/")
    words = folder.rpartition("/")[2] if is_file else unpacked_name(name).rpartition(".")[0]
    return word_of(words, ORIGIN_FALLBACK)[:NAME_LENGTH_MAX].rstrip("_")


ADAPTERS = (JsonAdapter(),)
