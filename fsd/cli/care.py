"""The commands that look after the store: it owns `health`, `verify`, `rebuild` and their like.

They ask and show; what is well and what is not is the engine's judgement.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import count_text, size_text
from fsd.cli.disk import disk_rows
from fsd.cli.disk_moves import tell_loss
from fsd.cli.jobs import finish_job
from fsd.cli.output import problem_text
from fsd.cli.session import connect, end_with, follow, job_summary
from fsd.disks.disk_names import find_disk

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.documents.models import Capacity, DiskStatus, Health, Notice


app = typer.Typer()


@app.command(epilog=EXIT_CODES)
def health(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell whether all is well.

    Exit code 0 ok, 3 readable but not whole, 1 something is lost.
    """
    client = connect(config)
    answer = client.health()
    if json_output:
        write_json(answer)
    else:
        _write_health(answer)
    if answer.state != "ok":
        raise typer.Exit(EXIT_INCOMPLETE if answer.state == "degraded" else EXIT_FAILED)


_STATE_WORDS = {
    "ok": "ok",
    "degraded": "degraded (all can be read, not everything is whole)",
    "failed": "failed (something cannot be read; drystone losses names it)",
}


def _write_health(answer: Health) -> None:
    objects, shards = count_text(answer.objects, "object"), count_text(answer.shards, "shard")
    write_line(f"{_STATE_WORDS[answer.state]}: {objects} in {shards}")
    rows = [
        ("batches, views", f"{answer.batches:,}, {answer.views:,}"),
        ("waiting for copies", size_text(answer.replication_lag_bytes)),
        ("with one copy only", size_text(answer.single_copy_bytes)),
        ("unreadable shards", f"{answer.unreadable_shards:,}"),
        ("rebuild queue", count_text(answer.rebuild_queue, "shard")),
        ("running jobs", f"{answer.running_jobs}"),
        ("index", size_text(answer.index_bytes)),
        ("engine memory", size_text(answer.memory_anonymous_bytes)),
    ]
    for name, value in rows:
        write_line(f"  {name:<19} {value}")
    write_line("")
    write_table(*disk_rows(answer.disks))
    write_line("")
    for error in answer.last_errors:
        write_line(f"  last error: {error}")
    _write_warnings(answer.warnings)


def _write_warnings(found: list[Notice] | tuple[Notice, ...]) -> None:
    for warning in found:
        write_line(f"{warning.severity} {warning.code}: {warning.message}")
        if warning.advice:
            write_line(f"    {warning.advice}")


