"""Output of commands: lines, tables and JSON on stdout, messages on stderr.

In tables and messages what is not printable is escaped (see `safe_text`). JSON carries names as
they are, in ASCII.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from base.text import safe_text

if TYPE_CHECKING:
    from pydantic import BaseModel

LISTED_MAX = 20
"""So many problems are shown by name; `--json` lists all of them."""


def say(text: str) -> None:
    """Write a message to stderr; its line breaks are kept, everything else is made printable."""
    for line in text.split("\n"):
        _write(sys.stderr, safe_text(line))


def write_line(text: str) -> None:
    """Write one line of data to stdout."""
    _write(sys.stdout, safe_text(text))


def write_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """Write one document as one line of ASCII JSON; times in ISO 8601, UTC as `Z`."""
    sys.stdout.write(json_text(value) + "\n")


def json_text(value: Any) -> str:
    """Return a document as ASCII JSON; times in ISO 8601, UTC as `Z`."""
    # Not pydantic's own JSON: it refuses the lone surrogates of names that are not UTF-8.
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _write(stream: Any, line: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def write_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows in aligned columns; a heading that starts with `>` aligns its column right."""
    for line in table_lines(headings, rows):
        write_line(line)


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, headings first."""
    names = [heading.removeprefix(">") for heading in headings]
    cells = [names, *([safe_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if heading.startswith(">") else cell.ljust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return [line(row) for row in cells]


def list_some(lines: Sequence[str], count: int) -> None:
    """Say the first of `count` problems, and how many are not shown."""
    for line in lines[:LISTED_MAX]:
        say(f"  {line}")
    if count > LISTED_MAX:
        say(f"  ... and {count - LISTED_MAX} more (--json lists all)")
