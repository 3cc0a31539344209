"""Times as sources write them: it owns turning them into aware datetimes, or None."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from dateutil import parser

EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DIGITS = {9: 1, 10: 1, 11: 1, 12: 10**3, 13: 10**3, 15: 10**6, 16: 10**6, 19: 10**9}
"""Parts of a second that an epoch number of so many digits counts, from 1973 on.

Fewer digits are a year, a month or a counter, and 14, 17 and 18 other calendars' numbers: none of
them is a time, and an invented day is worse than none.
"""
CALENDAR_FORMS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f"}
CALENDAR_YEARS = range(1800, 2200)
"""A number of 8, 12, 14 or 17 digits that begins with such a year is a date written in digits."""
# The form of Twitter and of some boorus: `Wed Oct 10 20:19:24 +0000 2018`.
_DAY_FIRST = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    r"([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) ([+-][0-9]{4}) ([1-9][0-9]{3})"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]*))?")

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

# What a text leaves out is taken from these; a text that has no year, month or day of its own
# differs between them, and is no time.
_NO_DATES = (datetime(1, 1, 1), datetime(2, 2, 2))


def parse_time(value: Any, zone: tzinfo = UTC) -> datetime | None:
    """Return the time that a source wrote, or None when it is none.

    Takes epoch seconds, milliseconds, microseconds and nanoseconds (number or digits), YYYYMMDD
    with or without HHMM, HHMMSS and milliseconds, ISO 8601, RFC 2822, and the form of Twitter;
    `zone` is that of a text which names none. A year or a month alone is no time. A time in the
    future stays what the source said.
    """
    if isinstance(value, datetime):
        return _within(value if value.tzinfo else value.replace(tzinfo=zone))
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return _within(_parse(value, zone))
    except (ValueError, ArithmeticError, OSError, TypeError, LookupError, RecursionError):
        return None


def time_of_ns(time_ns: int) -> datetime | None:
    """Return the time of a file in nanoseconds since 1970, or None when no calendar has it."""
    try:
        return _within(EPOCH + timedelta(microseconds=time_ns // 1_000))
    except OverflowError:
        return None


def _parse(value: int | float | str, zone: tzinfo) -> datetime | None:
    if isinstance(value, str):
        text = value.strip()[:100]
        number = _NUMBER.fullmatch(text)
        return _parse_text(text, zone) if number is None else _of_number(number, zone)
    number = _NUMBER.fullmatch(f"{value:.6f}" if isinstance(value, float) else str(value))
    return None if number is None else _of_number(number, zone)


def _parse_text(text: str, zone: tzinfo) -> datetime | None:
    if not any(character.isdigit() for character in text) or len(text) < 6:
        return None
    try:
        # Most sources write ISO 8601 or like Twitter, and this is ten times quicker.
        parsed = datetime.fromisoformat(_as_iso(text))
    except ValueError:
        parsed, other = (
            parser.parse(text, tzinfos=_zone_named, default=default) for default in _NO_DATES
        )
        if parsed.date() != other.date():
            return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)


def _as_iso(text: str) -> str:
    found = _DAY_FIRST.fullmatch(text)
    if found is None:
        return text
    month, day, clock, zone, year = found.groups()
    return f"{year}-{_MONTHS.index(month) + 1:02}-{day}T{clock}{zone}"


def _of_number(number: re.Match[str], zone: tzinfo) -> datetime | None:
    minus, digits, fraction = number.groups()
    count = len(digits)
    if count in CALENDAR_FORMS and not minus and int(digits[:4]) in CALENDAR_YEARS:
        try:
            return datetime.strptime(digits, CALENDAR_FORMS[count]).replace(tzinfo=zone)
        except ValueError:
            pass  # No date of the calendar: it may still be a count of milliseconds.
    per_second = EPOCH_DIGITS.get(count)
    if per_second is None:
        return None
    microseconds = int(digits) * 1_000_000 // per_second
    microseconds += round(float(f"0.{fraction or 0}") * 1_000_000 / per_second)
    return EPOCH + timedelta(microseconds=-microseconds if minus else microseconds)


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
        time = time if time.tzinfo is UTC else time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return time if EARLIEST <= time <= LATEST else None
