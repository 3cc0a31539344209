"""Plain manifests: it owns rows of CSV, JSON Lines and JSON that name files, addresses or ids.

A row about a file of the folder is an observation of that file; one about an address describes
`web:media:<address>`; a row that names neither is a node of its own, known by everything it says.
Rows with word, key_id and drawing are Quick, Draw! drawings, the same in every packing. People are
only columns here: a name in an unknown table says nobody's id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder
from adapters.records.items import (
    Link,
    MediaFile,
    NodeReference,
    Observation,
    Problem,
    Record,
    Sniff,
)
from adapters.sources.labelled_columns import (
    Said,
    find_named,
    node_of_missing,
    node_of_row,
    understand,
)
from adapters.sources.labelled_rows import LINE_SUFFIXES, ROW_SUFFIXES, TABLE_SUFFIXES, Row, rows
from adapters.sources.schemas.labelled_file import TABLE
from sql import DeclaredTable

SOURCE = "labelled_file"
SNIFFED_FILES_MAX = 6
SNIFFED_ROWS_MAX = 5
SNIFFED_BYTES_MAX = 8 * MIB


class ManifestAdapter:
    """CSV, TSV, JSON Lines or JSON with one row per item."""

    name = "manifest"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at a few rows: the more they name what is here, the surer."""
        paths = folder.with_suffix(*ROW_SUFFIXES)
        if not paths:
            return Sniff(0.0, "no CSV, JSON Lines or JSON")
        step = max(1, len(paths) // SNIFFED_FILES_MAX)
        answers = [_sniff_file(folder, path) for path in paths[::step][:SNIFFED_FILES_MAX]]
        known = [answer for answer in answers if answer.confidence > 0]
        if len(known) * 2 < len(answers):
            return Sniff(0.0, "most JSON or CSV files tried hold no rows")
        return min(known, key=lambda answer: answer.confidence)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the rows of every manifest."""
        for path in folder.with_suffix(*ROW_SUFFIXES):
            for row in rows(folder, path):
                if isinstance(row.value, RecordError):
                    yield Problem(path, row.number, str(row.value))
                    continue
                try:
                    yield _record(folder, path, row.number, row.value)
                except RecordError as error:
                    yield Problem(path, row.number, str(error))


def _record(folder: ScrapeFolder, path: str, number: int, value: dict[str, Any]) -> Record:
    said = understand(value)
    subject = _subject(folder, path, number, value, said)
    title = said.title or said.meta["label"]
    meta = {**said.meta, "layout": "manifest"}
    own = Observation(subject, SOURCE, True, title, said.view, said.time, None, meta)
    links: list[Link] = []
    if said.page_url and said.page_url.startswith("http"):
        page = describe("web", "page", said.page_url)
        # Only a medium is contained in its page; any other row just points there.
        is_medium = isinstance(subject, MediaFile) or subject.startswith(
            ("web:media:", "file:media:")
        )
        links.append(
            Link(page, subject, "contains") if is_medium else Link(subject, page, "linked")
        )
    return Record(path, number, subject, (own,), tuple(links), None if number < 0 else value)


def _subject(
    folder: ScrapeFolder, path: str, number: int, value: dict[str, Any], said: Said
) -> NodeReference:
    if _is_drawing(value):
        return describe("quickdraw", "media", str(value["key_id"]))
    if said.file_name and (found := find_named(folder, path, said.file_name)):
        return found
    if said.url:
        base = said.url.partition("?")[0].rpartition("/")[2]
        return find_named(folder, path, base) or describe("web", "media", said.url)
    if said.file_name:
        return node_of_missing(folder, path, said.file_name)
    # A document that is one object is its own node: the file.
    return MediaFile(path) if number < 0 else node_of_row(value)


def _is_drawing(value: dict[str, Any]) -> bool:
    return (
        isinstance(value.get("drawing"), list)
        and isinstance(value.get("word"), str)
        and isinstance(value.get("key_id"), str | int)
        and not isinstance(value.get("key_id"), bool)
        and bool(value["key_id"])
    )


def _sniff_file(folder: ScrapeFolder, path: str) -> Sniff:
    is_whole = not path.lower().endswith((*LINE_SUFFIXES, *TABLE_SUFFIXES))
    if is_whole and folder.files[path].size_bytes > SNIFFED_BYTES_MAX:
        return Sniff(0.0, f"{path!a} is too large to try")
    best = Sniff(0.0, "no rows")
    for count, row in enumerate(rows(folder, path)):
        if count == SNIFFED_ROWS_MAX:
            break
        answer = _sniff_row(folder, path, row)
        if answer.confidence > best.confidence:
            best = answer
    return best


def _sniff_row(folder: ScrapeFolder, path: str, row: Row) -> Sniff:
    if isinstance(row.value, RecordError):
        return Sniff(0.0, "no row")
    said = understand(row.value)
    if _is_drawing(row.value):
        return Sniff(0.85, "rows are Quick, Draw! drawings")
    if said.file_name and find_named(folder, path, said.file_name):
        return Sniff(0.6, "rows name files of the folder")
    if row.number < 0:
        return Sniff(0.15, "JSON that is one object")
    if said.url or said.page_url or said.file_name:
        return Sniff(0.3, "rows name addresses or files")
    return Sniff(0.2, "rows of unknown meaning")


ADAPTERS = (ManifestAdapter(),)
