"""`drystone db backup`: it owns the way of a backup from the lock to the report.

lock -> copies on two disks -> restore into a scratch server and compare -> report -> forget old
chains -> alert when something is wrong.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from base.config import find_config
from base.errors import DrystoneError
from sql.backup import check as backup_check
from sql.backup import data as backup_data
from sql.backup.alert import alert
from sql.backup.make import Method, make_plan
from sql.backup.partner import CheckSample, Packaged, Packager
from sql.backup.without_secrets import Export
from sql.backup.write import Written, write_backup
from sql.copies import files as backup_copies
from sql.copies import folders as backup_folders
from sql.copies import listing as backup_list
from sql.copies import unrestored
from sql.copies.folders import COPIES_WANTED
from sql.copies.listing import Backup
from sql.copies.report import REPORT_NAME, BackupCheck, BackupReport, State, record, write_document
from sql.core.config import DatabaseConfig, load_config
from sql.core.errors import BackupError, SqlError
from sql.core.statements import statements
from sql.database.database import Database, dsn_of

NOTHING_PACKAGED = Packaged()
NOT_COMPARED = "a sample of files was not compared with the store"

Say = Callable[[str], None]


def make_backup(
    config_path: str | None = None,
    method: Method = "auto",
    *,
    check_sample: CheckSample | None = None,
    package: Packager | None = None,
    say: Say = lambda _: None,
) -> BackupReport:
    """Back the database of a store up, check it, and return the report.

    `check_sample` gets keys (64 hexadecimal digits) of files that the restored database knows, and
    returns one line for each that the store lacks. `package` makes packages for cold storage of a
    good one. A backup that could not be made, or whose check found something, is `failed`; one with
    fewer than two copies, or not all packages, is `incomplete`: both run `alert_command`. Raises
    UsageError for a method that cannot be, BackupError for a server that is not supported or when
    another backup is at work, and DatabaseUnavailableError.
    """
    path = find_config(config_path)
    config = load_config(path)
    try:
        report = _make(path, config, method, _Asked(check_sample, package, say))
    except (SqlError, OSError) as error:
        # Nobody to write it into: then the alert is all that is left of it.
        wrong = alert(config.alert_command, _unbegun(config, error))
        if wrong:
            say(f"warning: {wrong}")
        if isinstance(error, OSError):
            raise BackupError(f"no backup was begun: {error}") from error
        raise
    wrong = "" if report.state == "ok" else alert(config.alert_command, report)
    if wrong:
        return report.model_copy(update={"warnings": (*report.warnings, wrong)})
    return report


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who takes part in a backup."""

    check_sample: CheckSample | None
    package: Packager | None
    say: Say


def _make(path: str, config: DatabaseConfig, method: Method, asked: _Asked) -> BackupReport:
    say = asked.say
    with backup_folders.only_one(config) as lock, Database.open(path, say) as database:
        _clean(config)
        backups = list_backups(config)
        with database.connection() as connection:
            plan = make_plan(config, method, dsn_of(config, say), connection, backups)
            servers = {server for (server,) in connection.execute(statements("backup")["servers"])}
        report = _run(config, Written(plan), servers, lock, asked)
        return _recorded(database, report)


def _recorded(database: Database, report: BackupReport) -> BackupReport:
    """Keep the report in the database; one that cannot be kept is not all that a backup should be.

    It lies beside the copies all the same.
    """
    try:
        with database.connection() as connection:
            record(connection, report)
    except SqlError as error:
        warnings = (*report.warnings, f"the database does not have this report: {error}")
        state = "failed" if report.state == "failed" else "incomplete"
        return report.model_copy(update={"state": state, "warnings": warnings})
    return report


def list_backups(config: DatabaseConfig) -> list[Backup]:
    """Return the backups on the disks that are there now, oldest first."""
    return backup_list.list_backups(backup_folders.readable_folders(config), config.store_id)


