"""The `disk` commands that move data between disks: it owns what they ask before and say after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import count_text, size_text
from fsd.cli.jobs import finish_job
from fsd.cli.session import connect

if TYPE_CHECKING:
    from fsd.documents.models import DiskStatus, RemovalAnswer

app = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The disk's name, such as d2.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before that.")]


@app.command(epilog=EXIT_CODES)
def drain(name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Move everything off a disk; it takes no new data meanwhile.

    Reads go on. An interrupted or cancelled drain goes on with the same command again; after a
    restart it goes on by itself. Refused when the other disks cannot hold it.

    \b
    Example, before a disk is taken out:
      drystone disk drain d2
      drystone disk retire d2
    """
    client = connect(config)
    finish_job(client, client.disk_drain(name), json_output)


@app.command(epilog=EXIT_CODES)
def undrain(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Take a draining disk back into use; what has moved stays where it is."""
    client = connect(config)
    disk = client.disk_undrain(name)
    if json_output:
        write_json(disk)
    else:
        say(f"{disk.name} takes new data again")


@app.command("safe-to-remove", epilog=EXIT_CODES)
def safe_to_remove(
    name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Tell whether a disk can be taken away, and why not.

    Exit code 0 yes: every shard has all its copies elsewhere. 3 no.
    """
    answer = connect(config).disk_removal(name)
    if json_output:
        write_json(answer)
    else:
        write_line(f"{'yes' if answer.safe else 'no'}: {answer.reason}")
        if answer.advice and not answer.safe:
            write_line(f"    {answer.advice}")
    if not answer.safe:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command(epilog=EXIT_CODES)
def retire(
    name: NameArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Also when something would be lost; lists it.")
    ] = False,
    yes: YesOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Never use a disk again; refused while the store needs it.

    Its files stay on it, and a mark that it is retired. This cannot be undone.
    """
    client = connect(config)
    answer = client.disk_removal(name)
    if not answer.safe and not force:
        raise UsageError(f"{answer.name} is needed: {answer.reason}; {answer.advice}")
    if answer.state == "retired":
        raise UsageError(f"{answer.name} is retired already; it can be taken out")
    say(f"{answer.name} ({answer.state}) will be retired for good:")
    say(f"  {answer.reason}")
    tell_loss(answer)
    _ask_or_stop(yes)
    disk = client.disk_retire(name, force=force, lost_shards_max=answer.sole_shards)
    if json_output:
        write_json(disk)
    else:
        say(f"{disk.name} is {disk.state}; it can be taken out")


def tell_loss(answer: RemovalAnswer) -> None:
    """Say what only this disk has, and who may have it besides once it is back."""
    if answer.sole_shards:
        objects = count_text(answer.sole_objects, "object")
        say(f"  {objects}, {size_text(answer.sole_bytes)} WOULD BE LOST")
        if answer.sole_away:
            names = " and ".join(answer.sole_away)
            say(f"  {names} may still have some of that: bring that back first (missing now)")
        for shard_id in answer.listed_shards[: answer.sole_shards]:
            say(f"    shard {shard_id}")
        say(f"  (by name: drystone losses --without {quote(answer.name)})")


def _ask_or_stop(yes: bool) -> None:
    if not yes and not typer.confirm("Go on?", err=True):
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog=EXIT_CODES)
def rebalance(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be moved.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Move data until all disks are equally full, as after adding one.

    The number of copies never falls. Interrupted, it goes on with the same command again.
    """
    client = connect(config)
    if not dry_run:
        finish_job(client, client.rebalance(), json_output)
        return
    plan = client.rebalance_plan()
    if json_output:
        write_json(plan)
        return
    write_line(f"to be moved: {count_text(plan.moves, 'shard')}, {size_text(plan.move_bytes)}")
    rows = [
        (disk.name, size_text(disk.stored_bytes), f"{disk.fill:.1%}", f"{disk.fill_after:.1%}")
        for disk in plan.disks
    ]
    write_table(("disk", ">stored", ">full now", ">after"), rows)


@app.command(epilog=EXIT_CODES)
def replace(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The disk that goes.")],
    path: Annotated[
        str, typer.Argument(metavar="NEW_PATH", help="An empty folder: the new disk's root.")
    ],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The new disk's name.")
    ] = None,
    yes: YesOption = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a new disk in the place of an old one, alive or dead.

    A living one is emptied and retired, a dead one is declared gone and its copies are made again.
    Interrupted, it goes on with the same command again.

    \b
    Example:
      drystone disk replace d2 /mnt/new-hdd
    """
    client = connect(config)
    answer = client.disk_removal(old)
    path = os.path.abspath(path)
    _tell_replacement(answer, path, client.disks())
    _ask_or_stop(yes)
    finish_job(client, client.disk_replace(old, path, name), json_output)


_THERE = ("online", "draining", "readonly")


def _tell_replacement(answer: RemovalAnswer, path: str, disks: Sequence[DiskStatus]) -> None:
    # A disk that is not there has only left its path, to the new one perhaps.
    here = (disk for disk in disks if disk.path == path and disk.state in _THERE)
    known = next((disk.name for disk in here), None)
    if known == answer.name:
        raise UsageError(
            f"{path} is {known} itself: name the folder of the disk that takes its place, or empty "
            f"it onto the others (drystone disk drain {quote(answer.name)})"
        )
    joins = f"{path} joins the store" if known is None else f"{path} is {known} already, not added"
    if answer.state in _THERE:
        fate = "will be emptied onto all other disks and retired"
    elif answer.state in ("gone", "retired"):
        fate = "is out of use already"
    else:
        fate = "will be declared gone"
    say(f"{answer.name} ({answer.state}) {fate}; {joins}")
    if answer.state == "missing":
        tell_loss(answer)
        say(f"  if {answer.name} comes back after all: drystone disk add PATH")
