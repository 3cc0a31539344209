"""The state of ingest batches: it owns how far each is, its quarantine and its packages (UA_1).

Bookkeeping only: nodes and edges come by write-intents, and the files are the store's. Every
function may be called again after a crash and then changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import psycopg
from psycopg.rows import args_row
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from base.errors import UsageError
from sql.core.errors import NotFoundError
from sql.core.statements import statements
from sql.intent.intent import INTEGER_MAX, Count, Key, Text

IngestState = Literal[
    "frozen", "stored", "described", "packed", "confirmed", "stopped", "purging", "purged"
]
PackageKind = Literal["batch", "generated", "database"]
WHOLE_FILE = -1
ROWS_PER_FETCH = 2_000

_SQL = statements("ingest")
_KEY = re.compile(r"[0-9a-f]{64}")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestBatch(_Document):
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


class QuarantineRow(_Document):
    """What could not be understood: a file, or one record of it, and why."""

    path: Text
    record_number: Annotated[int, Field(ge=WHOLE_FILE, le=INTEGER_MAX)] = WHOLE_FILE
    reason: Text
    key: Key | None = None


class Quarantined(QuarantineRow):
    """A row of the quarantine as the database has it."""

    batch: str
    quarantine_time: AwareDatetime
    replayed_time: AwareDatetime | None


ConfirmedBy = Literal["copy", "sums", "trust"]
"""The copy was read; a listing of its checksums was compared; somebody said so."""


class OutboxPackage(_Document):
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


class ArchiveRow(_Document):
    """Where the bytes of a node lie in a package."""

    key: str
    size_bytes: int
    filepath: str


class BatchCounts(_Document):
    """What a batch brought, whoever else brought it too."""

    nodes: int
    edges: int
    """Edges between its nodes."""
    observations: int
    """Rows of common metadata of its nodes."""
    quarantined: int
    """Rows that still wait for a replay."""
    packages_waiting: int


def open_ingest_batch(
    connection: psycopg.Connection[Any],
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
    given = (name, adapter, user, folder, file_count, size_bytes)
    connection.execute(_SQL["open"], given)
    batch = ingest_batch(connection, name)
    if batch.state in ("purging", "purged"):
        raise UsageError(f"batch {name!r} was purged; take another name")
    if (batch.folder, batch.adapter) != (folder, adapter):
        raise UsageError(
            f"batch {name!r} is {batch.folder}, read by {batch.adapter}; take another name for "
            f"{folder} with {adapter}"
        )
    return batch


def ingest_batch(connection: psycopg.Connection[Any], name: str) -> IngestBatch:
    """Return one batch; NotFoundError when nobody opened it."""
    found = _batches(connection, name)
    if not found:
        raise NotFoundError(f"there is no ingest batch {name!r}; see `drystone ingest status`")
    return found[0]


def ingest_batches(connection: psycopg.Connection[Any]) -> list[IngestBatch]:
    """Return all batches, oldest first."""
    return _batches(connection, None)


def _batches(connection: psycopg.Connection[Any], name: str | None) -> list[IngestBatch]:
    rows = connection.execute(_SQL["batches"], {"name": name}).fetchall()
    fields = tuple(IngestBatch.model_fields)
    return [IngestBatch.model_validate(dict(zip(fields, row, strict=True))) for row in rows]


def set_ingest_state(
    connection: psycopg.Connection[Any], name: str, state: IngestState, reason: str | None = None
) -> None:
    """Say how far a batch is; `reason` says why it stopped and is None otherwise."""
    try:
        changed = connection.execute(_SQL["set_state"], [state, reason, name]).rowcount
    except psycopg.errors.CheckViolation as error:
        raise UsageError(f"there is no state {state!r}") from error
    if not changed:
        raise NotFoundError(f"there is no ingest batch {name!r}")


def add_quarantine(
    connection: psycopg.Connection[Any], name: str, rows: Iterable[QuarantineRow]
) -> int:
    """Set rows aside and return how many are new; a known one gets the new reason, and is open."""
    ingest_batch(connection, name)
    _stage(connection, ((row.path, row.record_number, row.reason, row.key) for row in rows))
    marks = connection.execute(_SQL["add_quarantine"], [name], prepare=False).fetchall()
    connection.execute(_SQL["drop_rows"])
    return sum(mark[0] for mark in marks)


def mark_replayed(
    connection: psycopg.Connection[Any], name: str, rows: Iterable[tuple[str, int]]
) -> int:
    """Close the rows (path, record_number) that a later reading understood; returns how many."""
    ingest_batch(connection, name)
    _stage(connection, ((path, number, None, None) for path, number in rows))
    count = connection.execute(_SQL["mark_replayed"], [name], prepare=False).rowcount
    connection.execute(_SQL["drop_rows"])
    return count


def _stage(
    connection: psycopg.Connection[Any], rows: Iterable[tuple[str, int, str | None, str | None]]
) -> None:
    connection.execute(_SQL["make_rows"])
    statement = b"COPY given_row FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["text", "int4", "text", "bytea"])
        for path, number, reason, key in rows:
            copy.write_row((path, number, reason, None if key is None else bytes.fromhex(key)))


def quarantined(
    connection: psycopg.Connection[Any], name: str | None = None, *, open_only: bool = True
) -> Iterator[Quarantined]:
    """Yield what was set aside, of one batch or of all, by batch and path."""

    def made(
        batch: str, path: str, number: int, reason: str, key: str | None, set_aside: Any, done: Any
    ) -> Quarantined:
        return Quarantined(
            batch=batch,
            path=path,
            record_number=number,
            reason=reason,
            key=key,
            quarantine_time=set_aside,
            replayed_time=done,
        )

    with connection.cursor(name="quarantined", row_factory=args_row(made)) as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(_SQL["quarantined"], {"name": name, "open_only": open_only})
        yield from cursor


def add_outbox_package(
    connection: psycopg.Connection[Any],
    package_id: str,
    batch: str,
    file_count: int,
    size_bytes: int,
    key: str,
) -> None:
    """Register a package, whose file's sha256 is `key`; UsageError when the id has other bytes."""
    ingest_batch(connection, batch)
    if not _KEY.fullmatch(key):
        raise UsageError(f"package {package_id}: {key!r} is no key of 64 hexadecimal digits")
    given = (package_id, file_count, size_bytes, bytes.fromhex(key), batch)
    connection.execute(_SQL["add_package"], given)
    (known,) = _packages(connection, package_id=package_id)
    if (known.batch, known.size_bytes, known.key) != (batch, size_bytes, key):
        raise UsageError(
            f"package {package_id} of batch {known.batch} is known with other bytes ({known.key}); "
            "take another id"
        )


