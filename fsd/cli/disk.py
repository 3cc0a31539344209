"""The `disk` commands: it owns how disks are listed and named to a person."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_table
from base.text import size_text
from fsd.cli import disk_moves as cli_disk_moves
from fsd.cli.session import connect, end_with, follow, open_config

if TYPE_CHECKING:
    from fsd.documents.models import DiskStatus

app = typer.Typer(
    no_args_is_help=True, help="List the disks, add, drain, replace, retire and balance them."
)
app.add_typer(cli_disk_moves.app)


def disk_rows(disks: Iterable[DiskStatus]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return headings and rows of a table of disks."""
    headings = (
        "disk",
        "state",
        "health",
        ">free",
        ">size",
        ">stored",
        ">shards",
        ">reads",
        ">errors",
        "path",
        "",
    )
    rows: list[Sequence[str]] = [
        (
            disk.name,
            disk.state,
            disk.health,
            size_text(disk.free_bytes),
            size_text(disk.size_bytes),
            size_text(disk.stored_bytes),
            f"{disk.shards:,}",
            f"{size_text(disk.model.bandwidth_bytes_per_s)}/s" if disk.model else "",
            f"{disk.errors:,}",
            disk.path,
            disk.reason or disk.health_reason or disk.last_error,
        )
        for disk in disks
    ]
    return headings, rows


@app.command("list", epilog=EXIT_CODES)
def list_disks(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the disks, their state and what they hold."""
    client = connect(config)
    disks = client.disks()
    if json_output:
        write_json(disks)
    else:
        write_table(*disk_rows(disks))


@app.command(epilog=EXIT_CODES)
def add(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The folder where the disk is mounted.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Such as d5; made up when missing.")
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Take one more disk into the store, or one again that was declared gone or is elsewhere now.

    A new one is an empty folder. What one that was gone holds counts again once every byte of it is
    verified. drystone.toml says from then on where the disk is.

    \b
    Example:
      drystone disk add /mnt/hdd5
    """
    client = connect(config)
    disk = client.disk_add(os.path.abspath(path), name)
    if json_output:
        write_json(disk)
    else:
        why = f": {disk.reason}" if disk.reason else ""
        say(f"{disk.name}: {size_text(disk.free_bytes)} free at {disk.path}, {disk.state}{why}")


@app.command(epilog=EXIT_CODES)
def calibrate(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The disk's name; all disks when missing.")
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take it as it is now: ends the warning of a slow disk."),
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure how fast disks read and seek; exports are planned by it.

    About ten seconds a disk, of reads alone, beside which everything else goes first. Done by
    itself when a disk holds data and nothing else runs; this does it now.
    """
    client = connect(config)
    job = follow(client, client.disk_calibrate(name, accept=accept).job_id)
    if json_output:
        write_json(job)
    else:
        if measured := job.result.get("measured"):
            write_table(*_model_rows(client.disks(), measured))
        for skipped, reason in job.result.get("skipped", {}).items():
            say(f"{skipped} was not measured: {reason}")
    end_with(job)


def _model_rows(
    disks: Iterable[DiskStatus], measured: Iterable[str]
) -> tuple[Sequence[str], list[Sequence[str]]]:
    rows: list[Sequence[str]] = []
    for disk in disks:
        if (model := disk.model) is not None and disk.name in measured:
            seeks = (model.average_seek_s, model.seek_min_s, model.seek_max_s)
            milliseconds = (f"{1000 * seconds:.2f} ms" for seconds in seeks)
            best = f"{size_text(model.best_bandwidth_bytes_per_s)}/s"
            rows.append(
                (disk.name, f"{size_text(model.bandwidth_bytes_per_s)}/s", *milliseconds, best)
            )
    return ("disk", ">reads", ">seek", ">shortest", ">longest", ">best so far"), rows


@app.command(epilog=EXIT_CODES)
def rebind(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The disk's name, such as d2.")],
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The copy that takes the original's place.")
    ],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Declare that a copied or cloned disk is the disk NAME from now on.

    Copies are refused otherwise, so that an old clone is never taken for the original. The
    original must be gone; drystone.toml says then where the copy is, and a running engine finds it
    by itself.

    \b
    Example:
      drystone disk rebind d2 /mnt/new-hdd
    """
    from base.config import find_config
    from fsd.replicas.disk_rebind import rebind_disk

    rebind_disk(open_config(config), find_config(config), name, path)
    if json_output:
        write_json({"name": name, "path": os.path.abspath(path)})
    else:
        say(f"{os.path.abspath(path)} is {name} from now on")
