"""Ingest batches: how far each is, its packages, and purges, which hide its nodes (UA_1).

Bookkeeping only: nodes and edges come by write-intents, and the files are the store's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal, cast

import psycopg
from psycopg.sql import SQL, Identifier
from pydantic import AwareDatetime

from base.errors import UsageError
from base.model import Document
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, row_of, rows_of
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.intent.intent import Count, Text

IngestState = Literal[
    "frozen", "stored", "described", "packed", "confirmed", "stopped", "purging", "purged"
]
PackageKind = Literal["batch", "generated", "database"]
KEYS_PER_FETCH = 20_000

_SQL = statements("ingest")
_PURGE = statements("purge")
_FORGET_RESULTS = SQL(
    "DELETE FROM {} AS result USING physical_content AS content,"
    " ingest_batch_node AS member, ingest_batch AS batch"
    " WHERE batch.name = %s AND member.ingest_batch_id = batch.ingest_batch_id"
    " AND content.node_id = member.node_id AND content.delete_reason IS NOT NULL"
    " AND result.node_id = content.node_id"
)
_FORGET_RESULTS_OF_KEYS = SQL(
    "DELETE FROM {} AS result USING physical_content AS content, node"
    " WHERE node.sha256 = ANY(%s) AND content.node_id = node.node_id"
    " AND content.delete_reason IS NOT NULL AND result.node_id = content.node_id"
)
SINGLE = "single contents"
"""Whose purge an event tells of, where it is of no batch."""
_KEY = re.compile(r"[0-9a-f]{64}")


class IngestBatch(Document):
    """One scraped folder on its way in."""

    name: str
    adapter: str
    user: str | None
    folder: str
    state: IngestState
    state_reason: str | None
    create_time: AwareDatetime
    update_time: AwareDatetime
    file_count: int
    size_bytes: int


ConfirmedBy = Literal["copy", "sums", "trust"]
"""The copy was read; a listing of its checksums was compared; somebody said so."""


class OutboxPackage(Document):
    """A package for cold storage; `confirm_time` is None while it waits for its copy.

    `batch` is the ingest batch; None for what actions and datasets made, and for the database.
    """

    package_id: str
    kind: PackageKind
    batch: str | None
    file_count: int
    size_bytes: int
    key: str
    create_time: AwareDatetime
    confirm_time: AwareDatetime | None
    confirmed_by: ConfirmedBy | None
    confirmed_copy: str | None
    """Where the copy or the listing of its checksums was; None on trust."""


class BatchCounts(Document):
    """What a batch brought, whoever else brought it too."""

    nodes: int
    edges: int
    """Edges between its nodes."""
    observations: int
    """Rows of common metadata of its nodes."""
    quarantined: int
    """Rows that still wait for a replay."""
    packages_waiting: int


class IngestBook(Repository):
    """Ingest batches and their packages; every change may be made again after a crash."""

    def open(
        self,
        name: Text,
        adapter: str,
        user: str | None,
        folder: str,
        file_count: Count = 0,
        size_bytes: Count = 0,
    ) -> IngestBatch:
        """Open a batch in state `frozen`, or return the one of this name with the state it has.

        Raises UsageError when that one came from another folder or was read by another adapter.
        """
        if not name:
            raise UsageError("a batch needs a name")
        self._change(_SQL["open"], [name, adapter, user, folder, file_count, size_bytes])
        batch = self.batch(name)
        if batch.state in ("purging", "purged"):
            raise UsageError(f"batch {name!r} was purged; take another name")
        if (batch.folder, batch.adapter) != (folder, adapter):
            raise UsageError(
                f"batch {name!r} is {batch.folder}, read by {batch.adapter}; take another name for "
                f"{folder} with {adapter}"
            )
        return batch

    def batch(self, name: str) -> IngestBatch:
        """Return one batch; NotFoundError when nobody opened it."""
        with self._database.reading() as connection:
            return _batch(connection, name)

    def batches(self) -> list[IngestBatch]:
        """Return all batches, oldest first."""
        return self._all(IngestBatch, _SQL["batches"], {"name": None})

    def counts(self, name: str) -> BatchCounts:
        """Count what a batch brought and what is left to do."""
        found = self._first(BatchCounts, _SQL["counts"], [name])
        if found is None:
            raise NotFoundError(f"there is no ingest batch {name!r}")
        return found

    def set_state(self, name: str, state: IngestState, reason: str | None = None) -> None:
        """Say how far a batch is; `reason` says why it stopped and is None otherwise."""
        with self._database.connection() as connection:
            _set_state(connection, name, state, reason)

    # ---- Purges ----------------------------------------------------------------------------------

    def begin_purge(self, name: str) -> int:
        """Hide the nodes that a batch brought, before the store deletes; returns how many.

        What other batches brought too is hidden as well, until it is known that its bytes stay. A
        crash leaves the batch `purging`: nothing that might be gone is shown, and the same again
        goes on.
        """
        with self._database.connection() as connection:
            state = _batch(connection, name).state
            if state != "purging":
                # What it was before, should the store refuse.
                _set_state(connection, name, "purging", state)
            count = connection.execute(_PURGE["hide"], [name]).rowcount
            _tell_hidden(connection, "node.deleted", name, count)
            return count

    def finish_purge(self, name: str, kept: Callable[[list[str]], Collection[str]]) -> int:
        """End a purge: show what is `kept`, forget results and thumbnails of the others.

        Returns how many lost their bytes. `kept` is asked for some thousand keys at a time which of
        them the store has still.
        """
        gone = self.show_kept(name, kept)
        with self._database.connection() as connection:
            for (table,) in connection.execute(_PURGE["result_tables"]).fetchall():
                connection.execute(_FORGET_RESULTS.format(Identifier(table)), [name])
            connection.execute(_PURGE["forget_thumbnails"], [name])
            _set_state(connection, name, "purged")
        return gone

    def begin_purge_of_keys(self, keys: Sequence[str]) -> int:
        """Hide the nodes of single contents, before the store deletes these; returns how many.

        A crash leaves them hidden as purged, so that nobody counts on what might be gone, and the
        same again goes on.
        """
        with self._database.connection() as connection:
            count = connection.execute(_PURGE["hide_keys"], [_bytes_of(keys)]).rowcount
            _tell_hidden(connection, "node.deleted", None, count)
            return count

    def finish_purge_of_keys(
        self, keys: Sequence[str], kept: Callable[[list[str]], Collection[str]]
    ) -> int:
        """End a purge of single contents: as `finish_purge`. Returns how many nodes have none."""
        still = kept(list(keys))
        self._show(None, still)
        gone = [key for key in keys if key not in still]
        with self._database.connection() as connection:
            for (table,) in connection.execute(_PURGE["result_tables"]).fetchall():
                statement = _FORGET_RESULTS_OF_KEYS.format(Identifier(table))
                connection.execute(statement, [_bytes_of(gone)])
            connection.execute(_PURGE["forget_thumbnails_of_keys"], [_bytes_of(gone)])
            query = (
                "SELECT count(*) FROM node JOIN physical_content USING (node_id)"
                " WHERE sha256 = ANY(%s) AND delete_reason IS NOT NULL"
            )
            row = connection.execute(query, [_bytes_of(gone)]).fetchone()
        return row[0] if row is not None else 0

    def pictures_of(self, keys: Sequence[str]) -> list[str]:
        """Return the keys of the small pictures that were made of these contents, and no others."""
        with self._database.reading() as connection:
            given = {"keys": _bytes_of(keys)}
            return [key for (key,) in connection.execute(_PURGE["pictures_of"], given).fetchall()]

    def named_by(self, keys: Sequence[str]) -> list[tuple[str, int]]:
        """Return what knows single contents, and how many of them: nodes, datasets and so on."""
        with self._database.reading() as connection:
            return connection.execute(_PURGE["named_by"], [_bytes_of(keys)]).fetchall()

    def hidden_keys(self) -> list[str]:
        """Return the keys of what is hidden as purged, of batches that are not purged as a whole.

        Not all of it was purged: what such a batch shares with one that is being purged is hidden
        too. The store knows what was.
        """
        with self._database.reading() as connection:
            return [key for (key,) in connection.execute(_PURGE["hidden_keys"]).fetchall()]

    def purged_count(self) -> int:
        """Return how many nodes have no bytes any more, since these were purged."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*) FROM physical_content WHERE delete_reason IS NOT NULL"
            ).fetchone()
        return row[0] if row is not None else 0

    def give_up_purge(self, name: str, kept: Callable[[list[str]], Collection[str]]) -> None:
        """Show what a purge hid that the store refused, and let the batch be what it was."""
        self.show_kept(name, kept)
        with self._database.connection() as connection:
            batch = _batch(connection, name)
            if batch.state == "purging" and batch.state_reason:
                _set_state(connection, name, cast(IngestState, batch.state_reason))

    def show_kept(self, name: str, kept: Callable[[list[str]], Collection[str]]) -> int:
        """Show nodes of a batch that were hidden for a purge and are `kept`; returns the others."""
        gone = 0
        with self._database.reading() as reading, reading.cursor("hidden_keys") as cursor:
            cursor.execute(_PURGE["hidden"], [name])
            # From one snapshot: those that are shown again meanwhile come all the same.
            while keys := [key for (key,) in cursor.fetchmany(KEYS_PER_FETCH)]:
                still = kept(keys)
                gone += len(keys) - len(still)
                self._show(name, still)
        return gone

    def _show(self, name: str | None, keys: Collection[str]) -> None:
        with self._database.connection() as connection:
            count = connection.execute(_PURGE["show"], [_bytes_of(keys)]).rowcount
            _tell_hidden(connection, "node.restored", name, count)

    # ---- Packages --------------------------------------------------------------------------------

    def add_package(
        self, package_id: str, batch: str, file_count: int, size_bytes: int, key: str
    ) -> None:
        """Register a package, whose file's sha256 is `key`; UsageError when the id has others."""
        if not _KEY.fullmatch(key):
            raise UsageError(f"package {package_id}: {key!r} is no key of 64 hexadecimal digits")
        with self._database.connection() as connection:
            _batch(connection, batch)
            given = (package_id, file_count, size_bytes, bytes.fromhex(key), batch)
            connection.execute(_SQL["add_package"], given)
            (known,) = _packages(connection, package_id=package_id)
            if (known.batch, known.size_bytes, known.key) != (batch, size_bytes, key):
                raise UsageError(
                    f"package {package_id} of batch {known.batch} is known with other bytes "
                    f"({known.key}); take another id"
                )

    def packages(
        self, batch: str | None = None, *, waiting_only: bool = True
    ) -> list[OutboxPackage]:
        """Return the packages, oldest first: those that wait for their copy, or all."""
        with self._database.reading() as connection:
            return _packages(connection, name=batch, waiting_only=waiting_only)

    def confirm_package(
        self,
        package_id: str,
        copy: str | None,
        by: ConfirmedBy = "copy",
        *,
        is_event: bool = True,
    ) -> OutboxPackage:
        """Record that a copy exists, and how that is known; the time of the first one stays.

        It is no event where it lies there for long, as for a store that is made again.
        """
        with self._database.connection() as connection:
            if not connection.execute(_SQL["confirm"], [by, copy, package_id]).rowcount:
                raise NotFoundError(
                    f"there is no package {package_id!r}; see `drystone outbox list`"
                )
            found = _packages(connection, package_id=package_id)[0]
            if is_event:
                _tell_confirmed(connection, found)
            return found


