"""Rows of tables and JSON: it owns reading them, and not what their columns mean.

CSV, TSV, JSON Lines, and JSON documents that hold one list of objects. A broken row costs itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import LINE_BYTES_MAX, MIB, ScrapeFolder
from adapters.sources.reading.documents import documents

TABLE_SUFFIXES = (".csv", ".tsv")
LINE_SUFFIXES = (".jsonl", ".ndjson")
ROW_SUFFIXES = (*TABLE_SUFFIXES, *LINE_SUFFIXES, ".json", ".geojson")
COLUMNS_MAX = 2_000
HEAD_BYTES = 1 << 16
# An object with a list inside is an envelope when it says little else or the list is long.
ENVELOPE_KEYS_MAX = 3
ENVELOPE_MEMBERS_MIN = 10
# A picture inside the table itself would be a field; it costs its row.
FIELD_LENGTH_MAX = 16 * MIB


class Row(NamedTuple):
    """One row; `number` counts from 0, -1 when the file is this row and nothing else."""

    number: int
    value: dict[str, Any] | RecordError


def rows(folder: ScrapeFolder, path: str) -> Iterator[Row]:
    """Yield the rows of a table or JSON file; what is no row is a RecordError."""
    if path.lower().endswith(TABLE_SUFFIXES):
        with folder.open(path) as file:
            yield from _table_rows(file)
    else:
        yield from _json_rows(folder, path)


def _table_rows(file: BinaryIO) -> Iterator[Row]:
    head = file.read(HEAD_BYTES)
    file.seek(0)
    encoding = _encoding_of(head)
    csv.field_size_limit(FIELD_LENGTH_MAX)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        reader = csv.reader(_limited(text), delimiter=_delimiter(head.decode(encoding, "replace")))
        header = [name.strip() for name in next(reader, [])]
        if not any(header) or len(header) > COLUMNS_MAX:
            yield Row(-1, RecordError("a table without a usable header"))
            return
        yield from _table_body(reader, header)
    except (csv.Error, RecordError) as error:
        yield Row(-1, RecordError(f"no readable table: {error}"))
    finally:
        text.detach()


def _table_body(reader: Any, header: list[str]) -> Iterator[Row]:
    number = 0
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(number, RecordError(f"no readable row: {error}"))
            number += 1
            continue
        if not any(fields):
            continue
        if len(fields) > len(header):
            reason = f"{len(fields)} fields where the header has {len(header)}"
            yield Row(number, RecordError(reason))
        else:
            pairs = zip(header, fields, strict=False)
            yield Row(number, {name: field for name, field in pairs if name and field != ""})
        number += 1


def _limited(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX:
            raise LimitError(f"a line of more than {LINE_BYTES_MAX:,} characters")
        yield line


def _encoding_of(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        # The last character may be cut.
        head[: len(head) - 4 if len(head) == HEAD_BYTES else None].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 8:
            return "latin-1"
    return "utf-8-sig"


def _delimiter(head: str) -> str:
    line = head.partition("\n")[0]
    return max(",\t;|", key=line.count)


def _json_rows(folder: ScrapeFolder, path: str) -> Iterator[Row]:
    header: list[str] | None = None
    for document in documents(folder, path):
        value = document.value
        if document.line is None:
            yield from _document_rows(value)
            return
        number = document.line - 1
        if isinstance(value, list) and header is not None and len(value) == len(header):
            value = dict(zip(header, value, strict=True))
        elif number == 0 and isinstance(value, list) and _is_header(value):
            header = value
            continue
        if not isinstance(value, dict | RecordError):
            value = RecordError("a line that is no object")
        yield Row(number, value)


def _is_header(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(name, str) and name for name in value)


def _document_rows(value: Any) -> Iterator[Row]:
    """A list of objects, an object around one such list, or one object."""
    if isinstance(value, RecordError):
        yield Row(-1, value)
        return
    members = value if isinstance(value, list) else _longest_list(value)
    if members is None:
        if isinstance(value, dict) and value:
            yield Row(-1, value)
        else:
            yield Row(-1, RecordError("JSON without any object"))
        return
    if not members:
        yield Row(-1, RecordError("an empty list"))
    for number, member in enumerate(members):
        if isinstance(member, dict):
            yield Row(number, member)
        else:
            yield Row(number, RecordError("a member of the list that is no object"))


def _longest_list(value: Any) -> list[Any] | None:
    """Return the longest member that is a list of objects, if the object is little beside it."""
    if not isinstance(value, dict):
        return None
    lists = [
        member
        for member in value.values()
        if isinstance(member, list) and member and all(isinstance(m, dict) for m in member)
    ]
    longest = max(lists, key=len, default=None)
    is_envelope = longest is not None and (
        len(value) <= ENVELOPE_KEYS_MAX or len(longest) >= ENVELOPE_MEMBERS_MIN
    )
    return longest if is_envelope else None
