"""Events and their deliveries: it owns the outbox, and sends nothing.

An event is written in the transaction in which it happened. From events and the channels of the
configuration deliveries are planned; each is taken, tried, and done, postponed or given up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from pydantic import AwareDatetime, BaseModel, ConfigDict

from sql.core.statements import statements
from sql.runs.run_models import clean_text

if TYPE_CHECKING:
    from sql.core.transactions import Transactions

_SQL = statements("event")

DeliveryState = Literal["waiting", "done", "failed"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Document):
    """Something that happened."""

    event_id: int
    kind: str
    subject: str
    document: dict[str, Any]
    create_time: AwareDatetime


class DueDelivery(_Document):
    """An event to be brought to a channel now; `attempt` counts from 1 and fences the answer."""

    delivery_id: int
    channel: str
    attempt: int
    event: Event


class Delivery(_Document):
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


class EventBook:
    """The outbox of a database."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

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
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(_SQL["events"], given)]

    def plan(self, channels_of: Callable[[str], list[str]], limit: int = 1_000) -> int:
        """Make the deliveries of new events: `channels_of(kind)` names their channels."""
        with self._database.connection() as connection:
            found = connection.execute(_SQL["to_plan"], [limit]).fetchall()
            pairs = [(number, channel) for number, kind in found for channel in channels_of(kind)]
            if pairs:
                connection.execute(_SQL["plan"], [list(column) for column in zip(*pairs)])  # noqa: B905
            if found:
                connection.execute(_SQL["planned"], [[number for number, _ in found]])
            return len(pairs)

    def take(
        self, limit: int = 20, lease_s: float = 120.0, channel: str | None = None
    ) -> list[DueDelivery]:
        """Take deliveries that are due, to one channel or to all.

        One that is not answered within the lease is due again.
        """
        given = {"limit": limit, "lease_s": lease_s, "channel": channel}
        with self._database.connection() as connection:
            rows = connection.execute(_SQL["take"], given).fetchall()
        return [
            DueDelivery(delivery_id=row[0], channel=row[1], attempt=row[2], event=_event(row[3:]))
            for row in rows
        ]

    def delivered(self, due: DueDelivery) -> None:
        """Say that a delivery arrived."""
        self._end(due, "done", None)

    def give_up(self, due: DueDelivery, error: str) -> None:
        """Say that a delivery is not tried any more."""
        self._end(due, "failed", clean_text(error))

    def postpone(self, due: DueDelivery, error: str, retry_in_s: float) -> None:
        """Say that a delivery failed and when it is tried again."""
        given = {
            "delivery_id": due.delivery_id,
            "attempt": due.attempt,
            "error": clean_text(error),
            "retry_in_s": retry_in_s,
        }
        with self._database.connection() as connection:
            connection.execute(_SQL["postpone"], given)

    def due_elsewhere(self, channels: Sequence[str]) -> dict[str, int]:
        """Return the other channels for which something is due, and how many tries they ever had:
        a number that stands still where nobody takes anything."""
        with self._database.reading() as connection:
            rows = connection.execute(_SQL["due_elsewhere"], {"channels": list(channels)})
            return {channel: int(taken) for channel, taken in rows}

    def end_orphans(self, channel: str, taken: int, reason: str) -> int:
        """Give up what is due for a channel, unless anything of it was taken since; how many."""
        given = {"channel": channel, "taken": taken, "reason": clean_text(reason)}
        with self._database.connection() as connection:
            return connection.execute(_SQL["end_orphans"], given).rowcount

    def deliveries(self, state: DeliveryState | None = None, *, limit: int = 100) -> list[Delivery]:
        """Return deliveries, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(_SQL["deliveries"], {"state": state, "limit": limit})
            return [
                Delivery.model_validate(dict(zip(Delivery.model_fields, row, strict=True)))
                for row in rows
            ]

    def retry_failed(self) -> int:
        """Let everything that was given up be tried again; returns how many."""
        with self._database.connection() as connection:
            return connection.execute(_SQL["retry_failed"]).rowcount

    def _end(self, due: DueDelivery, state: DeliveryState, error: str | None) -> None:
        given = {
            "delivery_id": due.delivery_id,
            "attempt": due.attempt,
            "state": state,
            "error": error,
        }
        with self._database.connection() as connection:
            connection.execute(_SQL["end_delivery"], given)


def add_event(
    connection: psycopg.Connection[Any],
    kind: str,
    subject: str,
    document: Mapping[str, Any],
    once_key: str | None = None,
) -> int | None:
    """Write an event in the caller's transaction; None when there is one with this `once_key`."""
    given = {
        "kind": kind,
        "subject": clean_text(subject),
        "document": json.dumps(dict(document)),
        "once_key": once_key,
    }
    row = connection.execute(_SQL["add"], given).fetchone()
    return row[0] if row else None


def _event(row: tuple[Any, ...]) -> Event:
    return Event(
        event_id=row[0],
        kind=row[1],
        subject=row[2],
        document=json.loads(row[3]),
        create_time=row[4],
    )
