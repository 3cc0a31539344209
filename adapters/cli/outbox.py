"""The commands after the ingest: it owns `outbox restore quarantine audit`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from base.text import size_text

if TYPE_CHECKING:
    from sql import OutboxPackage

app = typer.Typer()
outbox_app = typer.Typer(no_args_is_help=True, help="Packages for cold storage (3B, TYPE1).")
quarantine_app = typer.Typer(no_args_is_help=True, help="What could not be understood.")
app.add_typer(outbox_app, name="outbox")
app.add_typer(quarantine_app, name="quarantine")


@outbox_app.command("list", epilog=EXIT_CODES)
def list_outbox(
    all_packages: Annotated[
        bool, typer.Option("--all", help="Also those that were confirmed.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the packages that wait for their copy, oldest first, with their age.

    `_database-...` is the database without its secrets, `_generated-...` what actions and datasets
    made; both come with a backup of the database.
    """
    from sql import Database

    path = find_config(config)
    with Database.open(path) as database:
        found = database.outbox_packages(waiting_only=not all_packages)
    if json_output:
        write_json([package.model_dump(mode="json") for package in found])
        return
    rows = [
        (
            package.package_id,
            f"{package.file_count:,}",
            size_text(package.size_bytes),
            f"{(datetime.now(UTC) - package.create_time).total_seconds() / 86400:.1f}",
            package.confirmed_by or "",
            _where(path, package),
        )
        for package in found
    ]
    write_table(("package", ">files", ">size", ">days", "confirmed by", "where"), rows)


def _where(path: str, package: OutboxPackage) -> str:
    from adapters.cold_storage.outbox import package_folder

    if package.confirmed_by == "trust":
        return "somewhere; nobody looked"
    return package.confirmed_copy or package_folder(path, package.package_id)


