"""Operations on packages for cold storage: listed, confirmed, written again, restored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from base.errors import EXIT_INCOMPLETE
from base.model import Document
from base.operations.operation import Caller, Cli, Shell, operation
from base.output import say, write_json, write_table
from base.text import size_text
from sql import opened

if TYPE_CHECKING:
    from adapters.cold_storage.outbox import Freed
    from adapters.cold_storage.restore import Restored
    from sql import OutboxPackage, Place

__all__ = ["opened"]


class ListRequest(Document):
    """Which packages."""

    all_packages: Annotated[bool, Field(description="Also those that were confirmed.")] = False


def _finish_list(shell: Shell, found: list[OutboxPackage], _asked: ListRequest) -> int:
    if shell.is_json:
        write_json([*found])
        return 0
    now = datetime.now(UTC)
    rows = [
        (
            package.package_id,
            f"{package.file_count:,}",
            size_text(package.size_bytes),
            f"{(now - package.create_time).total_seconds() / 86400:.1f}",
            package.confirmed_by or "",
            _where(shell.place.config_path, package),
        )
        for package in found
    ]
    write_table(("package", ">files", ">size", ">days", "confirmed by", "where"), rows)
    return 0


def _where(path: str, package: OutboxPackage) -> str:
    from adapters.cold_storage.outbox import package_folder

    if package.confirmed_by == "trust":
        return "somewhere; nobody looked"
    return package.confirmed_copy or package_folder(path, package.package_id)


@operation(
    "outbox.list",
    role="viewer",
    kind="question",
    route="GET /outbox",
    cli=Cli(options={"all_packages": ("--all",)}, finish=_finish_list),
)
def list_packages(place: Place, _caller: Caller, asked: ListRequest) -> list[OutboxPackage]:
    """List the packages that wait for their copy, oldest first, with their age.

    `_database-...` is the database without its secrets, `_generated-...` what actions and datasets
    made; both come with a backup of the database.
    """
    return place.database.ingests.packages(waiting_only=not asked.all_packages)


class ConfirmRequest(Document):
    """Which package has a copy, and how that is known."""

    package: Annotated[str, Field(description="As `outbox list` names it.")]
    copied: Annotated[str | None, Field(description="The copied folder, read whole.")] = None
    sums: Annotated[str | None, Field(description="A listing of the copy with SHA-256.")] = None
    trust: Annotated[bool, Field(description="Nothing is looked at, which is recorded.")] = False

    @model_validator(mode="after")
    def _one(self) -> ConfirmRequest:
        if (self.copied is not None) + (self.sums is not None) + self.trust != 1:
            raise ValueError("say one of --copy FOLDER, --sums FILE and --trust")
        return self


def _show_freed(freed: Freed, asked: ConfirmRequest) -> None:
    how = "confirmed without a look at the copy"
    if not asked.trust:
        how = "the copy is whole" if asked.copied else "the copy has the hashes of the package"
    say(f"{asked.package}: {how}; {size_text(freed.outbox_bytes)} of the outbox are free")
    if freed.batch is None:
        return
    if freed.batch_complete:
        say(f"the batch is confirmed; {size_text(freed.inbox_bytes)} of the inbox are free")
    else:
        say("its batch is not complete yet; the inbox keeps the files until then")


@operation(
    "outbox.confirm",
    role="admin",
    kind="change",
    route="POST /outbox/{package}/confirm",
    cli=Cli(
        positional=("package",),
        options={"copied": ("--copy",)},
        metavars={"package": "PACKAGE", "copied": "FOLDER", "sums": "FILE"},
        show=_show_freed,
    ),
    is_private=True,
)
def confirm(place: Place, _caller: Caller, asked: ConfirmRequest) -> Freed:
    """Verify the copy of a package by reading all of it, then free the outbox and the inbox.

    The files in the inbox are removed when every package of their batch is confirmed. A folder that
    was ingested from elsewhere is yours and stays. Of a copy that cannot be read now (tape,
    Glacier), --sums takes what `sha256sum` printed in its folder, or a CSV of the storage with the
    SHA-256 of whole files; SHA256SUMS itself has to be in it.
    """
    from adapters.cold_storage import outbox

    path, database = place.config_path, place.database
    if asked.copied is not None:
        return outbox.confirm(path, asked.package, asked.copied, database)
    if asked.sums is not None:
        return outbox.confirm_by_sums(path, asked.package, asked.sums, database)
    return outbox.confirm_on_trust(path, asked.package, database)


class OneBatch(Document):
    """Which ingest batch."""

    batch: Annotated[str, Field(description="Its name.")]


@operation(
    "outbox.remake",
    role="operator",
    kind="change",
    route="POST /outbox/remake",
    cli=Cli(positional=("batch",), metavars={"batch": "BATCH"}, show=lambda _names, _asked: None),
    is_private=True,
)
def remake(place: Place, _caller: Caller, asked: OneBatch) -> list[str]:
    """Write packages again that wait for their copy and are no longer in the outbox."""
    from adapters.cold_storage.outbox import remake

    return remake(place.config_path, asked.batch, place.database, place.say)


# ---- All disks are gone --------------------------------------------------------------------------


class RestoreRequest(Document):
    """Which packages come back."""

    packages: Annotated[
        list[str], Field(min_length=1, description="Packages, or folders of packages.")
    ]
    no_database: Annotated[
        bool, Field(description="Only the bytes, not what was said of them.")
    ] = False


def _finish_restore(shell: Shell, reports: list[Restored], _asked: RestoreRequest) -> int:
    failed = [report for report in reports if report.error is not None]
    if shell.is_json:
        write_json(restore.document_of(reports))
    elif len(failed) < len(reports):
        rows = [
            (
                report.batch,
                f"{len(report.packages):,}",
                f"{report.files:,}",
                f"{report.stored_new:,}",
                f"{report.intents - report.intents_repeated:,}",
            )
            for report in reports
            if report.error is None
        ]
        write_table(("batch", ">packages", ">files", ">written now", ">intents applied"), rows)
    for report in reports:
        for line in report.notes:
            say(line)
    for report in failed:
        say(f"drystone: {report.error}")
    if not failed:
        return 0
    return EXIT_INCOMPLETE if len(failed) < len(reports) else failed[0].exit_code


@operation(
    "outbox.restore",
    role="admin",
    kind="change",
    route="POST /outbox/restore",
    cli=Cli(
        command="restore",
        positional=("packages",),
        metavars={"packages": "FOLDER..."},
        finish=_finish_restore,
    ),
    is_private=True,
)
def restore(place: Place, _caller: Caller, asked: RestoreRequest) -> list[Restored]:
    """Rebuild a store and its database from packages, when all disks are gone.

    Name the folder that holds all packages. The newest one of the database takes the place of a
    database that nothing has come into yet, after all bytes are back; without one, the packages of
    batches say what is known of their files. A batch is restored whole: name all packages of it at
    once; all are verified before anything of it is stored. A batch that fails stops no other, and
    the exit code is 3 then. Safe to repeat.
    """
    from adapters.cold_storage.restore import restore

    database = None if asked.no_database else place.database
    return restore(place.config_path, asked.packages, database, place.say)
