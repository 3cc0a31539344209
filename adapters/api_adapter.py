"""Adapters of saved API responses: it owns splitting documents into records, and no format.

A format gives `split`: from a document to its parts, each with the rule that reads it. A part whose
`complete` is None is the whole document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.api_document import Document, documents, sniff_paths
from adapters.api_draft import Draft
from adapters.errors import RecordError
from adapters.items import NodeReference, Problem, Record, Sniff
from adapters.media_index import MediaIndex
from adapters.values import dig

if TYPE_CHECKING:
    from adapters.folder import ScrapeFolder
    from sql import DeclaredTable

Rule = Callable[[Draft, Any], NodeReference]
"""Fills a draft from a value and returns the node that the record is about."""

JSON = frozenset({"json"})
JSON_AND_XML = frozenset({"json", "xml"})
SURE = 0.95
"""Confidence when all files that were looked at are of the format; half of it is owed to one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One record of a document: the rule, what it reads, and the complete record."""

    rule: Rule
    value: Any
    complete: Any = None


Split = Callable[["ScrapeFolder", Document], list[Part] | None]
"""Parts of a document; None when its shape is not of the format; RecordError says why it is bad."""


@dataclass(frozen=True, slots=True)
class ApiAdapter:
    """An adapter over saved responses."""

    name: str
    tables: tuple[DeclaredTable, ...]
    split: Split
    unknown: str
    """What a person should know about a document that is not of the format."""
    kinds: frozenset[str] = JSON
    is_certain: Callable[[Document], bool] | None = None
    """Whether a document that splits is surely of this format; None: always."""

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at a few documents; the more of them are of the format, the surer."""
        looked = claimed = 0
        for document in documents(folder, self.kinds, sniff_paths(folder)):
            looked += 1
            claimed += isinstance(document, Document) and self._claims(folder, document)
        if not claimed:
            return Sniff(0.0, f"none of {looked} documents is of {self.name}")
        confidence = SURE * (0.5 + 0.5 * claimed / looked)
        return Sniff(round(confidence, 2), f"{claimed} of {looked} documents are of {self.name}")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the records of all documents, sorted by path and number."""
        media = MediaIndex(folder)
        path, number = "", 0
        for document in documents(folder, self.kinds):
            if document.path != path:
                path, number = document.path, 0
            for item in self._read(folder, media, document, number):
                yield item
                number += 1

    def _claims(self, folder: ScrapeFolder, document: Document) -> bool:
        if is_sidecar(document.value) or (self.is_certain and not self.is_certain(document)):
            return False
        try:
            return bool(self.split(folder, document))
        except RecordError:
            return False

    def _read(
        self, folder: ScrapeFolder, media: MediaIndex, document: Document | Problem, number: int
    ) -> Iterator[Record | Problem]:
        if isinstance(document, Problem):
            yield document
            return
        alone = -1 if document.is_whole_file else number
        try:
            parts = None if is_sidecar(document.value) else self.split(folder, document)
        except RecordError as error:
            yield Problem(document.path, alone, str(error))
            return
        if not parts:
            reason = self.unknown if parts is None else "a response without records in it"
            yield Problem(document.path, alone, reason)
            return
        for index, part in enumerate(parts):
            yield self._one(media, document, part, number + index)

    def _one(
        self, media: MediaIndex, document: Document, part: Part, number: int
    ) -> Record | Problem:
        draft = Draft(media, document.path, self.tables[0].name)
        complete = part.complete
        if complete is None and document.is_whole_file:
            number = -1
        elif complete is None:
            complete = document.value
        try:
            return draft.record(part.rule(draft, part.value), number, complete)
        except RecordError as error:
            return Problem(document.path, number, str(error))


def is_sidecar(value: Any) -> bool:
    """Tell whether a value is a sidecar of gallery-dl, which repeats the fields of sites."""
    return isinstance(value, dict) and {"category", "subcategory"} <= value.keys()


def parts_of(rule: Rule, values: Any) -> list[Part]:
    """Return one part for each member of a list; a member that is no object becomes a Problem."""
    members = values if isinstance(values, list) else []
    return [Part(rule, member, {} if member is None else member) for member in members]


def inside(value: Any, *path: str | int) -> dict[str, Any]:
    """Follow keys and indexes to an object; an empty one when there is none."""
    found = dig(value, *path)
    return found if isinstance(found, dict) else {}


def as_object(value: Any, meaning: str) -> dict[str, Any]:
    """Return an object; RecordError says what it should have been."""
    if not isinstance(value, dict):
        raise RecordError(f"{meaning} is no object: {str(value)[:80]!a}")
    return value
