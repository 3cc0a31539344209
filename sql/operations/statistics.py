"""Operations on statistics: how much came in, by day, source, type and account."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import write_line, write_table
from base.text import safe_text, size_text
from sql.datasets.statistics_book import Arrived, Wanted
from sql.operations.place import Place, opened

__all__ = ["opened"]

DAYS_USUAL = 30
DAYS_MAX = 3_660
NAMES_MAX = 50
"""So many sources and accounts are named; the rest of them is one line."""
OTHERS = "others"
TEXT_LENGTH_MAX = 200
FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(9999, 12, 30)

Text = Annotated[str | None, Field(max_length=TEXT_LENGTH_MAX)]
Kind = Literal["image", "video", "sound", "text", "none"]


class StatsRequest(Document):
    """Of which days, and of what."""

    since: Annotated[
        date | None,
        Field(description=f"From this day (UTC); else {DAYS_USUAL} days up to the last."),
    ] = None
    until: Annotated[date | None, Field(description="Up to this day and with it; else today.")] = (
        None
    )
    source: Annotated[Text, Field(description="Only of this source; none has those without.")] = (
        None
    )
    type: Annotated[
        Kind | None, Field(description="Only of this type; none has what is no file.")
    ] = None
    user: Annotated[
        Text, Field(description="Only what this account brought; none has what nobody did.")
    ] = None

    @model_validator(mode="after")
    def _check_days(self) -> StatsRequest:
        since, until = self.days
        if since < FIRST_DAY or until > LAST_DAY:
            raise ValueError(f"ask for days from {FIRST_DAY} to {LAST_DAY}")
        if until < since:
            raise ValueError("the last day is before the first one")
        if (until - since).days >= DAYS_MAX:
            raise ValueError(f"ask for at most {DAYS_MAX:,} days")
        return self

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        until = self.until or max(datetime.now(UTC).date(), self.since or FIRST_DAY)
        usual = until.toordinal() - DAYS_USUAL + 1
        return self.since or date.fromordinal(max(usual, FIRST_DAY.toordinal())), until


class Count(Document):
    """How much."""

    nodes: int
    files: int
    size_bytes: int


class DayCount(Count):
    """What came on a day (UTC)."""

    day: date


class NamedCount(Count):
    """What came of something; `none` are those without, `others` all that are not named."""

    name: str


class Statistics(Document):
    """What came in from the day `since` to `until`; days without anything are left out."""

    since: date
    until: date
    total: Count
    days: list[DayCount]
    sources: list[NamedCount]
    types: list[NamedCount]
    users: list[NamedCount]


def _count(one: Arrived) -> dict[str, int]:
    return {"nodes": one.nodes, "files": one.files, "size_bytes": one.size_bytes}


def _named(found: Iterable[Arrived]) -> list[NamedCount]:
    counts = [NamedCount(name=one.name, **_count(one)) for one in found]
    rest = counts[NAMES_MAX:]
    if rest:
        total = {field: sum(getattr(one, field) for one in rest) for field in Count.model_fields}
        counts[NAMES_MAX:] = [NamedCount(name=OTHERS, **total)]
    return counts


def _show(told: Statistics, _asked: StatsRequest) -> None:
    days = [(f"{one.day}", one) for one in told.days]
    for heading, counts in (
        ("day", days),
        ("source", [(safe_text(one.name), one) for one in told.sources]),
        ("type", [(one.name, one) for one in told.types]),
        ("user", [(safe_text(one.name), one) for one in told.users]),
    ):
        rows = [
            (name, f"{one.nodes:,}", f"{one.files:,}", size_text(one.size_bytes))
            for name, one in counts
        ]
        write_table((heading, ">nodes", ">files", ">size"), rows)
        write_line("")
    total = told.total
    write_line(
        f"{told.since} to {told.until}: {total.nodes:,} nodes, {total.files:,} files, "
        f"{size_text(total.size_bytes)}"
    )


@operation(
    "stats.show",
    role="viewer",
    kind="question",
    route="GET /stats",
    cli=Cli(command="stats", show=_show, example="drystone stats --since 2026-01-01 --type video"),
)
def stats(place: Place, _caller: Caller, asked: StatsRequest) -> Statistics:
    """Count nodes, files and bytes that came in, by day, source, type and user.

    Files count on the day on which their bytes first came, other nodes on that of the first batch
    that brought them, also where they were deleted later. The source is the first that told of a
    node, the user whoever signalled the first batch that brought it. Counts are up to some seconds
    old, and older where counting takes long.
    """
    since, until = asked.days
    wanted = Wanted(since, until + timedelta(days=1), asked.source, asked.type, asked.user)
    found = place.database.statistics.arrived(wanted)
    parts = {
        part: [one for one in found if one.part == part] for part in ("source", "type", "account")
    }
    (total,) = (one for one in found if one.part == "total")
    return Statistics(
        since=since,
        until=until,
        total=Count(**_count(total)),
        days=[DayCount(day=one.day, **_count(one)) for one in found if one.day is not None],
        sources=_named(parts["source"]),
        types=_named(parts["type"]),
        users=_named(parts["account"]),
    )
