"""Operations on events: the feed of what happened, read in parts or followed."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import write_line, write_table
from base.text import safe_text, time_text
from sql.events.event_book import EVENTS_MAX, FeedEvent
from sql.events.event_types import hidden_types
from sql.operations.place import Place, opened

if TYPE_CHECKING:
    from anyio import CapacityLimiter

    from sql.database.database import Database

__all__ = ["opened"]

POLL_INTERVAL_S = 0.5
ASKING_MAX = 2
"""So many of those who follow ask the database at once; all of them share its connections."""


class FeedFilter(Document):
    """From where, and which events."""

    after: Annotated[
        int | None,
        Field(
            ge=0,
            le=2**63 - 1,
            description="Behind this position; 0 begins with the oldest that is kept. Without it, "
            "the newest.",
        ),
    ] = None
    type: Annotated[
        tuple[str, ...],
        Field(max_length=50, description="Only of this type; again for several."),
    ] = ()
    subject: Annotated[
        str | None, Field(max_length=1_000, description="Only about this, such as `batch cats`.")
    ] = None


class FeedRequest(FeedFilter):
    """Which part of the feed."""

    limit: Annotated[int, Field(ge=1, le=EVENTS_MAX, description="At most so many.")] = 100


class FollowRequest(FeedFilter):
    """From where, which events, and for how long."""

    for_s: Annotated[
        float | None, Field(ge=0, le=86_400, description="So many seconds; without it no end.")
    ] = None


class FeedPart(Document):
    """Events in their order, and the position behind which the feed goes on."""

    events: list[FeedEvent]
    next_after: int


def _show_part(part: FeedPart, _asked: FeedRequest) -> None:
    cells = [
        (str(one.position), time_text(one.time), one.type, safe_text(one.subject))
        for one in part.events
    ]
    write_table((">position", "time", "type", "about"), cells)


def _show_event(one: FeedEvent, _asked: FollowRequest) -> None:
    cells = (str(one.position), time_text(one.time), one.type, safe_text(one.subject))
    write_line("  ".join(cells))


@operation(
    "event.follow",
    role="guest",
    kind="stream",
    route="GET /events/follow",
    cli=Cli(command="events --follow", is_shown=False, show=_show_event),
)
def follow(place: Place, caller: Caller, asked: FollowRequest) -> Iterable[FeedEvent]:
    """Tell events as they happen, a line each, without an end or for a while.

    It begins behind `after`, or with what happens from now on.
    """
    return _Followed(place.database, caller, asked)


@operation(
    "event.list",
    role="guest",
    kind="question",
    route="GET /events",
    stream=follow,
    cli=Cli(
        command="events",
        switches={"follow": follow},
        show=_show_part,
        example="drystone events --after 0 --type node.created",
    ),
)
def events(place: Place, caller: Caller, asked: FeedRequest) -> FeedPart:
    """List what happened, in its order; `next_after` is where to go on.

    A position whose successors are gone, or that was never given, is refused. A guest reads what
    happened to batches that were granted.
    """
    found, next_after = _read(place.database, caller, asked, asked.after, asked.limit)
    return FeedPart(events=found, next_after=next_after)


class _Followed:
    """The events of a filter without an end: for a command, and for a server's loop.

    `after` is where to go on from when all that was read has been told.
    """

    def __init__(self, database: Database, caller: Caller, asked: FollowRequest) -> None:
        self._database, self._caller, self._asked = database, caller, asked
        self._end_s = math.inf if asked.for_s is None else time.monotonic() + asked.for_s
        # Read here: a position that is gone is an answer of its own, and no stream that breaks off.
        self._first, self._read_to = _read(database, caller, asked, asked.after)
        if asked.after is None:
            self._first = []
        self.begins_after = self._read_to if asked.after is None else asked.after
        self.after = self.begins_after

    def _left_s(self) -> float:
        return self._end_s - time.monotonic()

    def _next(self) -> list[FeedEvent]:
        found, self._read_to = _read(self._database, self._caller, self._asked, self._read_to)
        return found

    def __iter__(self) -> Iterator[FeedEvent]:
        yield from self._first
        while (left_s := self._left_s()) > 0:
            self.after = self._read_to
            if not (found := self._next()):
                time.sleep(min(POLL_INTERVAL_S, left_s))
            yield from found

    async def __aiter__(self) -> AsyncIterator[FeedEvent]:
        from anyio import to_thread

        for one in self._first:
            yield one
        while (left_s := self._left_s()) > 0:
            # Not before all of it was told: whoever is told this goes on behind it.
            self.after = self._read_to
            if not (found := await to_thread.run_sync(self._next, limiter=_turns())):
                await asyncio.sleep(min(POLL_INTERVAL_S, left_s))
            for one in found:
                yield one


@functools.cache
def _turns() -> CapacityLimiter:
    from anyio import CapacityLimiter

    # Held by who follows while it asks, in a thread; nothing else is taken with it.
    return CapacityLimiter(ASKING_MAX)


def _read(
    database: Database,
    caller: Caller,
    asked: FeedFilter,
    after: int | None,
    limit: int = EVENTS_MAX,
) -> tuple[list[FeedEvent], int]:
    is_admin = caller.role == "admin"
    return database.events.feed(
        after,
        types=asked.type or None,
        subject=asked.subject,
        hidden=hidden_types(is_admin=is_admin),
        account=None if is_admin else caller.name,
        limit=limit,
    )
