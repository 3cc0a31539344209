"""Text for people: sizes, counts, durations, times, and names that come from strangers.

Every character that is not printable (controls, lone surrogates of names that are not UTF-8,
direction overrides) appears as a backslash escape, so that no name can drive a terminal or forge a
line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def safe_text(text: str) -> str:
    """Return the text as one printable line: what is not printable becomes an escape."""
    if text.isprintable():
        return text
    return "".join(
        part if part.isprintable() else part.encode("unicode_escape").decode("ascii")
        for part in text
    )


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


def time_text(moment: datetime | str | None) -> str:
    """Return a time, or a time stamp, in this machine's zone: `2024-11-21 09:30:15`.

    An empty text for None.
    """
    from datetime import datetime

    if moment is None:
        return ""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
