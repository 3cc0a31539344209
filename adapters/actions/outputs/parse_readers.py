"""Records out of output files: it owns json, jsonl and csv, and the limits of reading them.

Strictly UTF-8. A broken record costs itself, a broken document its file; a file that stops in the
middle is a broken one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from adapters.actions.outputs.match import field_of, shown
from adapters.records.errors import LimitError, RecordError
from adapters.records.strict_json import MIB, parse_json

if TYPE_CHECKING:
    from adapters.actions.contract.contract import Output
    from adapters.actions.outputs.tree import OutputTree

DOCUMENT_BYTES_MAX = 256 * MIB
LINE_BYTES_MAX = 16 * MIB
COLUMNS_MAX = 2_000
WHOLE_FILE = -1


class Found(NamedTuple):
    """One record; `number` counts from 0, -1 when the file is this record and nothing else.

    `empty` says: the program looked at this input and found nothing.
    """

    number: int
    fields: dict[str, Any] | RecordError
    empty: bool = False
    from_text: bool = False
    """Every value is text, as in CSV: numbers are read out of it."""


Reader = Callable[["OutputTree", str, "Output"], Iterator[Found]]


def read_document(tree: OutputTree, path: str) -> Any:
    """Return the JSON value of a file; RecordError says what is wrong."""
    data = tree.read(path, DOCUMENT_BYTES_MAX)
    if not data.strip():
        raise RecordError("the file is empty")
    return parse_json(decode_strictly(data))


def decode_strictly(data: bytes) -> str:
    """Decode UTF-8, with or without its mark; RecordError for anything else."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(f"is no UTF-8: byte {error.start:,} cannot be read") from error


def read_file(_tree: OutputTree, _path: str, _output: Output) -> Iterator[Found]:
    """Yield the one record of a file whose bytes or name are what counts."""
    yield Found(WHOLE_FILE, {}, from_text=True)


def read_json(tree: OutputTree, path: str, output: Output) -> Iterator[Found]:
    """Yield one object, or the members of an array, at the top or at `records`."""
    value = read_document(tree, path)
    if output.records is not None:
        value = field_of(cast("dict[str, Any]", value), output.records) if value else None
        if not isinstance(value, list):
            raise RecordError(f"there is no array at {output.records!r}")
    if isinstance(value, dict):
        yield Found(WHOLE_FILE, cast("dict[str, Any]", value))
        return
    if not isinstance(value, list):
        raise RecordError("is neither an object nor an array of objects")
    for number, member in enumerate(cast("list[Any]", value)):
        yield Found(number, _object(member))


def read_json_lines(tree: OutputTree, path: str, output: Output) -> Iterator[Found]:
    """Yield the object of every line that is not empty."""
    with tree.open(path) as file:
        for number, line in enumerate(limited_lines(file)):
            if isinstance(line, RecordError):
                yield Found(number, line)
            elif line.strip():
                try:
                    yield Found(number, _object(parse_json(decode_strictly(line))))
                except RecordError as error:
                    yield Found(number, error)


def _object(value: Any) -> dict[str, Any] | RecordError:
    if not isinstance(value, dict):
        return RecordError(f"a record that is no object: {shown(value)!r}")
    return cast("dict[str, Any]", value)


def limited_lines(file: BinaryIO) -> Iterator[bytes | RecordError]:
    """Yield the lines of a file; one that is too long is a LimitError in its place."""
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            while rest := file.readline(LINE_BYTES_MAX):
                if rest.endswith(b"\n"):
                    break
            yield LimitError(f"a line of more than {LINE_BYTES_MAX:,} bytes")
        else:
            yield line


def read_csv(tree: OutputTree, path: str, output: Output) -> Iterator[Found]:
    """Yield the rows below the header; `,`, `;`, tab or `|` between the fields."""
    csv.field_size_limit(LINE_BYTES_MAX)
    with tree.open(path) as file:
        # What is no UTF-8 becomes lone surrogates, and costs its own row only.
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield from _rows(text)
        finally:
            text.detach()


def _rows(text: io.TextIOWrapper) -> Iterator[Found]:
    first = text.readline(LINE_BYTES_MAX)
    delimiter = max(",\t;|", key=first.count)
    try:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise RecordError(f"no readable header: {error}") from error
    if not any(header) or len(header) > COLUMNS_MAX or len(set(header)) < len(header):
        raise RecordError("the first line is no header: every column needs a name of its own")
    if reason := _unreadable(header):
        raise RecordError(f"the header {reason}")
    reader = csv.reader(_limited(text), delimiter=delimiter, strict=True)
    number = -1
    while True:
        number += 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Found(number, RecordError(f"no readable row: {error}"))
            continue
        if fields:
            yield Found(number, _row(header, fields), from_text=True)


def _limited(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX:
            raise LimitError(f"a line of more than {LINE_BYTES_MAX:,} characters")
        yield line


def _row(header: list[str], fields: list[str]) -> dict[str, Any] | RecordError:
    if len(fields) != len(header):
        return RecordError(f"{len(fields)} fields where the header has {len(header)}")
    if reason := _unreadable(fields):
        return RecordError(reason)
    return {name: field or None for name, field in zip(header, fields, strict=True)}


def _unreadable(fields: list[str]) -> str | None:
    """Tell why these are no texts, or None."""
    for field in fields:
        if "\0" in field:
            return "contains NUL; is the file UTF-16?"
        if not field.isascii() and any("\ud800" <= letter <= "\udfff" for letter in field):
            return "is no UTF-8"
    return None
