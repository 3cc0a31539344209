"""The commands that bring data in: it owns `source ingest inbox`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from base.config import find_config
from base.errors import EXIT_CODES, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from base.text import duration_text, safe_text, size_text
from fsd import load_config

if TYPE_CHECKING:
    from adapters.ingest.inbox import Waiting
    from adapters.ingest.ingest import IngestReport
    from sql import IngestBatch

app = typer.Typer()
source_app = typer.Typer(no_args_is_help=True, help="The formats of scraped folders.")
inbox_app = typer.Typer(no_args_is_help=True, help="The inbox (3A): folders that wait.")
app.add_typer(source_app, name="source")
app.add_typer(inbox_app, name="inbox")

PROBLEMS_SHOWN_MAX = 20
SourceOption = Annotated[
    str, typer.Option("--source", metavar="NAME", help="An adapter, or auto to let them guess.")
]


@source_app.command("list", epilog=EXIT_CODES)
def list_sources(json_output: JsonOption = False) -> None:
    """List the adapters, and the tables of metadata that each fills."""
    from adapters.sources.registry import adapters

    platforms = {
        name: [table.name for table in adapter.tables] for name, adapter in adapters().items()
    }
    if json_output:
        write_json([{"name": name, "platforms": names} for name, names in platforms.items()])
        return
    rows = [(name, ", ".join(names)) for name, names in platforms.items()]
    write_table(("adapter", "platforms"), rows)


@source_app.command("sniff", epilog=EXIT_CODES)
def sniff_source(
    folder: Annotated[str, typer.Argument(metavar="FOLDER")],
    json_output: JsonOption = False,
) -> None:
    """Guess which adapter reads a folder, and how sure it is (0 to 1)."""
    from adapters.records.folder import ScrapeFolder
    from adapters.sources.registry import sniff

    _check_folder(folder)
    answers = sniff(ScrapeFolder.of(os.path.realpath(folder)))
    if json_output:
        write_json([{"adapter": name, **asdict(answer)} for name, answer in answers])
        return
    rows = [(name, f"{answer.confidence:.2f}", answer.reason) for name, answer in answers]
    write_table(("adapter", ">sure", "why"), rows)


@app.command(epilog=EXIT_CODES)
def ingest(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="What was scraped.")],
    batch: Annotated[str, typer.Option("--batch", metavar="NAME", help="Its name, for ever.")],
    source: SourceOption = "auto",
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Who collected it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be; writes nothing.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store a scraped folder, describe it and connect it with everything that is known.

    The listing is frozen first: a folder that changes meanwhile stops. Killed or interrupted, the
    same command goes on where it was. What cannot be understood is kept in the store and listed
    (`drystone quarantine list`); exit code 3 says that there is such a thing.

    \b
    Example:
      drystone ingest ~/scrape/cats --source gallery-dl --batch cats-2026-11
    """
    from adapters.ingest.inbox import choose_adapter
    from adapters.work.batch_work import Signal, check_signal

    _check_folder(folder)
    check_signal(Signal(folder, batch, source, user))
    adapter = choose_adapter(folder, source)
    signal = Signal(os.path.realpath(folder), batch, adapter, user)
    if dry_run:
        _dry_run(signal.folder, adapter, json_output)
        return
    from adapters.ingest.ingest import ingest as run

    report = run(find_config(config), signal, say)
    _show(report, json_output)
    if report.quarantined:
        raise typer.Exit(EXIT_INCOMPLETE)


def _dry_run(folder: str, adapter: str, json_output: bool) -> None:
    from adapters.ingest.dry_run import dry_run

    counts, problems = dry_run(folder, adapter)
    if json_output:
        write_json({**asdict(counts), "adapter": adapter, "problems": problems})
    else:
        rows = [
            ("files", f"{counts.files:,}"),
            ("records", f"{counts.records:,}"),
            ("nodes of files", f"{counts.physical_nodes:,}"),
            *_counted("nodes of", counts.virtual_nodes),
            *_counted("edges", counts.edges),
            *_counted("values of another type in", counts.unread),
            ("would be quarantined", f"{counts.quarantined:,}"),
        ]
        write_table((f"{adapter}, nothing was written", ">count"), rows)
        _list(problems)
    if problems:
        raise typer.Exit(EXIT_INCOMPLETE)


