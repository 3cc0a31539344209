"""`drystone db backup`: it owns the order of a backup, from the lock to the report.

lock -> write the first copy -> sum it -> second copy -> fsync -> read both back -> rename -> restore
into a scratch server and compare -> report -> forget old chains. Until the rename nothing is listed;
whatever a crash leaves is called `.tmp-` and is removed by the next backup.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sql import backup_check, backup_copies, backup_data, backup_folders, backup_list
from sql.backup_alert import alert
from sql.backup_check import CheckSample
from sql.backup_folders import COPIES_WANTED, Target
from sql.backup_list import Backup
from sql.backup_make import Method, Plan, make_copy, make_plan
from sql.backup_report import (
    REPORT_NAME,
    BackupCheck,
    BackupFacts,
    BackupReport,
    Kind,
    State,
    record,
    write_document,
)
from sql.config import DatabaseConfig, find_config, load_config
from sql.database import Database, dsn_of
from sql.errors import BackupError, SqlError

FULL_BYTES = 1 << 20
"""A folder with less room than this after a failure was full, and another one is tried."""

Say = Callable[[str], None]


@dataclass
class _Work:
    """One backup on its way."""

    config: DatabaseConfig
    plan: Plan
    lock: int
    say: Say
    warnings: list[str] = field(default_factory=list[str])
    chosen: list[Target] = field(default_factory=list[Target])
    copies: list[str] = field(default_factory=list[str])
    facts: BackupFacts | None = None


def make_backup(
    config_path: str | None = None,
    method: Method = "auto",
    *,
    check_sample: CheckSample | None = None,
    say: Say = lambda _: None,
) -> BackupReport:
    """Back the database of a store up, check it, and return the report.

    `check_sample` gets keys (64 hexadecimal digits) of files that the restored database knows, and
    returns one line for each that the store lacks. A backup that could not be made, or whose check
    failed, is state `failed`; one with fewer than two copies is `incomplete`: both run
    `alert_command`. Raises UsageError for a method that cannot be, and DatabaseUnavailableError.
    """
    config = load_config(find_config(config_path))
    with backup_folders.only_one(config) as lock, Database.open(config_path, say) as database:
        _clean(config, say)
        backups = list_backups(config)
        plan = make_plan(config, method, dsn_of(config, say), database, backups)
        work = _Work(config, plan, lock, say)
        report = _report(work, backups, check_sample)
        with database.connection() as connection:
            record(connection, report)
    wrong = "" if report.state == "ok" else alert(config.alert_command, report)
    if wrong:
        report = report.model_copy(update={"warnings": (*report.warnings, wrong)})
    return report


def list_backups(config: DatabaseConfig) -> list[Backup]:
    """Return the backups on the disks that are there now, oldest first."""
    return backup_list.list_backups(backup_folders.readable_folders(config), config.store_id)


def _report(
    work: _Work, backups: Sequence[Backup], check_sample: CheckSample | None
) -> BackupReport:
    try:
        _write(work)
    except (SqlError, OSError) as error:
        _discard(work)
        return _finish(work, None, (f"no backup was made: {error}",), ())
    assert work.facts is not None
    made = Backup(work.facts, tuple(work.copies), None)
    size_bytes = work.facts.database_size_bytes
    others = [target.folder for target in work.chosen]
    scratch = backup_check.scratch_folder(work.config, size_bytes, others)
    try:
        check = backup_check.check_backup(
            [*backups, made], made, scratch, work.lock, check_sample, _both(work)
        )
    except (SqlError, OSError) as error:
        return _finish(work, None, (f"the check could not be run: {error}",), ())
    removed = _forget(work) if not check.problems else ()
    return _finish(work, check, check.problems, removed, backups, made)


def _write(work: _Work) -> None:
    """Make, copy, verify and publish; fewer than two copies are a warning."""
    targets, warnings = backup_folders.find_targets(work.config)
    work.warnings += warnings
    if not targets:
        raise BackupError(
            "no folder can take a copy: name some as backup_folders in [database] of drystone.toml"
            + "".join(f"\n  {line}" for line in warnings)
        )
    first = _write_first(work, targets)
    work.chosen.append(first)
    source = backup_copies.temporary_path(first.folder, work.plan.name)
    for target in targets:
        if len(work.chosen) == COPIES_WANTED:
            break
        if target is not first and _write_second(work, source, target):
            work.chosen.append(target)
    work.warnings += backup_folders.warnings_about(work.chosen)
    damage = backup_copies.damage_of(source)
    if damage:
        raise BackupError(f"{first.folder} does not keep what is written to it: {damage[0]}")
    for target in work.chosen:
        work.copies.append(backup_copies.publish(target.folder, work.plan.name))


def _write_first(work: _Work, targets: Sequence[Target]) -> Target:
    for number, target in enumerate(targets):
        folder = backup_copies.temporary_path(target.folder, work.plan.name)
        work.say(f"writing {folder}")
        try:
            os.mkdir(folder, 0o700)
            work.facts = make_copy(work.config, work.plan, folder, work.lock, work.warnings)
            backup_copies.seal(folder)
            backup_copies.sync_tree(folder)
            return target
        except (SqlError, OSError) as error:
            full = _is_full(target.folder)
            shutil.rmtree(folder, ignore_errors=True)
            if not full or number == len(targets) - 1:
                raise
            work.warnings.append(f"{target.folder} is full: {error}")
    raise AssertionError("there is at least one target")


def _write_second(work: _Work, source: str, target: Target) -> bool:
    folder = backup_copies.temporary_path(target.folder, work.plan.name)
    work.say(f"writing {folder}")
    try:
        backup_copies.copy(source, folder)
        backup_copies.sync_tree(folder)
        damage = backup_copies.damage_of(folder)
    except (OSError, shutil.Error) as error:
        damage = [str(error)]
    if damage:
        work.warnings.append(f"no copy in {target.folder}: {damage[0]}")
        shutil.rmtree(folder, ignore_errors=True)
    return not damage


def _finish(
    work: _Work,
    check: BackupCheck | None,
    problems: Sequence[str],
    removed: Sequence[str],
) -> BackupReport:
    """Judge, and put the report beside every copy."""
    if len(work.copies) < COPIES_WANTED and not problems:
        work.warnings.append(
            f"only {len(work.copies)} of {COPIES_WANTED} copies: one more dead disk and it is gone"
        )
    state: State = "failed" if problems else "ok"
    if state == "ok" and len(work.copies) < COPIES_WANTED:
        state = "incomplete"
    report = BackupReport(
        name=work.plan.name,
        store_id=work.config.store_id,
        kind=work.facts.kind if work.facts else work.plan.kind,
        state=state,
        start_time=work.plan.start_time,
        end_time=datetime.now(UTC),
        copies=tuple(work.copies),
        warnings=tuple(work.warnings),
        problems=tuple(problems),
        facts=work.facts,
        check=check,
        removed=tuple(removed),
    )
    for folder in work.copies:
        with contextlib.suppress(OSError):
            write_document(os.path.join(folder, REPORT_NAME), report)
    return report