def outbox_packages(
    connection: psycopg.Connection[Any], batch: str | None = None, *, waiting_only: bool = True
) -> list[OutboxPackage]:
    """Return the packages, oldest first: those that wait for their copy, or all."""
    return _packages(connection, name=batch, waiting_only=waiting_only)


def confirm_outbox_package(
    connection: psycopg.Connection[Any],
    package_id: str,
    copy: str | None,
    by: ConfirmedBy = "copy",
) -> OutboxPackage:
    """Record that a copy exists, and how that is known; the time of the first one stays."""
    if not connection.execute(_SQL["confirm"], [by, copy, package_id]).rowcount:
        raise NotFoundError(f"there is no package {package_id!r}; see `drystone outbox list`")
    return _packages(connection, package_id=package_id)[0]


def _packages(
    connection: psycopg.Connection[Any],
    package_id: str | None = None,
    name: str | None = None,
    waiting_only: bool = False,
) -> list[OutboxPackage]:
    given = {"package_id": package_id, "name": name, "waiting_only": waiting_only}
    rows = connection.execute(_SQL["packages"], given).fetchall()
    fields = tuple(OutboxPackage.model_fields)
    return [OutboxPackage.model_validate(dict(zip(fields, row, strict=True))) for row in rows]


def archive_rows(connection: psycopg.Connection[Any], package_id: str) -> Iterator[ArchiveRow]:
    """Yield what lies in a package, by path; their `filepath` is PACKAGE:PATH."""

    def made(key: str, size_bytes: int, filepath: str) -> ArchiveRow:
        return ArchiveRow(key=key, size_bytes=size_bytes, filepath=filepath)

    with connection.cursor(name="archive_rows", row_factory=args_row(made)) as cursor:
        cursor.itersize = ROWS_PER_FETCH
        cursor.execute(_SQL["archive_rows"], [package_id + ":"])
        yield from cursor


def batch_counts(connection: psycopg.Connection[Any], name: str) -> BatchCounts:
    """Count what a batch brought and what is left to do."""
    row = connection.execute(_SQL["counts"], [name]).fetchone()
    if row is None:
        raise NotFoundError(f"there is no ingest batch {name!r}")
    return BatchCounts.model_validate(dict(zip(BatchCounts.model_fields, row, strict=True)))
