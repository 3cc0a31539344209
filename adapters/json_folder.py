"""Folders of JSON: it owns walking their files and numbering what is in them, and no format.

A format says how a value splits into entries and how an entry is read; everything that can go
wrong with files, lines and single entries is turned into Problems here. Files are known by their
content, never by their name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import json5

from adapters.draft import Draft
from adapters.errors import LimitError, RecordError
from adapters.folder import ScrapeFolder, parse_json
from adapters.items import Problem, Record, Sniff
from adapters.media_finder import MediaFinder

if TYPE_CHECKING:
    from sql import DeclaredTable

LINE_SUFFIXES = (".jsonl", ".ndjson")
JSON_SUFFIXES = (".json", ".json5", *LINE_SUFFIXES)
SNIFFED_FILES_MAX = 12
SNIFFED_BYTES_MAX = 4 << 20
"""Larger files are judged by the words in their first 256 KiB."""
SNIFFED_START_BYTES = 256 << 10
JSON5_BYTES_MAX = 256 << 10
"""JSON with comments is read by a slow parser: only up to this size."""
JSON5_LISTS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is read: the folder, the file, and the finder of media."""

    folder: ScrapeFolder
    path: str
    media: MediaFinder


@dataclass(frozen=True, slots=True)
class Entry:
    """One record inside a document; `complete` is what is stored of it, `value` by default."""

    read: Callable[[Place, Any], Draft]
    value: Any
    complete: Any = None


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value of a file; `line` counts from 1 in files of lines, else it is None."""

    path: str
    line: int | None
    value: Any


@dataclass(frozen=True, slots=True)
class JsonAdapter:
    """An adapter for folders of JSON files.

    `recognise` tells how sure one value is of the format, from 0 to 1. `split` yields the entries
    of one value; a RecordError it raises is the reason of a Problem. `markers` are sets of texts:
    a large file that holds all of one set in its beginning is taken for the format.
    """

    name: str
    tables: tuple[DeclaredTable, ...]
    recognise: Callable[[Any], float]
    split: Callable[[Any], Iterator[Entry]]
    markers: tuple[tuple[bytes, ...], ...] = ()

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Tell how sure the folder is of this format, by the contents of a few JSON files."""
        paths = _spread(folder.with_suffix(*JSON_SUFFIXES))
        scores = [self._score(folder, path) for path in paths]
        if not scores or not any(scores):
            return Sniff(0.0, f"no JSON of {self.name}")
        known = sum(score > 0 for score in scores)
        sure = max(scores) if known * 2 >= len(scores) else max(scores) / 2
        return Sniff(round(sure, 3), f"{known} of {len(scores)} JSON files looked at are it")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield every record of every JSON file."""
        finder = MediaFinder(folder)
        for path in folder.with_suffix(*JSON_SUFFIXES):
            number = 0
            for document in documents(folder, path):
                if isinstance(document, Problem):
                    yield Problem(path, number if document.number >= 0 else -1, document.reason)
                    number += 1
                    continue
                for item in self._read_document(Place(folder, path, finder), document, number):
                    yield item
                    number += item.number >= 0

    def _score(self, folder: ScrapeFolder, path: str) -> float:
        try:
            if folder.files[path].size_bytes <= SNIFFED_BYTES_MAX:
                for document in documents(folder, path):
                    return 0.0 if isinstance(document, Problem) else self.recognise(document.value)
                return 0.0
            with folder.open(path) as file:
                start = file.read(SNIFFED_START_BYTES)
        except RecordError:
            return 0.0
        return 0.8 if any(all(text in start for text in texts) for texts in self.markers) else 0.0

    def _read_document(
        self, place: Place, document: Document, number: int
    ) -> Iterator[Record | Problem]:
        where = "" if document.line is None else f"line {document.line}: "
        found = False
        try:
            for entry in self.split(document.value):
                found = True
                kept = entry.complete is None or entry.complete is entry.value
                whole = kept and entry.value is document.value and document.line is None
                at = -1 if whole else number
                yield _read_entry(place, entry, at, where)
                number += not whole
        except RecordError as error:
            found = True
            yield Problem(place.path, number if document.line else -1, f"{where}{error}")
        if not found:
            reason = f"{where}holds no record of {self.name}"
            yield Problem(place.path, number if document.line else -1, reason)


def documents(folder: ScrapeFolder, path: str) -> Iterator[Document | Problem]:
    """Yield the JSON values of a file: one, or one of every line."""
    if path.lower().endswith(LINE_SUFFIXES):
        yield from _lines(folder, path)
        return
    try:
        text = folder.read_text(path)
    except RecordError as error:
        yield Problem(path, -1, str(error))
        return
    try:
        yield Document(path, None, parse_json(text))
    except LimitError as error:
        yield Problem(path, -1, str(error))
    except RecordError as error:
        if _starts_with_json_line(text):
            yield from _lines(folder, path)
        else:
            yield _json5_document(path, text, str(error))


def _lines(folder: ScrapeFolder, path: str) -> Iterator[Document | Problem]:
    for number, value in folder.read_json_lines(path):
        if isinstance(value, RecordError):
            yield Problem(path, number, f"line {number + 1}: {value}")
        else:
            yield Document(path, number + 1, value)


def _starts_with_json_line(text: str) -> bool:
    first, _, rest = text.lstrip().partition("\n")
    if not rest.strip() or not first.startswith(("{", "[")):
        return False
    try:
        parse_json(first)
    except RecordError:
        return False
    return True


def _json5_document(path: str, text: str, reason: str) -> Document | Problem:
    """Read JSON with comments, unquoted keys and trailing commas, as examples in manuals are."""
    if len(text) > JSON5_BYTES_MAX or text.count("[") > JSON5_LISTS_MAX:
        return Problem(path, -1, reason)
    try:
        # The strict parser reads the result once more, so that both have the same limits.
        strict = json.dumps(json5.loads(text), allow_nan=False)
        return Document(path, None, parse_json(strict))
    except (ValueError, RecursionError, OverflowError, RecordError):
        return Problem(path, -1, reason)


def _read_entry(place: Place, entry: Entry, number: int, where: str) -> Record | Problem:
    try:
        draft = entry.read(place, entry.value)
    except RecordError as error:
        return Problem(place.path, number, f"{where}{error}")
    complete = entry.value if entry.complete is None else entry.complete
    return draft.record(place.path, number, None if number < 0 else complete)


def _spread(paths: list[str]) -> list[str]:
    """Return a few of the paths, evenly from first to last."""
    step = max(1, len(paths) // SNIFFED_FILES_MAX)
    return paths[::step][:SNIFFED_FILES_MAX]
