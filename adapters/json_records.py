"""From JSON documents to records: it owns the walk over a folder, numbering and what goes wrong.

A format gives a function from a JSON value to the items in it. An inner item that comes inside
several others of one file, such as a retweeted tweet, becomes one record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.errors import RecordError
from adapters.folder import ScrapeFolder
from adapters.items import Problem, Record
from adapters.json_documents import Document, documents, where

Output = Record | Problem
Make = Callable[[ScrapeFolder, str, int, Any], Record]
"""Makes a record from folder, path, number and complete value; RecordError when it cannot."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was understood, and the JSON value that it was read from."""

    make: Make
    raw: Any
    is_inner: bool = False
    """It came inside another record."""


Found = Item | RecordError
Documents = Callable[[ScrapeFolder, str], Iterator[Document]]


def read_documents(
    folder: ScrapeFolder,
    suffixes: Sequence[str],
    items_in: Callable[[Any], Iterator[Found]],
    expected: str,
    parse: Documents = documents,
) -> Iterator[Output]:
    """Yield records and problems of every file, numbered within the file."""
    for path in folder.with_suffix(*suffixes):
        number = -1
        for number, output in enumerate(_read_file(folder, path, items_in, parse)):
            yield output(number)
        if number == -1:
            yield Problem(path, -1, f"nothing in it: {expected}")


def _read_file(
    folder: ScrapeFolder,
    path: str,
    items_in: Callable[[Any], Iterator[Found]],
    parse: Documents,
) -> Iterator[Callable[[int], Output]]:
    seen: set[bytes] = set()
    try:
        for document in parse(folder, path):
            if isinstance(document.value, RecordError):
                yield _problem(path, document, document.value)
                continue
            for found in items_in(document.value):
                if isinstance(found, RecordError):
                    yield _problem(path, document, found)
                elif not found.is_inner or _is_new(found.raw, seen):
                    yield _output(found, folder, path, document)
    except RecordError as error:
        yield _problem(path, Document(None, None), error)


def _output(
    item: Item, folder: ScrapeFolder, path: str, document: Document
) -> Callable[[int], Output]:
    is_file = document.line is None and item.raw is document.value

    def numbered(number: int) -> Output:
        try:
            if is_file:
                return item.make(folder, path, -1, None)
            return item.make(folder, path, number, item.raw)
        except RecordError as error:
            return Problem(path, number, where(document, str(error)))

    return numbered


def _problem(path: str, document: Document, error: RecordError) -> Callable[[int], Output]:
    return lambda number: Problem(path, number, where(document, str(error)))


def _is_new(raw: Any, seen: set[bytes]) -> bool:
    text = json.dumps(raw, sort_keys=True)
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True
