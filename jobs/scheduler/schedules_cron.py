"""When a cron expression fires: it owns the calendar and daylight saving, and has no clock.

Pure functions over moments in UTC. The calendar and the words are cronsim's, over a wall clock that
never jumps; how the clock of a time zone meets real time is decided here (cronsim's own rule misses
the second half hour where a zone is put back by thirty minutes):

- A local time that does not exist (the clock was put forward over it) fires at the moment of the
  jump, once, however many times of the expression were left out.
- A local time that exists twice (the clock was put back) fires the first time only.
- An expression that fires in every hour of the day goes on by real time: what does not exist is
  left out, what exists twice fires twice.

An expression has five fields (minute, hour, day of month, month, day of week) or is one of
`@hourly @daily @weekly @monthly @yearly`. When both days are restricted, either is enough, as in
every cron. Beyond what cronsim reads, a range may go over the end of its field (`22-2`, `fri-mon`),
`?` is `*`, and `l5` is `5l`, the last Friday.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from base.errors import UsageError

EXPRESSION_LENGTH_MAX = 200
ZONE_LENGTH_MAX = 64
YEAR_MAX = 2400
"""Nothing is planned beyond; `datetime` ends at 9999."""

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELD = re.compile(r"[0-9*/,\-#lw]+", re.ASCII)
_RANGE = re.compile(r"([0-9]{1,2})-([0-9]{1,2})", re.ASCII)
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTH, _WEEKDAY = 3, 4
_NAMES = {
    _MONTH: [
        "", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
    _WEEKDAY: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}  # fmt: skip
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+\-/]*", re.ASCII)
# How far back to look for the latest firings, nearest first.
_SPANS = tuple(timedelta(days=days) for days in (1 / 24, 1, 8, 32, 367, 9 * 366, 41 * 366))


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression in a time zone; `fields` is what cronsim reads of it."""

    expression: str
    fields: tuple[str, str, str, str, str]
    zone: ZoneInfo
    every_hour: bool


def parse_cron(expression: str, zone_name: str) -> Cron:
    """Check an expression and the name of a zone; UsageError says what is wrong with them."""
    zone = find_zone(zone_name)
    shown = expression[:EXPRESSION_LENGTH_MAX]
    if len(expression) > EXPRESSION_LENGTH_MAX:
        raise UsageError(f"a cron expression has at most {EXPRESSION_LENGTH_MAX} characters")
    text = " ".join(expression.strip().lower().split())
    fields = tuple(_ALIASES.get(text, text).split(" "))
    if len(fields) != 5:
        raise UsageError(
            f"cron {shown!a} is refused: it has to have the five fields minute, hour, day of "
            f"month, month and day of week, or be one of {', '.join(sorted(_ALIASES))}"
        )
    read = _read_by_cronsim(fields)
    for given, field in zip(fields, read, strict=True):
        if not _FIELD.fullmatch(field):
            raise UsageError(f"cron {shown!a} is refused: field {given!a} cannot be understood")
    try:
        every_hour = CronSim(" ".join(read), datetime(2024, 1, 1)).hours == set(range(24))
    except (CronSimError, ValueError) as error:
        raise UsageError(f"cron {shown!a} is refused: {error}") from error
    cron = Cron(expression.strip(), read, zone, every_hour)
    if next(_walls(cron, datetime(2024, 1, 1)), None) is None:
        raise UsageError(f"cron {shown!a} never fires: there is no such day")
    return cron


def describe_cron(cron: Cron) -> str:
    """Return one line such as `at 03:30 on Monday through Friday (Europe/Berlin)`."""
    words = CronSim(" ".join(cron.fields), datetime(2024, 1, 1)).explain()
    return f"{words[0].lower()}{words[1:]} ({cron.zone.key})"


def _read_by_cronsim(fields: Sequence[str]) -> tuple[str, str, str, str, str]:
    """Return the fields in the notation of cronsim, which says what is wrong with them."""
    minute, hour, day, month, weekday = (
        ",".join(_term(term, place) for term in field.split(","))
        for place, field in enumerate(fields)
    )
    if "*" not in (day, weekday):
        # Or cronsim takes a day that begins with a star for one that must match as well.
        day, weekday = day.replace("*", "1-31"), weekday.replace("*", "0-6")
    return minute, hour, day, month, weekday