def _counted(word: str, counts: dict[str, int]) -> list[tuple[str, str]]:
    return [(f"{word} {name}", f"{count:,}") for name, count in sorted(counts.items())]


def _show(report: IngestReport, json_output: bool) -> None:
    if json_output:
        write_json(asdict(report))
        return
    rows = [
        ("files", f"{report.files:,}", size_text(report.size_bytes)),
        ("stored now", f"{report.stored_new:,}", "the store had the others"),
        ("records", f"{report.records:,}", ""),
        ("nodes", f"{report.nodes_new:,}", f"{report.nodes_existing:,} known before"),
        ("observations", f"{report.observations_new:,}", f"{report.observations_existing:,} known"),
        ("edges", f"{report.edges_new:,}", f"{report.edges_existing:,} known before"),
        ("quarantined", f"{report.quarantined:,}", ""),
        ("packages in 3B", f"{len(report.packages):,}", ", ".join(report.packages[:3])),
    ]
    if report.cycles:
        rows.append(("cycles", f"{report.cycles:,}", "edges left out: a tree cannot have them"))
    write_table((f"batch {report.batch}, {report.adapter}", ">count", ""), rows)
    took = sum(report.duration_s.values())
    say(f"done in {duration_text(took)}")
    _list(report.problems)


def _list(problems: list[str]) -> None:
    for line in problems[:PROBLEMS_SHOWN_MAX]:
        say(f"  {line}")
    if len(problems) > PROBLEMS_SHOWN_MAX:
        say(f"  ... and {len(problems) - PROBLEMS_SHOWN_MAX:,} more (--json lists all)")


def _check_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise UsageError(f"{folder!a} is not a folder")


@inbox_app.command("list", epilog=EXIT_CODES)
def list_inbox(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the folders of the inbox: which are signalled, and what is wrong with the others."""
    from adapters.ingest.inbox import waiting_folders
    from sql import Database

    path = find_config(config)
    found = waiting_folders(load_config(path).area_path("3a"))
    with Database.open(path) as database:
        batches = sorted(database.ingest_batches(), key=lambda batch: batch.create_time)
    # The database has the printable form of a folder; of several batches the latest counts.
    known = {batch.folder: batch for batch in batches}
    rows = [_inbox_row(one, known.get(safe_text(os.path.realpath(one.folder)))) for one in found]
    if json_output:
        write_json(rows)
        return
    headings = ("folder", "batch", "adapter", "state", "reason")
    write_table(headings, [[row[name] or "" for name in headings] for row in rows])


def _inbox_row(one: Waiting, batch: IngestBatch | None) -> dict[str, str | None]:
    """Describe a folder by its batch, or by its signal where that means another one."""
    name = os.path.basename(one.folder)
    if batch is not None and (one.signal is None or one.signal.batch == batch.name):
        return {
            "folder": name,
            "batch": batch.name,
            "adapter": batch.adapter,
            "state": batch.state,
            "reason": batch.state_reason,
        }
    return {
        "folder": name,
        "batch": one.signal.batch if one.signal else None,
        "adapter": one.signal.adapter if one.signal else None,
        "state": one.problem or "ready",
        "reason": None,
    }


@inbox_app.command("run", epilog=EXIT_CODES)
def run_inbox(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Ingest every signalled folder of the inbox, one after the other.

    A folder that fails does not stop the others; the exit code is 3 then. Without the store's
    engine or the database nothing is tried.
    """
    from adapters.ingest.inbox import waiting_folders
    from adapters.ingest.inbox_run import run_all

    path = find_config(config)
    found = waiting_folders(load_config(path).area_path("3a"))
    if not run_all(path, found, lambda report: _show(report, json_output), say):
        raise typer.Exit(EXIT_INCOMPLETE)


@inbox_app.command("abandon", epilog=EXIT_CODES)
def abandon_batch(
    batch: Annotated[str, typer.Argument(metavar="BATCH")],
    config: ConfigOption = None,
) -> None:
    """Give up a batch that cannot go on, for instance because its folder changed.

    The folder stays, and what the store has of it stays; ingest it again under another name.
    """
    from adapters.ingest.admission import abandon
    from sql import Database

    path = find_config(config)
    with Database.open(path) as database:
        abandon(database, batch, load_config(path).area_path("3a"))
    say(f"batch {batch} is given up; its folder can be ingested under another name")
