"""The filters of the list of runs: it owns how an address becomes a question, and back.

Pure. What an address says wrongly is left out, so that an old bookmark still opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, get_args
from urllib.parse import urlencode

from sql import RunFilter, RunState

STATES: tuple[RunState, ...] = get_args(RunState)
PERIODS = {
    "1h": ("last hour", timedelta(hours=1)),
    "24h": ("last 24 hours", timedelta(days=1)),
    "7d": ("last 7 days", timedelta(days=7)),
    "30d": ("last 30 days", timedelta(days=30)),
}
TEXT_LENGTH_MAX = 200
WORKFLOW_LENGTH_MAX = 60
ID_MAX = 2**63 - 1


class RunQuery(NamedTuple):
    """What a page of runs shows; `since` and `until` are days, `before` the cursor of the page."""

    states: tuple[RunState, ...] = ()
    workflow: str = ""
    period: str = ""
    since: str = ""
    until: str = ""
    text: str = ""
    before: int | None = None

    @property
    def address(self) -> str:
        """The address of this page; names in a fixed order, so that equal ones are equal."""
        query = {
            "state": ",".join(self.states), "workflow": self.workflow, "period": self.period,
            "since": self.since, "until": self.until, "q": self.text,
            "before": str(self.before or ""),
        }  # fmt: skip
        given = urlencode({name: value for name, value in query.items() if value})
        return "/runs" + (f"?{given}" if given else "")

    def filter(self, now: datetime | None = None) -> RunFilter:
        """Return the question for the database, as of now."""
        since = _day(self.since)
        if self.period in PERIODS:
            since = (now or datetime.now(UTC)) - PERIODS[self.period][1]
        until = _day(self.until)
        return RunFilter(
            states=self.states or None,
            workflow=self.workflow or None,
            since=since,
            # The last day is meant whole.
            until=until + timedelta(days=1) if until else None,
            text=self.text or None,
        )

    def changed(self, **fields: object) -> RunQuery:
        """Return the first page of other filters."""
        return self._replace(**{"before": None, **fields})  # pyright: ignore[reportArgumentType]

    def toggled(self, state: RunState) -> RunQuery:
        """Return the first page with one state more, or less."""
        left = set(self.states) ^ {state}
        return self.changed(states=tuple(one for one in STATES if one in left))


def query_of(given: Mapping[str, str]) -> RunQuery:
    """Read an address."""
    states = set(given.get("state", "").split(","))
    before = given.get("before", "")
    period = given.get("period", "")
    number = int(before) if before.isascii() and before.isdecimal() and len(before) < 20 else 0
    return RunQuery(
        states=tuple(one for one in STATES if one in states),
        workflow=_plain(given.get("workflow", ""), WORKFLOW_LENGTH_MAX),
        period=period if period in PERIODS else "",
        since=given.get("since", "") if _day(given.get("since", "")) else "",
        until=given.get("until", "") if _day(given.get("until", "")) else "",
        text=_plain(given.get("q", ""), TEXT_LENGTH_MAX),
        before=number if 0 < number <= ID_MAX else None,
    )


def _plain(text: str, length_max: int) -> str:
    """Return a text that a database takes: neither NUL nor half a letter."""
    return "".join(letter for letter in text if letter.isprintable())[:length_max].strip()


def _day(text: str) -> datetime | None:
    """Return the begin of a day, YYYY-MM-DD on this machine's clock; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone()
    except (ValueError, OverflowError):
        return None