@app.command(epilog=EXIT_CODES)
def warnings(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List what you should know, and what to do about it.

    Each with its code, the same as in alerts and in --json.
    """
    client = connect(config)
    answer = client.warnings()
    if json_output:
        write_json(answer)
    elif answer:
        _write_warnings(answer)
    else:
        say("no warnings")


@app.command(epilog=EXIT_CODES)
def capacity(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell what fits, also after losing a disk.

    And which disk to buy next.
    """
    client = connect(config)
    answer = client.capacity()
    if json_output:
        write_json(answer)
        return
    _write_capacity(answer)


def _write_capacity(answer: Capacity) -> None:
    loss = f" (worst case: {answer.worst_loss})" if answer.worst_loss else ""
    rows = [
        ("stored", f"{size_text(answer.payload_bytes)} in {count_text(answer.objects, 'object')}"),
        (f"room at {count_text(answer.copies, 'copy', 'copies')}", size_text(answer.usable_bytes)),
        ("room after a loss", size_text(answer.usable_after_loss_bytes) + loss),
        ("SSD", f"{answer.partition_fill:.0%} full, {answer.partition_state}"),
    ]
    for name, value in rows:
        write_line(f"{name:<18} {value}")
    write_line("")
    write_table(*disk_rows(answer.disks))
    write_line("")
    areas = [
        (
            area.area,
            area.state,
            size_text(area.used_bytes),
            size_text(area.reserved_bytes),
            size_text(area.quota_bytes) if area.quota_bytes else "none",
            f"{area.files:,}",
        )
        for area in answer.areas
    ]
    write_table(("area", "state", ">used", ">reserved", ">quota", ">files"), areas)
    write_line("")
    for advice in answer.advice:
        write_line(advice)


@app.command(epilog=EXIT_CODES)
def verify(
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="NAME", help="The files of one batch.")
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option("--sample", metavar="P", help="A random share of all shards, such as 0.05."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every byte of every copy.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare copies on the disks with their checksums.

    What is found damaged is replaced from a good copy by itself, soon afterwards.
    """
    if (batch is not None) + (sample is not None) + everything != 1:
        raise UsageError("say what to verify: --batch NAME, --sample 0.05 or --all")
    if sample is not None and not 0 < sample <= 1:
        raise UsageError("--sample is a share: above 0, at most 1")
    client = connect(config)
    finish_job(client, client.verify(batch, sample), json_output)


@app.command(epilog=EXIT_CODES)
def rebuild(
    disk: Annotated[
        str | None,
        typer.Option("--disk", metavar="DISK", help="Declare this disk gone first."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before that.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be copied.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the copies whole again.

    \b
    Example, when the disk d2 has died:
      drystone rebuild --disk d2
    """
    client = connect(config)
    chosen = find_disk(client.disks(), disk) if disk is not None else None
    if dry_run:
        _tell_rebuild(client, chosen, json_output)
        return
    if chosen is not None and chosen.state not in ("gone", "retired"):
        _tell_departure(client, chosen)
        if not yes and not typer.confirm("Go on?", err=True):
            raise typer.Exit(EXIT_FAILED)
    finish_job(client, client.rebuild(chosen.disk_id if chosen else None), json_output)


def _tell_departure(client: Client, disk: DiskStatus) -> None:
    """Say what becomes of what a disk holds when it is declared gone."""
    say(f"{disk.name} ({disk.path}, {disk.state}) will be declared gone:")
    answer = client.disk_removal(disk.name)
    if not disk.stored_bytes:
        say("  it holds nothing that counts.")
    elif disk.stored_bytes > answer.sole_bytes:
        size = size_text(disk.stored_bytes - answer.sole_bytes)
        say(f"  {size} of what it holds is on other disks too, and is copied again from there.")
    tell_loss(answer)
    say(f"  if it comes back after all: drystone disk add {quote(disk.path)}")


def _tell_rebuild(client: Client, chosen: DiskStatus | None, json_output: bool) -> None:
    state = client.health()
    removal = client.disk_removal(chosen.name) if chosen else None
    plan: dict[str, Any] = {
        "disk": chosen.name if chosen else None,
        "disk_shards": chosen.shards if chosen else 0,
        "disk_stored_bytes": chosen.stored_bytes if chosen else 0,
        "lost_objects": removal.sole_objects if removal else 0,
        "lost_bytes": removal.sole_bytes if removal else 0,
        "sole_away": removal.sole_away if removal else (),
        "rebuild_queue_shards": state.rebuild_queue,
        "usable_bytes": client.capacity().usable_bytes,
    }
    if json_output:
        write_json(plan)
        return
    if chosen and removal:
        size = size_text(chosen.stored_bytes)
        shards = count_text(chosen.shards, "shard")
        write_line(f"{chosen.name} would be declared gone: {shards}, {size}")
        tell_loss(removal)
    write_line(f"waiting for a copy now: {count_text(state.rebuild_queue, 'shard')}")
    write_line(f"room for {size_text(plan['usable_bytes'])} more at the full number of copies")


@app.command(epilog=EXIT_CODES)
def reindex(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Build a new index from the disks alone.

    As after the loss of the SSD. Nothing on the disks is changed.
    """
    client = connect(config)
    finish_job(client, client.reindex(), json_output)


@app.command(epilog=EXIT_CODES)
def fsck(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Compare index, catalogs and shards.

    Changes nothing; `verify` also reads the contents.
    """
    client = connect(config)
    finish_job(client, client.fsck(), json_output)


@app.command(epilog=EXIT_CODES)
def losses(
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", metavar="DISK", help="As if this disk were away too; repeatable."
        ),
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List every file that no disk gives, and why.

    Exit code 3 when there are any.
    """
    client = connect(config)
    job = follow(client, client.losses(without or ()).job_id)
    for line in client.report(job.job_id):
        if json_output:
            write_json(line)
        else:
            where = line.get("batch") or line.get("named_by")
            write_line(f"{where}: {problem_text(line)}")
    if json_output:
        write_json(job)
    else:
        say(job_summary(job))
    end_with(job)