@outbox_app.command(epilog=EXIT_CODES)
def confirm(
    package: Annotated[str, typer.Argument(metavar="PACKAGE", help="As `outbox list` names it.")],
    copy: Annotated[
        str | None, typer.Option("--copy", metavar="FOLDER", help="The copied folder, read whole.")
    ] = None,
    sums: Annotated[
        str | None,
        typer.Option("--sums", metavar="FILE", help="A listing of the copy with SHA-256."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Nothing is looked at, which is recorded.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Verify the copy of a package by reading all of it, then free the outbox and the inbox.

    The files in the inbox are removed when every package of their batch is confirmed. A folder that
    was ingested from elsewhere is yours and stays. Of a copy that cannot be read now (tape,
    Glacier), --sums takes what `sha256sum` printed in its folder, or a CSV of the storage with the
    SHA-256 of whole files; SHA256SUMS itself has to be in it.
    """
    from adapters.cold_storage import outbox
    from sql import Database

    if [copy is not None, sums is not None, trust].count(True) != 1:
        raise UsageError("say one of --copy FOLDER, --sums FILE and --trust")
    path = find_config(config)
    with Database.open(path) as database:
        if copy is not None:
            freed = outbox.confirm(path, package, copy, database)
            how = "the copy is whole"
        elif sums is not None:
            freed = outbox.confirm_by_sums(path, package, sums, database)
            how = "the copy has the hashes of the package"
        else:
            freed = outbox.confirm_on_trust(path, package, database)
            how = "confirmed without a look at the copy"
    if json_output:
        write_json(asdict(freed))
        return
    say(f"{package}: {how}; {size_text(freed.outbox_bytes)} of the outbox are free")
    if freed.batch is None:
        return
    if freed.batch_complete:
        say(f"the batch is confirmed; {size_text(freed.inbox_bytes)} of the inbox are free")
    else:
        say("its batch is not complete yet; the inbox keeps the files until then")


@outbox_app.command(epilog=EXIT_CODES)
def remake(
    batch: Annotated[str, typer.Argument(metavar="BATCH")],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write packages again that wait for their copy and are no longer in the outbox."""
    from adapters.cold_storage.outbox import remake as run
    from sql import Database

    path = find_config(config)
    with Database.open(path) as database:
        names = run(path, batch, database, say)
    if json_output:
        write_json(names)


@app.command(epilog=EXIT_CODES)
def restore(
    packages: Annotated[
        list[str], typer.Argument(metavar="FOLDER...", help="Packages, or folders of packages.")
    ],
    no_database: Annotated[
        bool, typer.Option("--no-database", help="Only the bytes, not what was said of them.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Rebuild a store and its database from packages, when all disks are gone.

    Name the folder that holds all packages. The newest one of the database takes the place of a
    database that nothing has come into yet, after all bytes are back; without one, the packages of
    batches say what is known of their files. A batch is restored whole: name all packages of it at
    once; all are verified before anything of it is stored. A batch that fails stops no other, and
    the exit code is 3 then. Safe to repeat.
    """
    from adapters.cold_storage.restore import restore as run
    from sql import Database

    path = find_config(config)
    database = None if no_database else Database.open(path)
    try:
        reports = run(path, packages, database, say)
    finally:
        if database is not None:
            database.close()
    failed = [report for report in reports if report.error is not None]
    if json_output:
        write_json([asdict(report) for report in reports])
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
    if failed:
        raise typer.Exit(EXIT_INCOMPLETE if len(failed) < len(reports) else failed[0].exit_code)


@quarantine_app.command("list", epilog=EXIT_CODES)
def list_quarantine(
    batch: Annotated[str | None, typer.Option("--batch", metavar="NAME")] = None,
    all_rows: Annotated[bool, typer.Option("--all", help="Also what a replay understood.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List what could not be understood, with the reason; its bytes are in the store."""
    from sql import Database

    with Database.open(find_config(config)) as database:
        found = list(database.quarantined(batch, open_only=not all_rows))
    if json_output:
        write_json([row.model_dump(mode="json") for row in found])
        return
    rows = [
        (row.batch, row.path, "" if row.record_number < 0 else str(row.record_number), row.reason)
        for row in found
    ]
    write_table(("batch", "path", ">record", "reason"), rows)


@quarantine_app.command(epilog=EXIT_CODES)
def replay(
    batch: Annotated[str, typer.Argument(metavar="BATCH")],
    fixed: Annotated[
        str | None,
        typer.Option("--fixed", metavar="FOLDER", help="Repaired files, at the same paths."),
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read a batch again: after an adapter was improved, or with files that you repaired.

    The files come from the store, so this works also when the inbox was freed. What is understood
    now is added; what was known stays as it is.
    """
    from adapters.ingest.replay import replay as run

    report = run(find_config(config), batch, fixed, say)
    if json_output:
        write_json(asdict(report))
    else:
        say(
            f"{batch}: {report.understood:,} of {report.before:,} quarantined rows are understood "
            f"now; {report.nodes_new:,} new nodes, {report.edges_new:,} new edges"
        )
    if report.left:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command(epilog=EXIT_CODES)
def audit(
    sample: Annotated[
        int, typer.Option("--sample", min=0, help="So many objects are read back and hashed.")
    ] = 100,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare database and store both ways.

    Every physical node must be an object of the store with its size, and every file of an ingested
    batch a node or on the quarantine list. Exit code 1 when something is lost, 3 when something is
    only not described.
    """
    from adapters.audit.audit import audit as run

    report = run(find_config(config), sample, say)
    if json_output:
        write_json(asdict(report))
    else:
        rows = [
            ("physical nodes in the database", f"{report.nodes:,}"),
            ("of them not in the store", f"{report.missing_count:,}"),
            ("of them with another size", f"{report.wrong_size_count:,}"),
            ("read back and hashed", f"{report.sampled:,}"),
            ("of them not as promised", f"{report.damaged_count:,}"),
            ("files of ingested batches in the store", f"{report.files:,}"),
            ("of them neither node nor quarantined", f"{report.undescribed_count:,}"),
            ("batches that the store cannot list", f"{report.unlisted_count:,}"),
        ]
        write_table(("audit", ">count"), rows)
        for line in report.examples:
            say(f"  {line}")
    if (
        report.missing_count
        or report.wrong_size_count
        or report.damaged_count
        or report.unlisted_count
    ):
        raise typer.Exit(1)
    if report.undescribed_count:
        raise typer.Exit(EXIT_INCOMPLETE)
