"""`drystone db backup | backups | restore`: it owns how backups are asked for and shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE
from base.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from sql.backup.make import Method
    from sql.backup.restore_database import Restored
    from sql.copies.listing import Backup
    from sql.copies.report import BackupReport

app = typer.Typer()
METHODS = ("auto", "logical", "pgbackrest")


@app.command(epilog=EXIT_CODES)
def backup(
    method: Annotated[
        str, typer.Option(help="auto, logical or pgbackrest.", metavar="METHOD")
    ] = "auto",
    unless_within_h: Annotated[
        float | None,
        typer.Option(min=0, metavar="H", help="Nothing to do when a good one is younger."),
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Back the database up to two disks, restore it into a scratch server, and compare.

    auto is pgBackRest where a stanza is configured, else logical; the former has a logical export
    too. A good one becomes a package for cold storage, without passwords and tokens. A failed check
    ends with 1, fewer than two copies or a package that could not be made with 3; both run
    alert_command.
    """
    from base.config import find_config
    from base.output import say, write_json
    from sql.backup.backup import make_backup
    from sql.backup.partner import backup_partner

    path = find_config(config)
    recent = None if unless_within_h is None else _good_within(path, unless_within_h)
    if recent is not None:
        say(f"{recent} is good and younger than {unless_within_h:g} hours")
        if json_output:
            write_json({"name": recent, "state": "recent"})
        return
    partner = backup_partner()
    report = make_backup(
        path,
        _method(method),
        check_sample=partner.sample_check(path) if partner else None,
        package=partner.packager(path) if partner else None,
        say=say,
    )
    show_report(report, json_output=json_output)


def _good_within(path: str, hours: float) -> str | None:
    """Return the name of the newest good backup, if it is younger than that."""
    from sql.backup.backup import list_backups
    from sql.core.config import load_config

    earliest = datetime.now(UTC) - timedelta(hours=hours)
    backups = list_backups(load_config(path))
    good = [one for one in backups if one.good and one.facts.start_time >= earliest]
    return good[-1].name if good else None


def show_report(report: BackupReport, *, json_output: bool) -> None:
    """Write a report and end with its exit code."""
    from base.output import say, write_json, write_line
    from base.text import size_text

    if json_output:
        write_json(report)
    else:
        seconds = (report.end_time - report.start_time).total_seconds()
        write_line(f"{report.name}  {report.kind}  {report.state}  {seconds:.1f} s")
        for copy in report.copies:
            write_line(f"copy      {copy}  {size_text(report.size_bytes)}")
        if report.check:
            check = report.check
            write_line(
                f"check     {' and '.join(check.restored) or 'nothing'} restored: {check.tables} "
                f"tables, {check.rows:,} rows, {check.constraints} constraints, "
                f"{check.sample_compared or 0} files compared with the store"
            )
        for name in report.packages:
            write_line(f"package   {name}  (`drystone outbox list`)")
        for name in report.removed:
            write_line(f"removed   {name}")
    for line in report.warnings:
        say(f"warning: {line}")
    for line in report.problems:
        say(f"problem: {line}")
    if report.state != "ok":
        raise typer.Exit(EXIT_FAILED if report.state == "failed" else EXIT_INCOMPLETE)


@app.command(epilog=EXIT_CODES)
def backups(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the backups on the disks that are there now; works without a database."""
    from base.config import find_config
    from base.output import write_json, write_table
    from sql.backup.backup import list_backups
    from sql.core.config import load_config

    found = [_listed(one) for one in list_backups(load_config(find_config(config)))]
    if json_output:
        write_json(found)
        return
    write_table(
        ("backup", "kind", ">age", ">size", ">copies", "check"),
        [
            (
                one["name"],
                one["kind"],
                _age(one["age_s"]),
                _size(one["size_bytes"]),
                str(len(one["copies"])),
                one["check"],
            )
            for one in found
        ],
    )


@app.command(epilog=EXIT_CODES)
def restore(
    name: Annotated[str, typer.Argument(metavar="BACKUP", help="Its name, or `latest`.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="DSN", help="Into a new database there.")
    ] = None,
    to_folder: Annotated[
        str | None, typer.Option("--to-folder", metavar="FOLDER", help="Into a new data folder.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of the embedded database.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Cut off whoever is connected.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only verify, and tell which copy it would be.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Restore a backup: into a new database, a new data folder, or in place of the live one.

    --replace keeps the former data folder beside the new one. A damaged copy is found by its sums,
    and another one is used.
    """
    from base.errors import UsageError
    from base.output import say, write_json, write_line
    from sql.backup import restore_database

    if sum((to is not None, to_folder is not None, replace)) != 1:
        raise UsageError("say where to: one of --to DSN, --to-folder FOLDER, --replace")
    if dry_run:
        found, copy = restore_database.describe(config, name, say)
        answer = {"name": found.name, "copy": copy, "dry_run": True}
        write_json(answer) if json_output else write_line(f"{found.name} would come from {copy}")
        return
    if to is not None:
        done = restore_database.restore_to_database(config, name, to, say)
    elif to_folder is not None:
        done = restore_database.restore_to_folder(config, name, to_folder, say)
    else:
        done = restore_database.restore_in_place(config, name, say, cut_off=yes)
    _show_restored(done, json_output=json_output)


def _show_restored(done: Restored, *, json_output: bool) -> None:
    from dataclasses import asdict

    from base.output import write_json, write_line

    if json_output:
        write_json(asdict(done))
        return
    write_line(f"{done.name} ({done.source}) is in {done.target}")
    write_line(f"{done.tables} tables, {done.rows:,} rows, as they were backed up")
    if done.aside:
        write_line(f"the former data lie in {done.aside}; remove them when you are sure")


def _method(text: str) -> Method:
    from base.errors import UsageError
    from base.output import say

    if text == "base":
        say("base backups are not made any more: this one is a logical export")
        return "logical"
    for method in METHODS:
        if text == method:
            return method  # pyright: ignore[reportReturnType]
    raise UsageError(f"there is no method {text}; it is one of {', '.join(METHODS)}")


def _listed(one: Backup) -> dict[str, Any]:
    check = "never finished"
    if one.report:
        check = "ok" if one.good else f"failed: {(one.report.problems or ('?',))[0]}"
    return {
        "name": one.name,
        "kind": one.facts.kind,
        "age_s": (datetime.now(UTC) - one.facts.start_time).total_seconds(),
        "size_bytes": sum(one.facts.sizes_bytes.values()),
        "copies": list(one.copies),
        "check": check,
    }


def _age(age_s: float) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * length_s:
            return f"{age_s / length_s:.0f} {unit}"
    return f"{age_s:.0f} s"


def _size(size_bytes: int) -> str:
    from base.text import size_text

    return size_text(size_bytes)
