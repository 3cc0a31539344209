"""Events, the feed they make, and their deliveries; it sends nothing.

An event is written in the transaction in which it happened, and gets its place in the feed when it
is seen committed: places are given under one lock, so nothing ever comes before what was read. From
the feed and the channels of the configuration deliveries are planned; each is taken, tried, and
done, postponed or given up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from pydantic import AwareDatetime

from base.logging.ids import current
from base.model import Document, JsonObject
from sql.core.clean_text import clean_text
from sql.core.errors import DatabaseFullError, EventsGoneError
from sql.core.repository import Repository, rows_of, value_of
from sql.core.statements import statements
from sql.core.transactions import Transactions

_SQL = statements("event")

PLACED_MAX = 10_000
"""So many events get their places in one transaction."""
FORGOTTEN_MAX = 10_000
EVENTS_MAX = 1_000
"""In one answer."""

DeliveryState = Literal["waiting", "done", "failed"]


class Event(Document):
    """Something that happened."""

    event_id: int
    event_uuid: UUID
    kind: str
    subject: str
    document: JsonObject
    create_time: AwareDatetime
    trace_id: str


class FeedEvent(Document):
    """An event as it is read and told: the envelope, and its place in the feed."""

    position: int
    id: UUID
    """The same whenever and however it is told."""
    type: str
    time: AwareDatetime
    subject: str
    data: JsonObject
    trace_id: str


class DueDelivery(Document):
    """An event to be brought to a channel now; `attempt` counts from 1 and fences the answer."""

    delivery_id: int
    channel: str
    attempt: int
    event: Event


class Delivery(Document):
    """An event on its way to a channel, as people look at it."""

    delivery_id: int
    event_id: int
    channel: str
    state: DeliveryState
    attempts: int
    not_before: AwareDatetime
    error: str | None
    end_time: AwareDatetime | None
    kind: str
    subject: str


class EventBook(Repository):
    """The outbox of a database."""

    def __init__(self, database: Transactions, whole: Transactions | None = None) -> None:
        """`whole` is the database that `database` shows a part of: events get places there."""
        super().__init__(database)
        self._whole = whole or database

    def add(
        self, kind: str, subject: str, document: Mapping[str, Any], once_key: str | None = None
    ) -> int | None:
        """Write an event; None when there is one with this `once_key`."""
        with self._database.connection() as connection:
            return add_event(connection, kind, subject, document, once_key)

    def events(
        self, kind: str | None = None, *, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        """Return events, newest first; `before` is the last `event_id` of the page before."""
        given = {"kind": kind, "before": before, "limit": limit}
        return self._all(Event, _SQL["events"], given)

    # ---- The feed --------------------------------------------------------------------------------

    def feed(
        self,
        after: int | None = None,
        *,
        types: Sequence[str] | None = None,
        subject: str | None = None,
        hidden: Sequence[str] = (),
        account: str | None = None,
        limit: int = EVENTS_MAX,
    ) -> tuple[list[FeedEvent], int]:
        """Return the events behind a position in their order, and the position to go on from.

        Those that are an account's alone are left out for another `account`; None sees all.
        0 is before the oldest that is kept; without one the newest are returned. Raises
        EventsGoneError for a position whose successors are gone, or that was never given.
        """
        given = {
            "after": after,
            "types": None if types is None else list(types),
            "subject": subject,
            "hidden": list(hidden),
            "account": account,
            "limit": limit,
        }
        self._place_all()
        with self._database.reading() as connection:
            row = connection.execute(_SQL["feed_state"]).fetchone()
            assert row is not None
            last, gone = row
            if after is None:
                return rows_of(connection, FeedEvent, _SQL["newest"], given), last
            _check_position(after, gone, last)
            given["after"] = max(after, gone)
            found = rows_of(connection, FeedEvent, _SQL["feed"], given)
        if len(found) == limit:
            return found, found[-1].position
        # Some may have come between the two statements; all before them was looked at.
        return found, max(last, after, *(one.position for one in found[-1:]))

    def times_of_batch(self, batch: str) -> dict[str, datetime]:
        """Return when an ingest batch was stored and described, by the types of the events.

        A time is not there before that happened, nor when its event is no longer kept.
        """
        with self._database.reading() as connection:
            return dict(connection.execute(_SQL["of_batch"], {"subject": f"batch {batch}"}))

    def at(
        self, positions: Sequence[int], hidden: Sequence[str] = (), account: str | None = None
    ) -> dict[int, FeedEvent]:
        """Return the events at these positions that whoever asks may see, by position."""
        given = {"positions": list(positions), "hidden": list(hidden), "account": account}
        return {one.position: one for one in self._all(FeedEvent, _SQL["at"], given)}

    def forget(self, kept_s: float) -> int:
        """Throw away events that are older, from the beginning of the feed; returns how many.

        What webhooks were told goes after as long.
        """
        count = 0
        self._change(statements("webhook")["forget"], {"kept_s": kept_s})
        while True:
            given = {"kept_s": kept_s, "limit": FORGOTTEN_MAX}
            with self._database.connection() as connection:
                connection.execute(_SQL["lock_feed"])
                if not connection.execute(_SQL["mark_gone"], given).rowcount:
                    return count
                count += connection.execute(_SQL["forget"]).rowcount

    def _place_all(self) -> None:
        """Give places to what has none, whoever reads; without room, what has one is read."""
        with self._whole.reading() as connection:
            has_unplaced = value_of(connection, _SQL["has_unplaced"])
        if has_unplaced:
            with suppress(DatabaseFullError), self._whole.connection() as connection:
                _place(connection)

    # ---- Deliveries ------------------------------------------------------------------------------

    def plan(self, channels_of: Callable[[str], list[str]], limit: int = 1_000) -> int:
        """Make the deliveries of new events: `channels_of(kind)` names their channels."""
        with self._database.connection() as connection:
            _place(connection)
            found = connection.execute(_SQL["to_plan"], [limit]).fetchall()
            pairs = [(number, name) for number, kind, _ in found for name in channels_of(kind)]
            if pairs:
                connection.execute(_SQL["plan"], [list(column) for column in zip(*pairs)])  # noqa: B905
            if found:
                connection.execute(_SQL["planned"], [found[-1][2]])
            return len(pairs)

    def take(
        self, limit: int = 20, lease_s: float = 120.0, channel: str | None = None
    ) -> list[DueDelivery]:
        """Take deliveries that are due, to one channel or to all.

        One that is not answered within the lease is due again.
        """
        given = {"limit": limit, "lease_s": lease_s, "channel": channel}
        with self._database.connection() as connection:
            return rows_of(connection, DueDelivery, _SQL["take"], given)

    def delivered(self, due: DueDelivery) -> None:
        """Say that a delivery arrived."""
        self._end(due, "done", None)

    def give_up(self, due: DueDelivery, error: str) -> None:
        """Say that a delivery is not tried any more."""
        self._end(due, "failed", clean_text(error))

    def postpone(self, due: DueDelivery, error: str, retry_in_s: float) -> None:
        """Say that a delivery failed and when it is tried again."""
        given = {**due.model_dump(), "error": clean_text(error), "retry_in_s": retry_in_s}
        self._change(_SQL["postpone"], given)

    def due_elsewhere(self, channels: Sequence[str]) -> dict[str, int]:
        """Return the other channels for which something is due, and how many tries they ever had:
        a number that stands still where nobody takes anything."""
        with self._database.reading() as connection:
            rows = connection.execute(_SQL["due_elsewhere"], {"channels": list(channels)})
            return {channel: int(taken) for channel, taken in rows}

    def end_orphans(self, channel: str, taken: int, reason: str) -> int:
        """Give up what is due for a channel, unless anything of it was taken since; how many."""
        given = {"channel": channel, "taken": taken, "reason": clean_text(reason)}
        return self._change(_SQL["end_orphans"], given)

    def deliveries(self, state: DeliveryState | None = None, *, limit: int = 100) -> list[Delivery]:
        """Return deliveries, newest first."""
        return self._all(Delivery, _SQL["deliveries"], {"state": state, "limit": limit})

    def retry_failed(self) -> int:
        """Let everything that was given up be tried again; returns how many."""
        return self._change(_SQL["retry_failed"])

    def _end(self, due: DueDelivery, state: DeliveryState, error: str | None) -> None:
        given = {**due.model_dump(), "state": state, "error": error}
        self._change(_SQL["end_delivery"], given)


def add_event(
    connection: psycopg.Connection[Any],
    kind: str,
    subject: str,
    document: Mapping[str, Any],
    once_key: str | None = None,
    account: str | None = None,
) -> int | None:
    """Write an event in the caller's transaction; None when there is one with this `once_key`.

    With an account it and admins alone read it.
    """
    given = {
        "kind": kind,
        "subject": clean_text(subject),
        "document": json.dumps(dict(document)),
        "once_key": once_key,
        "account": account,
        "trace_id": current().get("trace_id", ""),
    }
    return value_of(connection, _SQL["add"], given)


def _place(connection: psycopg.Connection[Any]) -> None:
    # The lock is a statement of its own: the next one sees what its last holder committed.
    connection.execute(_SQL["lock_feed"])
    connection.execute(_SQL["place"], {"limit": PLACED_MAX})


def _check_position(after: int, gone: int, last: int) -> None:
    if after > last:
        raise EventsGoneError(
            f"the feed has come to {last} and never was at {after}: the database was restored, or "
            "this is the position of another; begin at 0"
        )
    if 0 < after < gone:
        raise EventsGoneError(
            f"the events behind {after} are gone: the oldest that is kept comes behind {gone}; "
            "begin at 0, and read anew what you follow"
        )
