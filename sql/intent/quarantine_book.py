"""The quarantine: what could not be understood, of an ingest batch or of a run of an action.

The bytes are the store's. A row is open until a later reading understood it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from base.model import Document
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, value_of
from sql.core.statements import statements
from sql.intent.intent import INTEGER_MAX, Key, Text

WHOLE_FILE = -1

_SQL = statements("quarantine")


class QuarantineRow(Document):
    """A file, or one record of it, and why it was not understood.

    `path` is printable, `key` that of its file, `node_id` the input that it is about.
    """

    path: Text
    record_number: Annotated[int, Field(ge=WHOLE_FILE, le=INTEGER_MAX)] = WHOLE_FILE
    node_id: int | None = None
    reason: Text
    key: Key | None = None


class Quarantined(QuarantineRow):
    """A row as the database has it: of a batch, or of an event of an action and a part of it."""

    quarantine_id: int
    batch: str | None
    event_id: int | None
    action: str | None
    part: int
    store_batch: str | None
    quarantine_time: AwareDatetime
    replay_time: AwareDatetime | None


class QuarantineBook(Repository):
    """The quarantine of a database; every change may be made again after a crash."""

    def add_of_batch(
        self, batch: str, rows: Iterable[QuarantineRow], *, is_read: bool = False
    ) -> int:
        """Set aside what came with an ingest batch; returns how many rows are new.

        An open row gets the new reason, a closed one stays as it is; with `is_read` all are closed.
        """
        owner = {"batch": batch, "event_id": None, "part": 0, "store_batch": None}
        return self._add(rows, {**owner, "is_read": is_read})

    def add_of_event(
        self, event_id: int, part: int, rows: Iterable[QuarantineRow], store_batch: str | None
    ) -> int:
        """Set aside outputs of an action; returns how many rows are new. Closed ones stay so."""
        owner = {"batch": None, "event_id": event_id, "part": part, "store_batch": store_batch}
        return self._add(rows, {**owner, "is_read": False})

    def of_batches(
        self, batch: str | None = None, *, open_only: bool = True
    ) -> Iterator[Quarantined]:
        """Yield what came with ingest batches, by batch and path."""
        given = {"batch": batch, "event_id": None, "action": None, "of_actions": False}
        return self._stream(Quarantined, _SQL["rows"], {**given, "open_only": open_only})

    def newest(self, limit: int) -> list[Quarantined]:
        """Return what came last with ingest batches and is open, the newest first."""
        return self._all(Quarantined, _SQL["newest"], {"limit": limit})

    def of_actions(
        self, event_id: int | None = None, *, action: str | None = None, open_only: bool = True
    ) -> Iterator[Quarantined]:
        """Yield outputs of actions, by event, part and path."""
        given = {"batch": None, "event_id": event_id, "action": action, "of_actions": True}
        return self._stream(Quarantined, _SQL["rows"], {**given, "open_only": open_only})

    def close(self, quarantine_ids: Iterable[int]) -> int:
        """Close rows that a later reading understood; returns how many were open."""
        return self._change(_SQL["close"], [list(quarantine_ids)])

    def _add(self, rows: Iterable[QuarantineRow], given: dict[str, Any]) -> int:
        with self._database.connection() as connection:
            batch = given["batch"]
            given["batch_id"] = value_of(connection, _SQL["batch_id"], [batch])
            if batch is not None and given["batch_id"] is None:
                raise NotFoundError(f"there is no ingest batch {batch!r}")
            connection.execute(_SQL["make_rows"])
            statement = b"COPY given_row FROM STDIN (FORMAT binary)"
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(["text", "int4", "int8", "text", "bytea"])
                for row in rows:
                    key = None if row.key is None else bytes.fromhex(row.key)
                    copy.write_row((row.path, row.record_number, row.node_id, row.reason, key))
            marks = connection.execute(_SQL["add"], given, prepare=False).fetchall()
            connection.execute(_SQL["drop_rows"])
            return sum(is_new for (is_new,) in marks)
