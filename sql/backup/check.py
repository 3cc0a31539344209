"""Whether a backup is worth anything: it owns restoring it into a scratch server and looking.

Rows of every table are compared with those counted when it was made, every foreign key and check is
proven anew, every index is built anew, and a sample of files is shown to whoever can ask the store.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from base.errors import DrystoneError
from sql.backup import data as backup_data
from sql.backup import pgbackrest as backup_pgbackrest
from sql.backup.partner import CheckSample
from sql.backup.snapshot import count_rows, differences
from sql.backup.without_secrets import Export
from sql.copies.listing import Backup
from sql.copies.report import BackupCheck
from sql.core.config import DatabaseConfig
from sql.core.connections import connect_once
from sql.core.statements import statements
from sql.server import server

SAMPLE_SIZE = 200
PGBACKREST = "pgBackRest"
LOGICAL_EXPORT = "logical export"
ROOM_FACTOR = 2
"""A scratch server holds the database, and what sorting for its indexes takes."""


@dataclass
class _Findings:
    restored: list[str] = field(default_factory=list[str])
    tables: int = 0
    rows: int = 0
    constraints: int = 0
    keys: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])


def scratch_folders(config: DatabaseConfig) -> list[str]:
    """Return where scratch servers can be: beside the data, or on the disks of the copies."""
    return [config.data + ".check"] + [
        os.path.join(folder, ".tmp-check") for folder in config.backup_folders
    ]


def scratch_folder(config: DatabaseConfig, size_bytes: int) -> str:
    """Return the first of them that has room to restore a database of this size."""
    found = scratch_folders(config)
    for folder in found:
        with contextlib.suppress(OSError):
            room = os.statvfs(os.path.dirname(folder))
            if room.f_bavail * room.f_frsize >= ROOM_FACTOR * size_bytes:
                return folder
    return found[0]


def check_backup(
    config: DatabaseConfig,
    dsn: str,
    backup: Backup,
    lock: int,
    check_sample: CheckSample | None,
    say: Callable[[str], None],
    take: Callable[[Export], None] = lambda _: None,
) -> BackupCheck:
    """Restore a backup of which all copies have just been verified; never raises what it found.

    `take` gets the restored database when nothing is wrong with it, and may change it.
    """
    begun = time.monotonic()
    found = _Findings()
    with backup_data.scratch(scratch_folder(config, backup.facts.database_size_bytes)) as place:
        if backup.facts.pgbackrest_label:
            _attempt(found, PGBACKREST, lambda: _check_pgbackrest(found, config, dsn, backup, lock))
        _attempt(found, LOGICAL_EXPORT, lambda: _check_logical(found, backup, place, lock, say))
        compared = None
        if check_sample is not None:
            missing = check_sample(found.keys)
            found.problems += [f"not in the store: {line}" for line in missing]
            compared = len(found.keys)
        if not found.problems:
            take(Export(server.dsn(place), backup.facts, lock))
    return BackupCheck(
        end_time=datetime.now(UTC),
        duration_s=round(time.monotonic() - begun, 3),
        restored=tuple(found.restored),
        tables=found.tables,
        rows=found.rows,
        constraints=found.constraints,
        sample=len(found.keys),
        sample_compared=compared,
        problems=tuple(found.problems),
    )


def _attempt(found: _Findings, what: str, step: Callable[[], None]) -> None:
    try:
        step()
        found.restored.append(what)
    except (DrystoneError, psycopg.Error, OSError) as error:
        found.problems.append(f"{what}: {error}")


def _check_pgbackrest(
    found: _Findings, config: DatabaseConfig, dsn: str, backup: Backup, lock: int
) -> None:
    facts = backup.facts
    with backup_pgbackrest.restored(config, dsn, facts.pgbackrest_label, lock) as scratch_dsn:
        _examine(found, PGBACKREST, scratch_dsn, facts.counts_before, facts.counts)


def _check_logical(
    found: _Findings, backup: Backup, place: server.Place, lock: int, say: Callable[[str], None]
) -> None:
    say(f"checking the logical export of {backup.name}")
    backup_data.make_logical(place, backup.copies[-1], lock, say)
    _examine(found, LOGICAL_EXPORT, server.dsn(place), backup.facts.counts, backup.facts.counts)


def _examine(
    found: _Findings, what: str, dsn: str, before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    """Compare, prove and sample one restored database."""
    with contextlib.closing(connect_once(dsn)) as connection:
        counts = count_rows(connection)
        found.problems += differences(what, counts, before, after)
        found.tables, found.rows = len(counts), sum(counts.values())
        keys = connection.execute(statements("backup")["sample"], [SAMPLE_SIZE]).fetchall()
        found.keys = [key for (key,) in keys]
        connection.rollback()
        connection.autocommit = True
        found.constraints = _prove_constraints(connection, what, found.problems)
        if what != LOGICAL_EXPORT:  # That one has just built all of its indexes.
            _prove_indexes(connection, what, found.problems)


def _prove_constraints(connection: psycopg.Connection[Any], what: str, problems: list[str]) -> int:
    """Prove every foreign key and check anew; returns how many."""
    rows = connection.execute(statements("backup")["constraints"]).fetchall()
    for table, name, statement in rows:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            problems.append(f"{what}: table {table}, constraint {name}: {_line(error)}")
    return len(rows)


def _prove_indexes(connection: psycopg.Connection[Any], what: str, problems: list[str]) -> None:
    """Build every index anew, which shows keys that are twice in a unique one."""
    for schema, table in connection.execute(statements("backup")["tables"]).fetchall():
        try:
            connection.execute(SQL("REINDEX TABLE {}").format(Identifier(schema, table)))
        except psycopg.Error as error:
            problems.append(f"{what}: table {table}: {_line(error)}")


def _line(error: psycopg.Error) -> str:
    return " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
