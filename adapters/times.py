"""Times as sources write them: it owns turning them into aware datetimes, or None."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from dateutil import parser

EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM = 100_000_000_000
"""Epoch numbers from here on (year 5138 as seconds) are milliseconds."""


ZONE_HOURS: dict[str, int] = {
    "EST": -5,
    "EDT": -4,
    "CST": -6,
    "CDT": -5,
    "MST": -7,
    "MDT": -6,
    "PST": -8,
    "PDT": -7,
    "BST": 1,
    "CET": 1,
    "CEST": 2,
    "MSK": 3,
    "JST": 9,
}
"""The zones of RFC 2822 by name, and a few that feeds write. Others mean the zone asked for."""

# What a text leaves out. Without a year it is no time, and never today's.
_NO_DATE = datetime(1, 1, 1)


def parse_time(value: Any, zone: tzinfo = UTC) -> datetime | None:
    """Return the time that a source wrote, or None when it is none.

    Takes epoch seconds or milliseconds (number or digits), YYYYMMDD, ISO 8601, RFC 2822, and the
    form of Twitter; `zone` is that of a text which names none. A time in the future stays what the
    source said.
    """
    if isinstance(value, datetime):
        return _within(value if value.tzinfo else value.replace(tzinfo=zone))
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return _within(_parse(value, zone))
    except (ValueError, ArithmeticError, OSError, TypeError, LookupError, RecursionError):
        return None


def _parse(value: int | float | str, zone: tzinfo) -> datetime | None:
    if isinstance(value, str):
        text = value.strip()[:100]
        if len(text) == 8 and text.isascii() and text.isdigit():
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=zone)
        number = text.removeprefix("-").replace(".", "", 1)
        if not (number.isascii() and number.isdigit() and len(number) > 4):
            if not any(character.isdigit() for character in text) or len(text) < 6:
                return None
            parsed = parser.parse(text, tzinfos=_zone_named, default=_NO_DATE)
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)
        value = float(text)
    seconds = value / 1000 if abs(value) >= MILLISECONDS_FROM else value
    # Epoch 0 is how sources write "unknown".
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _zone_named(name: str | None, offset_s: int | None) -> tzinfo | None:
    # Asked for every zone that a text names; without an answer dateutil would warn and guess.
    if offset_s is not None:
        return timezone(timedelta(seconds=offset_s))
    hours = ZONE_HOURS.get(name or "")
    return None if hours is None else timezone(timedelta(hours=hours))


def _within(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    try:
        time = time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return time if EARLIEST <= time <= LATEST else None
