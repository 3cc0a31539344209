"""Adapters of folders of documents: it owns the walk, the numbering and what goes wrong, no format.

A format gives `split`: from a document to its parts, each with the rule that reads it. Everything
that can go wrong with files, lines and single parts becomes a Problem here. Items of a file are
numbered in their order, problems included; a record that is the whole file has the number -1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder, is_packed, unpacked_name
from adapters.records.items import Problem, Record, Sniff
from adapters.records.times import parse_time
from adapters.records.values import dig
from adapters.sources.reading.documents import (
    JSON,
    LINE_SUFFIXES,
    LINES_TRIED_MAX,
    Document,
    document_paths,
    documents,
    likely_paths,
)
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder

if TYPE_CHECKING:
    from sql import DeclaredTable

SNIFFED_FILES_MAX = 12
SNIFFED_BYTES_MAX = 8 * MIB
"""Larger files are judged by their markers, within the first 256 KiB."""
SNIFFED_START_BYTES = 256 << 10
RETRIEVED_AT = ("__twarc", "retrieved_at")
"""Where twarc notes in each line when it asked for it."""
SURE = 0.95
SURE_BY_MARKERS = 0.9

Rule = Callable[[Draft, Any], None]
"""Fills a draft from a value and sets its subject; RecordError when it cannot."""


@dataclass(frozen=True, slots=True)
class Part:
    """One record of a document: the rule and what it reads.

    `complete` is what is stored of it, None where that is the value itself. `is_inner`: it came
    inside another record, such as a quoted tweet; the same one again in a file is no new record.
    """

    rule: Rule
    value: Any
    complete: Any = None
    is_inner: bool = False


Found = Part | RecordError
Split = Callable[[Document], Iterable[Found] | None]
"""Parts of a document, and RecordErrors for what is none.

None when its shape is not of the format at all; nothing when all in it is skipped silently. A
RecordError that is raised says why the rest of the document is unusable.
"""


@dataclass(frozen=True, slots=True)
class DocumentAdapter:
    """One format of JSON or XML documents.

    `recognise` tells how sure one value is of the format, from 0 to 1; without it a document is
    surely of the format when it splits. `markers` are sets of texts: a large file that holds all
    of one set in its beginning is taken for the format.
    """

    name: str
    tables: tuple[DeclaredTable, ...]
    split: Split
    expected: str
    """What a person should know about a document that is not of the format."""
    recognise: Callable[[Any], float] | None = None
    kinds: frozenset[str] = JSON
    markers: tuple[tuple[bytes, ...], ...] = ()
    parse: Callable[[ScrapeFolder, str], Iterator[Document]] = documents

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at a few files, spread over the folder; the more are of the format, the surer."""
        paths = likely_paths(folder, self.kinds, SNIFFED_FILES_MAX)
        scores = [self._score(folder, path) for path in paths]
        known = sum(score > 0 for score in scores)
        reason = f"{known} of {len(scores)} documents looked at are of {self.name}"
        if not known:
            return Sniff(0.0, reason)
        share, best = known / len(scores), min(max(scores), SURE)
        sure = best * (0.6 + 0.4 * share) if share >= 0.5 else best * (0.2 + share)
        return Sniff(round(sure, 3), reason)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the records of all documents, sorted by path and number."""
        media = MediaFinder(folder)
        for path in document_paths(folder, self.kinds):
            number, seen = 0, set[bytes]()
            for document in self.parse(folder, path):
                for item in self._read(document, media, seen, number):
                    yield item
                    number += 1
            if not number:
                yield Problem(path, -1, f"nothing in it: {self.expected}")

    def _score(self, folder: ScrapeFolder, path: str) -> float:
        is_large = folder.files[path].size_bytes > SNIFFED_BYTES_MAX
        is_slow = is_large or path.lower().endswith(".json5")
        if is_slow and self._is_marked(folder, path):
            return SURE_BY_MARKERS
        if is_large and not unpacked_name(path).lower().endswith(LINE_SUFFIXES):
            return 0.0
        for tried, document in enumerate(self.parse(folder, path)):
            if tried == LINES_TRIED_MAX:
                break
            if (score := self._likeness(document)) > 0:
                return score
        return 0.0

    def _is_marked(self, folder: ScrapeFolder, path: str) -> bool:
        with folder.open(path) as file:
            start = file.read(SNIFFED_START_BYTES)
        return any(all(text in start for text in texts) for texts in self.markers)

    def _likeness(self, document: Document) -> float:
        if isinstance(document.value, RecordError) or is_sidecar(document.value):
            return 0.0
        if self.recognise is not None:
            return self.recognise(document.value)
        try:
            found = any(isinstance(part, Part) for part in self.split(document) or ())
        except RecordError:
            return 0.0
        return SURE if found else 0.0

    def _read(
        self, document: Document, media: MediaFinder, seen: set[bytes], number: int
    ) -> Iterator[Record | Problem]:
        """Yield the items of one document, the first of which has this number."""
        at = -1 if document.line is None else number
        try:
            if isinstance(document.value, RecordError):
                raise document.value
            parts = None if is_sidecar(document.value) else self.split(document)
            if parts is None:
                raise RecordError(self.expected)
            for part in parts:
                if isinstance(part, RecordError):
                    yield Problem(document.path, number, document.because(part))
                elif not part.is_inner or _is_new(part, seen):
                    yield self._one(document, media, part, number)
                else:
                    continue
                at = number = number + 1
        except RecordError as error:
            yield Problem(document.path, at, document.because(error))

    def _one(
        self, document: Document, media: MediaFinder, part: Part, number: int
    ) -> Record | Problem:
        complete = part.value if part.complete is None else part.complete
        # What is packed is no node, and so its record is kept beside it.
        is_own_file = document.line is None and not is_packed(document.path)
        if is_own_file and complete is document.value:
            number, complete = -1, None
        draft = Draft(self.tables[0].name, document.path, media)
        draft.scraped_time = parse_time(dig(document.value, *RETRIEVED_AT))
        try:
            part.rule(draft, part.value)
            return draft.record(number, complete)
        except RecordError as error:
            return Problem(document.path, number, document.because(error))


def of_value(split: Callable[[Any], Iterable[Found] | None]) -> Split:
    """Return the split of a format that needs no more than the value of a document."""
    return lambda document: split(document.value)


def is_sidecar(value: Any) -> bool:
    """Tell whether a value is a sidecar of gallery-dl, which repeats the fields of sites."""
    return isinstance(value, dict) and {"category", "subcategory"} <= value.keys()


def parts_of(rule: Rule, values: Any) -> list[Part]:
    """Return one part for each member of a list; a member that is no object becomes a Problem."""
    return [Part(rule, member) for member in (values if isinstance(values, list) else [])]


def refused(reason: str, value: Any) -> Part:
    """Return a part that is nothing usable, and why."""

    def rule(_draft: Draft, _value: Any) -> None:
        raise RecordError(reason)

    return Part(rule, value)


def inside(value: Any, *path: str | int) -> dict[str, Any]:
    """Follow keys and indexes to an object; an empty one when there is none."""
    found = dig(value, *path)
    return found if isinstance(found, dict) else {}


def as_object(value: Any, meaning: str) -> dict[str, Any]:
    """Return an object; RecordError says what it should have been."""
    if not isinstance(value, dict):
        raise RecordError(f"{meaning} is no object: {str(value)[:80]!a}")
    return value


def _is_new(part: Part, seen: set[bytes]) -> bool:
    text = json.dumps(part.value if part.complete is None else part.complete, sort_keys=True)
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True
