"""Reddit posts as CSV: it owns turning the texts of a row into the fields that things.py reads.

The columns are those of the API (`created_utc`, `name`, `permalink` ...), numbers may be floats as
text, and there may be no author. A table of comments (`body`, `parent_id`) is read as well.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, BinaryIO

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import LINE_BYTES_MAX, ScrapeFolder, decode_text
from adapters.records.items import Problem, Record, Sniff
from adapters.records.values import as_boolean, as_number
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder
from adapters.sources.reddit.api import kind_of_bare
from adapters.sources.reddit.things import READERS, REDDIT

SUFFIXES = (".csv", ".tsv")
NEEDED = frozenset({"created_utc", "score"})
TYPICAL = frozenset({"subreddit_id", "permalink", "num_comments", "link_id", "parent_id", "name"})
NUMBERS = frozenset(
    {"score", "ups", "num_comments", "created_utc", "view_count", "upvote_ratio", "depth"}
    | {"subreddit_subscribers"}
)
BOOLEANS = frozenset(["over_18", "is_self", "spoiler", "score_hidden", "is_video"])
SNIFFED_FILES_MAX = 8


class RedditCsv:
    """The adapter; see the module."""

    name = "reddit-csv"
    tables = (REDDIT.table,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Tell how sure the folder is of this format, by the headers of its CSV files."""
        paths = folder.with_suffix(*SUFFIXES)[:SNIFFED_FILES_MAX]
        known = sum(_is_ours(_header(folder, path)) for path in paths)
        if not known:
            return Sniff(0.0, "no CSV with the columns of Reddit")
        sure = 0.95 if known * 2 >= len(paths) else 0.5
        return Sniff(sure, f"{known} of {len(paths)} CSV files have the columns of Reddit")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield a Record for every row; `number` counts rows from 0 below the header."""
        finder = MediaFinder(folder)
        for path in folder.with_suffix(*SUFFIXES):
            if not _is_ours(_header(folder, path)):
                yield Problem(
                    path, -1, "its header lacks the columns of Reddit: created_utc, score"
                )
                continue
            with folder.open(path) as file:
                for number, row in enumerate(_rows(file, path)):
                    yield _read_row(Draft(REDDIT.table.name, path, finder), number, row)


def _read_row(draft: Draft, number: int, row: dict[Any, Any] | RecordError) -> Record | Problem:
    if isinstance(row, RecordError):
        return Problem(draft.path, number, str(row))
    if None in row:
        return Problem(draft.path, number, "the row has more cells than the header")
    raw = typed(row)
    try:
        READERS[kind_of_bare(raw) or "t3"](draft, raw)
        return draft.record(number, row)
    except RecordError as error:
        return Problem(draft.path, number, str(error))


def typed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the types of the API; empty and missing cells are left out."""
    raw: dict[str, Any] = {}
    for column, cell in row.items():
        text = cell.strip() if isinstance(cell, str) else ""
        if not text:
            continue
        if column in NUMBERS:
            raw[column] = _number(text)
        elif column in BOOLEANS:
            raw[column] = as_boolean(text)
        elif column == "edited":
            raw[column] = as_boolean(text) if as_number(text) is None else as_number(text)
        else:
            raw[column] = cell
    return raw


def _number(text: str) -> int | float | None:
    if text.lstrip("-").isdecimal() and len(text) <= 20:
        return int(text)
    number = as_number(text)
    return int(number) if number is not None and number.is_integer() else number


def _is_ours(header: list[str]) -> bool:
    columns = frozenset(header)
    identified = "id" in columns or "name" in columns
    return columns >= NEEDED and identified and len(columns & TYPICAL) >= 2


def _header(folder: ScrapeFolder, path: str) -> list[str]:
    with folder.open(path) as file:
        try:
            return next(csv.reader(_lines(file), delimiter=_delimiter(path)), [])
        except (csv.Error, RecordError):
            return []


def _rows(file: BinaryIO, path: str) -> Iterator[dict[str, Any] | RecordError]:
    reader = csv.DictReader(_lines(file), delimiter=_delimiter(path))
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RecordError(f"line {reader.line_num}: {error}")
        except LimitError as error:
            yield error
            return


def _delimiter(path: str) -> str:
    return "\t" if path.lower().endswith(".tsv") else ","


def _lines(file: BinaryIO) -> Iterator[str]:
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX:
            raise LimitError(f"a line of more than {LINE_BYTES_MAX:,} bytes; the rest is not read")
        yield decode_text(line)


ADAPTERS = (RedditCsv(),)
