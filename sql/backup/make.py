"""What goes into a backup: it owns the choice of the method and the contents of the first copy.

Every method has a logical export in it, which any later PostgreSQL can read. It makes nothing
durable and knows of one folder only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from sql.backup import pgbackrest as backup_pgbackrest
from sql.backup import programs as backup_programs
from sql.backup.data import LOGICAL
from sql.backup.snapshot import snapshot
from sql.copies import listing as backup_list
from sql.copies.files import size_of
from sql.copies.listing import Backup
from sql.copies.report import FACTS_NAME, BackupFacts, Kind, write_document
from sql.core import programs
from sql.core.config import DatabaseConfig
from sql.core.errors import BackupError
from sql.core.statements import statements

Method = Literal["auto", "logical", "pgbackrest"]
VERSION_MIN = 13


@dataclass(frozen=True, slots=True)
class Plan:
    """A backup that is about to begin."""

    name: str
    kind: Kind
    dsn: str
    start_time: datetime
    server_version: str
    server_version_number: int
    database_size_bytes: int
    system_identifier: str


def make_plan(
    config: DatabaseConfig,
    method: Method,
    dsn: str,
    connection: psycopg.Connection[Any],
    backups: Sequence[Backup],
) -> Plan:
    """Decide what kind of backup this becomes; UsageError or BackupError when none can be."""
    row = connection.execute(statements("backup")["server"]).fetchone()
    assert row is not None
    number, version, size_bytes, system = row
    _refuse_version(number // 10_000, version)
    chosen = _choose(config, method)
    start_time = datetime.now(UTC)
    return Plan(
        name=backup_list.new_name(chosen, start_time, backups),
        kind=chosen,
        dsn=dsn,
        start_time=start_time,
        server_version=version,
        server_version_number=number,
        database_size_bytes=size_bytes,
        system_identifier=system,
    )


def make_copy(
    config: DatabaseConfig,
    plan: Plan,
    folder: str,
    lock: int,
) -> BackupFacts:
    """Fill a folder with everything but its sums, and return the facts."""
    durations: dict[str, float] = {}
    sizes: dict[str, int] = {}
    label = ""
    counts_before: dict[str, int] | None = None
    begun = time.monotonic()
    if plan.kind == "pgbackrest":
        with snapshot(plan.dsn) as before:
            counts_before = before.counts
        label, sizes["pgbackrest"] = backup_pgbackrest.backup(config, plan.dsn, lock)
        durations["physical"] = round(time.monotonic() - begun, 3)
        begun = time.monotonic()
    logical = os.path.join(folder, LOGICAL)
    os.mkdir(logical, 0o700)
    with snapshot(plan.dsn) as moment:
        backup_programs.dump(plan.dsn, logical, moment.snapshot_id, lock)
    sizes[LOGICAL] = size_of(logical)
    durations[LOGICAL] = round(time.monotonic() - begun, 3)
    facts = BackupFacts(
        name=plan.name,
        store_id=config.store_id,
        kind=plan.kind,
        server_version=plan.server_version,
        server_version_number=plan.server_version_number,
        database_size_bytes=plan.database_size_bytes,
        start_time=plan.start_time,
        end_time=datetime.now(UTC),
        counts_before=moment.counts if counts_before is None else counts_before,
        counts=moment.counts,
        sizes_bytes=sizes,
        durations_s=durations,
        pgbackrest_label=label,
        system_identifier=plan.system_identifier,
    )
    write_document(os.path.join(folder, FACTS_NAME), facts)
    return facts


def _choose(config: DatabaseConfig, method: Method) -> Literal["logical", "pgbackrest"]:
    if method == "auto":
        system = not config.embedded and backup_pgbackrest.usable(config)
        return "pgbackrest" if system else "logical"
    if method == "pgbackrest":
        backup_pgbackrest.refuse_unusable(config)
    return method


def _refuse_version(major: int, version: str) -> None:
    if not VERSION_MIN <= major <= programs.MAJOR_VERSION:
        what = "the server" if major < VERSION_MIN else "Drystone"
        raise BackupError(
            f"the server is PostgreSQL {version}; backups work with {VERSION_MIN} to "
            f"{programs.MAJOR_VERSION}: update {what}"
        )
