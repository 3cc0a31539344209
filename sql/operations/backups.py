"""Operations on backups of the database: made with their check, and listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from base.errors import EXIT_FAILED, EXIT_INCOMPLETE, UsageError
from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import say, write_json, write_line, write_table
from base.text import size_text
from sql.operations.place import Place, opened

if TYPE_CHECKING:
    from sql.backup.make import Method
    from sql.copies.report import BackupReport

__all__ = ["opened"]

METHODS = ("auto", "logical", "pgbackrest")


class BackupRequest(Document):
    """How a backup is made, and when it is needless."""

    method: Annotated[str, Field(description="auto, logical or pgbackrest.")] = "auto"
    unless_within_h: Annotated[
        float | None, Field(ge=0, description="Nothing to do when a good one is younger.")
    ] = None


class Recent(Document):
    """A good backup that is young enough."""

    name: str
    state: Literal["recent"] = "recent"


def _finish_backup(shell: Shell, report: BackupReport | Recent, asked: BackupRequest) -> int:
    if shell.is_json:
        write_json(report)
    if isinstance(report, Recent):
        say(f"{report.name} is good and younger than {asked.unless_within_h:g} hours")
        return 0
    if not shell.is_json:
        _show_report(report)
    for line in report.warnings:
        say(f"warning: {line}")
    for line in report.problems:
        say(f"problem: {line}")
    return {"ok": 0, "failed": EXIT_FAILED}.get(report.state, EXIT_INCOMPLETE)


def _show_report(report: BackupReport) -> None:
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


@operation(
    "backup.make",
    role="operator",
    kind="change",
    route="POST /backups",
    cli=Cli(
        command="db backup",
        metavars={"method": "METHOD", "unless_within_h": "H"},
        finish=_finish_backup,
    ),
    is_private=True,
)
def make(place: Place, _caller: Caller, asked: BackupRequest) -> BackupReport | Recent:
    """Back the database up to two disks, restore it into a scratch server, and compare.

    auto is pgBackRest where a stanza is configured, else logical; the former has a logical export
    too. A good one becomes a package for cold storage, without passwords and tokens. A failed check
    ends with 1, fewer than two copies or a package that could not be made with 3; both run
    alert_command.
    """
    from sql.backup.backup import make_backup
    from sql.backup.partner import backup_partner

    path, partner = place.config_path, backup_partner()
    recent = None if asked.unless_within_h is None else _good_within(path, asked.unless_within_h)
    if recent is not None:
        return Recent(name=recent)
    return make_backup(
        path,
        _method(asked.method, place),
        check_sample=partner.sample_check(path) if partner else None,
        package=partner.packager(path) if partner else None,
        say=place.say,
    )


def _good_within(path: str, hours: float) -> str | None:
    """Return the name of the newest good backup, if it is younger than that."""
    from sql.backup.backup import list_backups
    from sql.core.config import load_config

    earliest = datetime.now(UTC) - timedelta(hours=hours)
    backups = list_backups(load_config(path))
    good = [one for one in backups if one.good and one.facts.start_time >= earliest]
    return good[-1].name if good else None


def _method(text: str, place: Place) -> Method:
    if text == "base":
        place.say("base backups are not made any more: this one is a logical export")
        return "logical"
    if text not in METHODS:
        raise UsageError(f"there is no method {text}; it is one of {', '.join(METHODS)}")
    return text


# ---- Listed --------------------------------------------------------------------------------------


class Listed(Document):
    """A backup on the disks, and how its check ended."""

    name: str
    kind: str
    age_s: float
    size_bytes: int
    copies: list[str]
    check: str


def _show_backups(found: list[Listed], _asked: Any) -> None:
    rows = [
        (
            one.name,
            one.kind,
            _age(one.age_s),
            size_text(one.size_bytes),
            str(len(one.copies)),
            one.check,
        )
        for one in found
    ]
    write_table(("backup", "kind", ">age", ">size", ">copies", "check"), rows)


def _age(age_s: float) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * length_s:
            return f"{age_s / length_s:.0f} {unit}"
    return f"{age_s:.0f} s"


@operation(
    "backup.list",
    role="viewer",
    kind="question",
    route="GET /backups",
    cli=Cli(command="db backups", show=_show_backups),
)
def backups(place: Place, _caller: Caller, _asked: NoRequest) -> list[Listed]:
    """List the backups on the disks that are there now; works without a database."""
    from sql.backup.backup import list_backups
    from sql.core.config import load_config

    found: list[Listed] = []
    for one in list_backups(load_config(place.config_path)):
        check = "never finished"
        if one.report:
            check = "ok" if one.good else f"failed: {(one.report.problems or ('?',))[0]}"
        age = datetime.now(UTC) - one.facts.start_time
        found.append(
            Listed(
                name=one.name,
                kind=one.facts.kind,
                age_s=age.total_seconds(),
                size_bytes=sum(one.facts.sizes_bytes.values()),
                copies=list(one.copies),
                check=check,
            )
        )
    return found
