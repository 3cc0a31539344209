"""How answers look: it owns tables, JSON lines, units and safe text, and decides nothing.

Data goes to stdout, messages and progress to stderr. Names come from strangers: in tables and
messages every character that is not printable (controls, lone surrogates of names that are not
UTF-8, direction overrides) appears as a backslash escape, so that no name can drive a terminal or
forge a line. JSON carries the exact name, in ASCII.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from fsd.documents.models import JobStatus

PROGRESS_LINE_INTERVAL_S = 10.0
"""Between two progress lines where stderr is a file and cannot be overwritten."""

LISTED_MAX = 20
"""So many problems are shown by name; `--json` lists all of them."""

_CLEAR_LINE = "\r\x1b[K"
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def safe_text(text: str) -> str:
    """Return the text as one printable line: what is not printable becomes an escape."""
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
    # Not pydantic's own JSON: it refuses the lone surrogates of names that are not UTF-8.
    sys.stdout.write(json.dumps(value, default=_plain) + "\n")


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump()


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


def size_text(size_bytes: float) -> str:
    """Return bytes in decimal units, as disks are sold: `1.5 MB`."""
    value, unit = float(size_bytes), 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return f"{value:.0f} B"
    return f"{value:.{0 if value >= 99.95 else 1}f} {_UNITS[unit]}"


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: `1 object`, `12,345 objects`, `2 batches`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration_text(duration_s: float) -> str:
    """Return a duration as people say it: `0.42 s`, `2 min 5 s`, `3 h 20 min`, `5 days 2 h`."""
    if duration_s < 1:
        return f"{duration_s:.2f} s"
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days {whole % 86400 // 3600} h"


def time_text(timestamp: str) -> str:
    """Return a time stamp of the engine in this machine's time zone: `2024-11-21 09:30:15`."""
    from datetime import datetime

    return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def list_some(lines: Sequence[str], count: int) -> None:
    """Say the first of `count` problems, and how many are not shown."""
    for line in lines[:LISTED_MAX]:
        say(f"  {line}")
    if count > LISTED_MAX:
        say(f"  ... and {count - LISTED_MAX} more (--json lists all)")


def problem_text(line: dict[str, Any]) -> str:
    """Return one line of a job's report as a message: what it is about, and what is wrong."""
    if "path" in line:
        subject = [str(line["path"])]
    else:
        subject = [f"{name} {line[name]}" for name in ("disk", "shard", "key") if line.get(name)]
    parts = [line.get("status"), ", ".join(subject), line.get("reason")]
    return safe_text(": ".join(str(part) for part in parts if part))


def counts_text(result: dict[str, Any]) -> str:
    """Return the numbers of a job's result that are not zero: `12 written (3.4 MB), 1 skipped`."""
    parts: list[str] = []
    for name, value in result.items():
        if isinstance(value, bool) or not isinstance(value, int) or not value:
            continue
        what, _, unit = name.rpartition("_")
        if unit != "bytes":
            size = result.get(name + "_bytes")
            more = f" ({size_text(size)})" if size else ""
            words = name.replace("_", " ")
            parts.append(f"{value:,} {_singular(words) if value == 1 else words}{more}")
        elif what not in result:
            parts.append(f"{size_text(value)} {what.replace('_', ' ')}")
    return ", ".join(parts)


def _singular(words: str) -> str:
    for plural, singular in (("sses", "ss"), ("ches", "ch"), ("ies", "y")):
        if words.endswith(plural):
            return words.removesuffix(plural) + singular
    return words if words.endswith("ss") else words.removesuffix("s")


class Progress:
    """One line on stderr that follows a job: overwritten on a terminal, repeated in a file."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._due = time.monotonic() + PROGRESS_LINE_INTERVAL_S
        self._shown = False

    def __call__(self, job: JobStatus) -> None:
        """Show where the job is."""
        if job.state != "running":
            return
        line = safe_text(progress_text(job))
        if self._terminal:
            sys.stderr.write(_CLEAR_LINE + line[: _terminal_columns() - 1])
            sys.stderr.flush()
            self._shown = True
        elif time.monotonic() >= self._due:
            say(line)
            self._due = time.monotonic() + PROGRESS_LINE_INTERVAL_S

    def close(self) -> None:
        """Clear the line, so that what is said next starts at its beginning."""
        if self._shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
            self._shown = False


_COUNTED = {
    **dict.fromkeys(("drain", "replace", "rebuild", "rebalance", "compact", "fsck"), ("shard",)),
    **dict.fromkeys(("verify", "scrub"), ("copy", "copies")),
    **dict.fromkeys(("reindex", "purge"), ("step",)),
    "calibrate": ("disk",),
}
"""What a job of this kind counts, where that is no files."""


def progress_text(job: JobStatus) -> str:
    """Return a job's progress in one line: what is known of files, bytes, rate and time left."""
    parts = [job.kind]
    if job.total_files or job.done_files:
        total = job.total_files or job.done_files
        done = f"{job.done_files:,} of " * bool(job.total_files)
        parts.append(done + count_text(total, *_COUNTED.get(job.kind, ("file",))))
    if job.total_bytes or job.done_bytes:
        parts.append(size_text(job.done_bytes) + _of(job.total_bytes, size_text(job.total_bytes)))
    if job.rate_bytes_per_s:
        parts.append(f"{size_text(job.rate_bytes_per_s)}/s")
    if job.eta_s is not None and job.eta_s >= 0.5:
        parts.append(f"{duration_text(job.eta_s)} left")
    if job.phase:
        parts.append(job.phase)
    return "  ".join(parts)


def _of(total: int, text: str) -> str:
    return f" of {text}" if total else ""


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
