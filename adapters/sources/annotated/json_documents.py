"""JSON of annotations: the adapter of formats whose labels are in JSON documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.sources.annotated.picture import TABLE, Picture, picture_record
from adapters.sources.reading.documents import document_paths, documents, likely_paths
from sql import DeclaredTable

SURE = 0.96
Items = Iterator[Record | Problem]
Told = tuple[Picture, list[str], Any]
"""A picture, what is wrong with labels of it, and its complete record."""


@dataclass(frozen=True, slots=True)
class AnnotatedDocuments:
    """The documents of one format; `holds` says in words what is in one of them."""

    name: str
    holds: str
    is_its: Callable[[Any], bool]
    read_document: Callable[[ScrapeFolder, str, Any], Items]
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at a few documents."""
        paths = likely_paths(folder)
        known = sum(self.is_its(_value(folder, path)) for path in paths)
        if not known:
            return Sniff(0.0, f"no document with {self.holds}")
        sure = SURE * (0.5 + 0.5 * known / len(paths))
        told = f"{known} of {len(paths)} documents looked at have {self.holds}"
        return Sniff(round(sure, 3), told)

    def read(self, folder: ScrapeFolder) -> Items:
        """Yield the pictures of every document, then what is wrong with its labels."""
        for path in document_paths(folder):
            value = _value(folder, path)
            try:
                if isinstance(value, RecordError):
                    raise value
                if not self.is_its(value):
                    raise RecordError(f"not of {self.name}: there are no {self.holds}")
                yield from self.read_document(folder, path, value)
            except RecordError as error:
                yield Problem(path, -1, str(error))


def _value(folder: ScrapeFolder, path: str) -> Any:
    return next((document.value for document in documents(folder, path)), None)


def records_of(folder: ScrapeFolder, path: str, layout: str, told: Iterable[Told]) -> Items:
    """Yield the pictures of one file by their places, then what is wrong with labels."""
    problems: list[str] = []
    number = 0
    for picture, wrong, complete in told:
        try:
            yield picture_record(folder, path, number, picture, layout, complete)
        except RecordError as error:
            yield Problem(path, number, str(error))
        problems += wrong
        number += 1
    for place, reason in enumerate(problems, number):
        yield Problem(path, place, reason)


def places_below(path: str, names: Iterable[str]) -> list[str]:
    """Return where the files of these names may lie: beside a document, below it, or above."""
    parent, found = path.rpartition("/")[0], dict[str, None]()
    names = [name for name in names if name]
    while True:
        found |= dict.fromkeys(f"{parent}/{name}" if parent else name for name in names)
        if not parent:
            return list(found)
        parent = parent.rpartition("/")[0]
