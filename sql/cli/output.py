"""How the database's answers look: it owns tables, JSON, sizes and safe text, and decides nothing.

Data goes to stdout, messages to stderr. Text in a database comes from strangers: in tables and
messages every character that is not printable appears as a backslash escape, so that none of it can
drive a terminal or forge a line. JSON carries it exactly, in ASCII.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def safe_text(text: str) -> str:
    """Return the text as one printable line."""
    if text.isprintable():
        return text
    return "".join(
        part if part.isprintable() else part.encode("unicode_escape").decode("ascii")
        for part in text
    )


def say(text: str) -> None:
    """Write a message to stderr; its line breaks are kept, everything else is made printable."""
    for line in text.split("\n"):
        _write(sys.stderr, safe_text(line))


def write_line(text: str) -> None:
    """Write one line of data to stdout."""
    _write(sys.stdout, safe_text(text))


def write_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """Write one document as one line of ASCII JSON."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    sys.stdout.write(json.dumps(plain, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def write_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows in aligned columns; a heading that starts with `>` aligns its column right."""
    names = [heading.removeprefix(">") for heading in headings]
    cells = [names, *([safe_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        parts = [
            cell.rjust(width) if heading.startswith(">") else cell.ljust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        ]
        write_line("  ".join(parts).rstrip())


def size_text(size_bytes: float) -> str:
    """Return bytes in decimal units, as disks are sold: `1.5 MB`."""
    value, unit = float(size_bytes), 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return f"{value:.0f} B"
    return f"{value:.{0 if value >= 99.95 else 1}f} {_UNITS[unit]}"


def _write(stream: Any, line: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
