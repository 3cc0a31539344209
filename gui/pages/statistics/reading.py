"""What the page of statistics reads: what came in some days, of what the address says."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple

from base.errors import UsageError
from base.operations.operation import Caller
from gui.reading.desk import Desk

BARS_MAX = 120
"""So many bars the chart of days has; of more days a bar is several."""


class Bar(NamedTuple):
    """What came from one day up to another."""

    first: date
    last: date
    nodes: int
    files: int
    size_bytes: int


class StatisticsReading(NamedTuple):
    """The counts as the operation tells them, and the bars of the chart; or what is wrong."""

    told: Any = None
    bars: tuple[Bar, ...] = ()
    problem: str = ""


def read_statistics(
    desk: Desk, since: str = "", until: str = "", source: str = "", type: str = "", user: str = ""
) -> StatisticsReading:
    """Read the counts; blocks."""
    one = desk.operation("stats.show")
    given = {"since": since, "until": until, "source": source, "type": type, "user": user}
    try:
        asked = one.request_of({name: value or None for name, value in given.items()})
    except UsageError as error:
        return StatisticsReading(problem=str(error))
    told = one(desk.place(one), Caller("pages", "viewer"), asked)
    return StatisticsReading(told, bars_of(told))


def bars_of(told: Any) -> tuple[Bar, ...]:
    """Return bars of as many days each as it takes, those without anything too."""
    days = (told.until - told.since).days + 1
    width = -(-days // BARS_MAX)
    sums = [[0, 0, 0] for _ in range(0, days, width)]
    for one in told.days:
        place = sums[(one.day - told.since).days // width]
        for number, value in enumerate((one.nodes, one.files, one.size_bytes)):
            place[number] += value
    return tuple(
        Bar(
            told.since + timedelta(days=number * width),
            min(told.until, told.since + timedelta(days=(number + 1) * width - 1)),
            *counts,
        )
        for number, counts in enumerate(sums)
    )