def _run(
    config: DatabaseConfig,
    written: Written,
    servers: set[str],
    lock: int,
    asked: _Asked,
) -> BackupReport:
    packaged = NOTHING_PACKAGED

    def take(export: Export) -> None:
        nonlocal packaged
        if asked.package is not None:
            packaged = asked.package(export, asked.say)

    try:
        write_backup(config, written, lock, asked.say)
    except (DrystoneError, OSError) as error:
        return _finish(config, written, None, [f"no backup was made: {error}"])
    assert written.facts is not None
    made = Backup(written.facts, tuple(written.copies), None)
    try:
        check = backup_check.check_backup(
            config, written.plan.dsn, made, lock, asked.check_sample, asked.say, take
        )
    except (DrystoneError, OSError) as error:
        return _finish(config, written, None, [f"the check could not be run: {error}"])
    if check.sample_compared is None:
        written.warnings.append(NOT_COMPARED)
    unrestored_warning = unrestored.warning(config) if config.embedded else ""
    if unrestored_warning:
        written.warnings.append(unrestored_warning)
    told = (*packaged.problems, *packaged.warnings)
    written.warnings += [f"cold storage: {line}" for line in told]
    report = _finish(config, written, check, check.problems, packaged)
    if report.state == "failed":
        return report
    removed = _forget(config, {made.facts.system_identifier, *servers}, written.warnings)
    return report.model_copy(update={"removed": removed, "warnings": tuple(written.warnings)})


def _finish(
    config: DatabaseConfig,
    written: Written,
    check: BackupCheck | None,
    problems: Sequence[str],
    packaged: Packaged = NOTHING_PACKAGED,
) -> BackupReport:
    """Judge, and put the report beside every copy."""
    whole = len(written.copies) >= COPIES_WANTED and not packaged.problems
    state: State = "ok" if whole else "incomplete"
    report = BackupReport(
        name=written.plan.name,
        store_id=config.store_id,
        kind=written.facts.kind if written.facts else written.plan.kind,
        state="failed" if problems else state,
        start_time=written.plan.start_time,
        end_time=datetime.now(UTC),
        copies=tuple(written.copies),
        warnings=tuple(written.warnings),
        problems=tuple(problems),
        facts=written.facts,
        check=check,
        packages=packaged.packages,
    )
    for folder in written.copies:
        # A disk that died just now: the other copy and the database have the report.
        with contextlib.suppress(OSError):
            write_document(os.path.join(folder, REPORT_NAME), report)
    return report


def _unbegun(config: DatabaseConfig, error: SqlError | OSError) -> BackupReport:
    now = datetime.now(UTC)
    return BackupReport(
        name="",
        store_id=config.store_id,
        kind="logical",
        state="failed",
        start_time=now,
        end_time=now,
        copies=(),
        warnings=(),
        problems=(f"no backup was begun: {error}",),
    )


def _forget(config: DatabaseConfig, servers: set[str], warnings: list[str]) -> tuple[str, ...]:
    removed: list[str] = []
    backups = list_backups(config)
    ours = backup_list.of_servers(backups, servers)
    others = [backup.name for backup in backups if backup not in ours]
    if others:
        warnings.append(
            f"of another database server, kept whatever backups_kept says: {', '.join(others)}; "
            "restore one, or remove their folders when nobody needs them"
        )
    for backup in backup_list.to_forget(ours, config.backups_kept):
        for folder in backup.copies:
            try:
                backup_copies.remove(folder)
            except OSError as error:
                warnings.append(f"{folder} was not removed: {error.strerror}")
        removed.append(backup.name)
    return tuple(removed)


def _clean(config: DatabaseConfig) -> None:
    """Remove what an interrupted backup left: its copies, and the server of its check."""
    for folder in backup_check.scratch_folders(config):
        backup_data.remove_scratch(folder)
    for folder in backup_folders.readable_folders(config):
        # A disk that cannot be written is told about by whoever chooses the targets.
        with contextlib.suppress(OSError):
            backup_copies.clean(folder)
