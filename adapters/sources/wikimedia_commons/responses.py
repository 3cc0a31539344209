"""Responses of Commons: it owns telling them apart, and never asks for anything.

Read are answers of the query API (pages by number; continuations are put together, merge.py),
single pages, bare imageinfo, and structured data: entities, statements by property or in a list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_text, dig, first
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.documents import document_paths, documents
from adapters.sources.reading.draft import Draft
from adapters.sources.schemas import wikimedia_commons as schema
from adapters.sources.wikimedia_commons.merge import Merger, pages_of
from adapters.sources.wikimedia_commons.page import page_id_of, read_imageinfo, read_page
from adapters.sources.wikimedia_commons.statements import (
    is_statements,
    read_entity,
    read_statements,
)

if TYPE_CHECKING:
    from adapters.records.folder import ScrapeFolder
    from sql import DeclaredTable

UNKNOWN = (
    "no known response of Wikimedia Commons: pages of the query API with imageinfo, single pages, "
    "imageinfo, entities and statements are read"
)


@dataclass(frozen=True, slots=True)
class WikimediaCommons:
    """The adapter; unlike others it looks at the whole folder before it reads."""

    name: str = "wikimedia-commons"
    tables: tuple[DeclaredTable, ...] = (schema.TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at a few documents."""
        return self._reader(Merger(Counter())).sniff(folder)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield every page once, with all that the files of the folder say of it."""
        counts: Counter[str] = Counter()
        for path in document_paths(folder):
            for document in documents(folder, path):
                pages = pages_of(document.value)
                counts.update(identity for page in pages or () if (identity := page_id_of(page)))
        yield from self._reader(Merger(counts)).read(folder)

    def _reader(self, merger: Merger) -> DocumentAdapter:
        split = of_value(partial(_split, merger))
        return DocumentAdapter(name=self.name, tables=self.tables, split=split, expected=UNKNOWN)


def _split(merger: Merger, value: Any) -> list[Part] | None:
    if isinstance(value, list):
        return [Part(read_page, page) for page in value] if _all_pages(value) else None
    if not isinstance(value, dict):
        return None
    if isinstance(error := value.get("error"), dict) and "info" in error:
        raise RecordError(f"Commons answered with an error: {as_text(error['info'])}")
    if (pages := pages_of(value)) is not None:
        return _parts_of_pages(merger, pages)
    if isinstance(entities := value.get("entities"), dict):
        members = [member for member in entities.values() if isinstance(member, dict)]
        return [Part(read_entity, member) for member in members]
    return _single(value)


def _parts_of_pages(merger: Merger, pages: list[dict[str, Any]]) -> list[Part] | None:
    parts: list[Part] = []
    for page in pages:
        whole = merger.take(page_id_of(page), page)
        if whole is None:
            parts.append(Part(_read_later, page))
        else:
            parts.append(Part(read_page, whole))
    return parts


def _read_later(draft: Draft, page: Any) -> None:
    """Keep a page that goes on in a later file: it is read there, and kept complete here."""
    draft.subject = describe("wikimedia_commons", "post", page_id_of(page))


def _single(value: dict[str, Any]) -> list[Part] | None:
    if _is_page(value):
        return [Part(read_page, value)]
    short = as_text(first(value.get("descriptionshorturl"), value.get("descriptionurl")))
    if (short and "wiki" in short) or isinstance(dig(value, "extmetadata", "Artist"), dict):
        return [Part(read_imageinfo, value)]
    return [Part(read_statements, value)] if is_statements(value) else None


def _all_pages(value: list[Any]) -> bool:
    return bool(value) and all(map(_is_page, value))


def _is_page(value: Any) -> bool:
    if not isinstance(value, dict) or "pageid" not in value:
        return False
    return "imageinfo" in value or str(value.get("title")).startswith("File:")


ADAPTERS = (WikimediaCommons(),)