def _term(term: str, place: int) -> str:
    """Return one term of a field, in numbers, its range cut in two where it goes over the end."""
    for number, name in enumerate(_NAMES.get(place, ())):
        term = term.replace(name, str(number)) if name else term
    term = "*" if term in ("?", "*/1") else term
    if place == _WEEKDAY and term.startswith("l"):
        return f"{term[1:]}l"
    if not (found := _RANGE.fullmatch(term)):
        return term
    first, last = int(found[1]), int(found[2])
    if place == _WEEKDAY and first != last:  # Sunday begins a week, and ends it.
        first, last = first % 7, last or 7
    if first <= last:
        return f"{first}-{last}"
    lowest, highest = _LIMITS[place]
    return f"{first}-{highest},{lowest}-{last}"


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name, as `Europe/Berlin`; UsageError when there is none."""
    wrong = f"there is no time zone {name[:ZONE_LENGTH_MAX]!a}; name one as Europe/Berlin or UTC"
    if len(name) > ZONE_LENGTH_MAX or not _ZONE.fullmatch(name):
        raise UsageError(wrong)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        if not available_timezones():
            raise UsageError(
                "this machine knows no time zones at all; install them (Debian, Ubuntu: apt-get "
                "install tzdata)"
            ) from error
        raise UsageError(wrong) from error


def next_firing(cron: Cron, after: datetime) -> datetime | None:
    """Return the first moment (UTC) at which it fires, later than `after`; None after YEAR_MAX."""
    after = after.astimezone(UTC)
    local = after.astimezone(cron.zone)
    wall = local.replace(tzinfo=None, fold=0)
    begin = wall - _repeated(wall, cron.zone) if cron.every_hour else wall
    best: datetime | None = None
    for candidate in _walls(cron, begin):
        first, last = _moments(candidate, cron.zone)
        if cron.every_hour and first > last:
            continue
        first = _jump(last, first, cron.zone) if first > last else first
        if cron.every_hour and last > after:
            best = min(best or last, last)
        if first > after:
            return min(best or first, first)
    return best


def firings(cron: Cron, after: datetime) -> Generator[datetime]:
    """Yield the moments at which it fires, later than `after`, in order."""
    moment = next_firing(cron, after)
    while moment is not None:
        yield moment
        moment = next_firing(cron, moment)


def next_firings(cron: Cron, after: datetime, count: int) -> list[datetime]:
    """Return at most so many of the next moments."""
    return list(islice(firings(cron, after), count))


def latest_firings(cron: Cron, since: datetime, until: datetime, count: int) -> list[datetime]:
    """Return at most so many moments at which it fired, the latest ones, in order.

    They are later than `since` and not later than `until`. The work is in proportion to `count`,
    however long ago `since` is.
    """
    found: list[datetime] = []
    for span in _SPANS:
        after = max(since, until - span)
        latest = takewhile(lambda moment: moment <= until, firings(cron, after))
        found = list(deque(latest, maxlen=count))
        if len(found) == count or after == since:
            break
    return found


def _walls(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Yield the matching times of a wall clock that never jumps, later than `after`."""
    calendar = CronSim(" ".join(cron.fields), after)
    # Where nothing matches for fifty years, it ends.
    yield from takewhile(lambda wall: wall.year <= YEAR_MAX, calendar)


def _moments(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first and the last moment (UTC) at which the clock shows this time.

    For a time that it never shows the first is the later one (PEP 495: `fold` 0 counts with the
    offset before the jump), and the jump lies between them.
    """
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment with the offset of `after`, to the second; by bisection."""
    offset = after.astimezone(zone).utcoffset()
    low, high = before, after
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def _repeated(wall: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the clock is put back over this time; zero when it is not."""
    first, last = _moments(wall, zone)
    return max(last - first, timedelta(0))
