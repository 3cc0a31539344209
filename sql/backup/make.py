"""What goes into a backup: it owns the choice of the method and the contents of the first copy.

Every method has a logical export in it, which any later PostgreSQL can read. It makes nothing
durable and knows of one folder only.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg

from sql.backup import listing as backup_list
from sql.backup import pgbackrest as backup_pgbackrest
from sql.backup import programs as backup_programs
from sql.backup.copies import size_of
from sql.backup.data import BASE, LOGICAL
from sql.backup.listing import Backup
from sql.backup.report import FACTS_NAME, BackupFacts, Kind, write_document
from sql.backup.snapshot import snapshot
from sql.core import programs
from sql.core.config import DatabaseConfig
from sql.core.errors import BackupError, UsageError
from sql.core.statements import statements

Method = Literal["auto", "base", "logical", "pgbackrest"]
VERSION_MIN = 13
MANIFEST_NAME = "backup_manifest"


@dataclass(frozen=True, slots=True)
class Plan:
    """A backup that is about to begin; `manifests` are those it can be an increment of."""

    name: str
    kind: Kind
    chain: tuple[str, ...]
    manifests: tuple[str, ...]
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
    name = backup_list.new_name(chosen, start_time, backups)
    parent = None
    if chosen == "base":
        parent = _parent(config, connection, backups)
        kind: Kind = "incremental" if parent else "full"
    else:
        kind = chosen
    return Plan(
        name=name,
        kind=kind,
        chain=(*parent.facts.chain, name) if parent else (name,),
        manifests=_manifests(parent),
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
    warn: Callable[[str], None],
) -> BackupFacts:
    """Fill a folder with everything but its sums, and return the facts."""
    durations: dict[str, float] = {}
    sizes: dict[str, int] = {}
    kind, chain, label = plan.kind, plan.chain, ""
    counts_before: dict[str, int] | None = None
    begun = time.monotonic()
    if kind != "logical":
        with snapshot(plan.dsn) as before:
            counts_before = before.counts
        if kind == "pgbackrest":
            label, sizes["pgbackrest"] = backup_pgbackrest.backup(config, plan.dsn, lock)
        else:
            kind = _make_base(plan, os.path.join(folder, BASE), lock, warn)
            chain = chain if kind == "incremental" else (plan.name,)
            sizes[BASE] = size_of(os.path.join(folder, BASE))
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
        kind=kind,
        chain=chain,
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


def _make_base(plan: Plan, folder: str, lock: int, warn: Callable[[str], None]) -> Kind:
    label = f"drystone-{plan.name}"
    if plan.kind == "incremental":
        try:
            manifest = next(filter(os.path.exists, plan.manifests), "")
            backup_programs.base_backup(plan.dsn, folder, label, manifest, lock)
            return "incremental"
        except BackupError as error:
            # Mostly: the server no longer knows what changed since, because it was down for long or
            # was restored. A full one works then, and fails by itself if that was not the reason.
            warn(f"a full backup was made, because an incremental one did not work: {error}")
            shutil.rmtree(folder, ignore_errors=True)
    backup_programs.base_backup(plan.dsn, folder, label, "", lock)
    return "full"


def _choose(config: DatabaseConfig, method: Method) -> Literal["base", "logical", "pgbackrest"]:
    if method == "auto":
        if config.embedded:
            return "base"
        return "pgbackrest" if backup_pgbackrest.usable(config) else "logical"
    if method == "base" and not config.embedded:
        raise UsageError(
            "base backups are for the embedded server; the one at dsn gets `--method logical`, or "
            "pgbackrest when a stanza is configured"
        )
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


def _parent(
    config: DatabaseConfig, connection: psycopg.Connection[Any], backups: Sequence[Backup]
) -> Backup | None:
    """Return what an incremental backup can be built upon, or None for a full one."""
    row = connection.execute(statements("backup")["cluster"]).fetchone()
    last = connection.execute(statements("backup")["last_base"]).fetchone()
    assert row is not None
    summarizes, tablespaces = row
    if tablespaces:
        raise BackupError("the server has tablespaces of its own; use `--method logical`")
    if not summarizes or last is None or last[1] == "failed":
        return None
    known = {backup.name: backup for backup in backups}
    parent = known.get(last[0])
    if parent is None or len(parent.facts.chain) >= config.backups_full_every:
        return None
    return parent if all(name in known for name in parent.facts.chain) else None


def _manifests(parent: Backup | None) -> tuple[str, ...]:
    copies = parent.copies if parent else ()
    return tuple(os.path.join(copy, BASE, MANIFEST_NAME) for copy in copies)