def _tell_confirmed(connection: psycopg.Connection[Any], package: OutboxPackage) -> None:
    subject = f"batch {package.batch}" if package.batch else f"package {package.package_id}"
    document = {
        "tier": "cold", "package": package.package_id, "batch": package.batch,
        "files": package.file_count, "size_bytes": package.size_bytes,
        "confirmed_by": package.confirmed_by,
    }  # fmt: skip
    # It may be confirmed again, by another copy.
    once_key = f"package confirmed {package.package_id}"[:1_000]
    add_event(connection, "tier.moved", subject, document, once_key)


def _bytes_of(keys: Collection[str]) -> list[bytes]:
    return [bytes.fromhex(key) for key in keys]


def _tell_hidden(
    connection: psycopg.Connection[Any], kind: str, batch: str | None, count: int
) -> None:
    if count:
        subject = SINGLE if batch is None else f"batch {batch}"
        document = {"batch": batch, "nodes": count, "by": "purge"}
        add_event(connection, kind, subject, document)


def _batch(connection: psycopg.Connection[Any], name: str) -> IngestBatch:
    found = row_of(connection, IngestBatch, _SQL["batches"], {"name": name})
    if found is None:
        raise NotFoundError(f"there is no ingest batch {name!r}; see `drystone ingest status`")
    return found


def _set_state(
    connection: psycopg.Connection[Any], name: str, state: IngestState, reason: str | None = None
) -> None:
    try:
        row = connection.execute(_SQL["set_state"], [state, reason, name]).fetchone()
    except psycopg.errors.CheckViolation as error:
        raise UsageError(f"there is no state {state!r}") from error
    if row is None:
        raise NotFoundError(f"there is no ingest batch {name!r}")
    if state in ("stored", "described"):
        former, files, size_bytes = row
        if former != state:
            document = {"batch": name, "files": files, "size_bytes": size_bytes}
            # The store has acknowledged before; whoever goes on after a crash says so again.
            once_key = f"batch stored {name}"[:1_000] if state == "stored" else None
            add_event(connection, f"batch.{state}", f"batch {name}", document, once_key)


def _packages(
    connection: psycopg.Connection[Any],
    package_id: str | None = None,
    name: str | None = None,
    waiting_only: bool = False,
) -> list[OutboxPackage]:
    given = {"package_id": package_id, "name": name, "waiting_only": waiting_only}
    return rows_of(connection, OutboxPackage, _SQL["packages"], given)
