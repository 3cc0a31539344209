"""Operations on disks: listed, added, measured, emptied, replaced, retired and balanced."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from base.errors import EXIT_INCOMPLETE, UsageError
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import say, write_json, write_line, write_table
from base.text import count_text, size_text
from fsd.documents.models import (
    CalibrateRequest,
    DiskAddRequest,
    DiskStatus,
    Document,
    JobStatus,
    RebalancePlan,
    RemovalAnswer,
)
from fsd.documents.names import DiskName, PathText
from fsd.operations.jobs import exit_code_of, finish_job, follow
from fsd.operations.look import disk_rows
from fsd.operations.place import ask

if TYPE_CHECKING:
    from fsd.disks.disks import Disk
    from fsd.operations.place import Serving

UNDRAIN_TIMEOUT_S = 120.0


class OneDisk(Document):
    """Which disk."""

    disk: DiskName


def status_of(place: Serving, disk_id: str) -> DiskStatus:
    """Return a disk of the engine as everybody sees it."""
    from fsd.watch import report

    return next(one for one in report.disk_statuses(place.engine.watch) if one.disk_id == disk_id)


def _status(place: Serving, disk: Disk) -> DiskStatus:
    return status_of(place, disk.disk_id)


# ---- Which there are -----------------------------------------------------------------------------


@operation(
    "disk.list",
    role="viewer",
    kind="question",
    route="GET /storage/disks",
    cli=Cli(show=lambda found, _: write_table(*disk_rows(found))),
)
def list_disks(place: Serving, _caller: Caller, _asked: NoRequest) -> list[DiskStatus]:
    """List the disks, their state and what they hold."""
    from fsd.watch import report

    return list(report.disk_statuses(place.engine.watch))


def _whole_path(_shell: Shell, asked: DiskAddRequest) -> DiskAddRequest:
    return asked.model_copy(update={"path": os.path.abspath(asked.path)})


def _show_added(disk: DiskStatus, _asked: DiskAddRequest) -> None:
    why = f": {disk.reason}" if disk.reason else ""
    say(f"{disk.name}: {size_text(disk.free_bytes)} free at {disk.path}, {disk.state}{why}")


@operation(
    "disk.add",
    role="admin",
    kind="change",
    route="POST /storage/disks",
    cli=Cli(
        positional=("path",),
        metavars={"path": "PATH", "name": "NAME"},
        before=_whole_path,
        show=_show_added,
        example="drystone disk add /mnt/hdd5",
    ),
)
def add(place: Serving, _caller: Caller, asked: DiskAddRequest) -> DiskStatus:
    """Take one more disk into the store, or one again that was declared gone or is elsewhere now.

    A new one is an empty folder. What one that was gone holds counts again once every byte of it is
    verified. drystone.toml says from then on where the disk is.
    """
    return _status(place, place.engine.add_disk(asked.path, asked.name))


# ---- How fast they are ---------------------------------------------------------------------------


def _finish_calibration(shell: Shell, begun: JobStatus, _asked: CalibrateRequest) -> int:
    job = follow(shell.place, begun.job_id)
    if shell.is_json:
        write_json(job)
    else:
        if measured := job.result.get("measured"):
            write_table(*_model_rows(ask(shell, list_disks), measured))
        for skipped, reason in job.result.get("skipped", {}).items():
            say(f"{skipped} was not measured: {reason}")
    return exit_code_of(job)


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


@operation(
    "disk.calibrate",
    role="operator",
    kind="work",
    route="POST /storage/calibrate",
    cli=Cli(
        positional=("disk",),
        metavars={"disk": "NAME"},
        finish=_finish_calibration,
    ),
)
def calibrate(place: Serving, _caller: Caller, asked: CalibrateRequest) -> JobStatus:
    """Measure how fast disks read and seek; exports are planned by it.

    About ten seconds a disk, of reads alone, beside which everything else goes first. Done by
    itself when a disk holds data and nothing else runs; this does it now.
    """
    return place.engine.watch.calibrate_now(asked.disk, accept=asked.accept).status()


# ---- Moving data ---------------------------------------------------------------------------------


@operation(
    "disk.drain",
    role="operator",
    kind="work",
    route="POST /storage/disks/{disk}/drain",
    cli=Cli(
        positional=("disk",),
        metavars={"disk": "NAME"},
        finish=finish_job,
        example="drystone disk drain d2    # before a disk is taken out\n  drystone disk retire d2",
    ),
)
def drain(place: Serving, _caller: Caller, asked: OneDisk) -> JobStatus:
    """Move everything off a disk; it takes no new data meanwhile.

    Reads go on. An interrupted or cancelled drain goes on with the same command again; after a
    restart it goes on by itself. Refused when the other disks cannot hold it.
    """
    from fsd.engine.drain import drain

    return drain(place.engine, asked.disk).status()


@operation(
    "disk.undrain",
    role="operator",
    kind="change",
    route="POST /storage/disks/{disk}/undrain",
    cli=Cli(
        positional=("disk",),
        metavars={"disk": "NAME"},
        show=lambda disk, _: say(f"{disk.name} takes new data again"),
    ),
    timeout_s=UNDRAIN_TIMEOUT_S,
)
def undrain(place: Serving, _caller: Caller, asked: OneDisk) -> DiskStatus:
    """Take a draining disk back into use; what has moved stays where it is."""
    from fsd.engine.drain import undrain

    return _status(place, undrain(place.engine, asked.disk))


def _show_plan(plan: RebalancePlan, _asked: NoRequest) -> None:
    write_line(f"to be moved: {count_text(plan.moves, 'shard')}, {size_text(plan.move_bytes)}")
    rows = [
        (disk.name, size_text(disk.stored_bytes), f"{disk.fill:.1%}", f"{disk.fill_after:.1%}")
        for disk in plan.disks
    ]
    write_table(("disk", ">stored", ">full now", ">after"), rows)


@operation(
    "disk.rebalance_plan",
    role="viewer",
    kind="question",
    route="GET /storage/rebalance",
    cli=Cli(command="disk rebalance", is_shown=False, show=_show_plan),
)
def rebalance_plan(place: Serving, _caller: Caller, _asked: NoRequest) -> RebalancePlan:
    """Tell what a rebalance would move."""
    from fsd.engine.rebalance import plan

    return plan(place.engine.store)


@operation(
    "disk.rebalance",
    role="operator",
    kind="work",
    route="POST /storage/rebalance",
    cli=Cli(dry_run=rebalance_plan, finish=finish_job),
)
def rebalance(place: Serving, _caller: Caller, _asked: NoRequest) -> JobStatus:
    """Move data until all disks are equally full, as after adding one.

    The number of copies never falls. Interrupted, it goes on with the same command again.
    """
    from fsd.engine.rebalance import rebalance

    return rebalance(place.engine).status()


# ---- Disks that go -------------------------------------------------------------------------------


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


def _show_removal(answer: RemovalAnswer, _asked: OneDisk) -> None:
    write_line(f"{'yes' if answer.safe else 'no'}: {answer.reason}")
    if answer.advice and not answer.safe:
        write_line(f"    {answer.advice}")


@operation(
    "disk.removal",
    role="viewer",
    kind="question",
    route="GET /storage/disks/{disk}/removal",
    cli=Cli(
        command="disk safe-to-remove",
        positional=("disk",),
        metavars={"disk": "NAME"},
        show=_show_removal,
        exit_code=lambda answer, _: 0 if answer.safe else EXIT_INCOMPLETE,
    ),
)
def removal(place: Serving, _caller: Caller, asked: OneDisk) -> RemovalAnswer:
    """Tell whether a disk can be taken away, and why not.

    Exit code 0 yes: every shard has all its copies elsewhere. 3 no.
    """
    from fsd.replicas.removal_check import may_be_removed

    disk = place.engine.store.disks.by_name(asked.disk)
    # A shard that nobody writes any more counts as what it is: whole, with its copies.
    place.engine.shard_writer.seal_idle()
    return may_be_removed(place.engine.store, disk)


class RetireWish(OneDisk):
    """Which disk, and what may be lost with it."""

    force: Annotated[bool, Field(description="Also when something would be lost; lists it.")] = (
        False
    )
    lost_shards_max: Annotated[
        int | None,
        Field(ge=0, description="Refused when more would be lost by then: as many as were told."),
    ] = None


def _ask_before_retiring(shell: Shell, asked: RetireWish) -> RetireWish:
    answer = ask(shell, removal, disk=asked.disk)
    if not answer.safe and not asked.force:
        raise UsageError(f"{answer.name} is needed: {answer.reason}; {answer.advice}")
    if answer.state == "retired":
        raise UsageError(f"{answer.name} is retired already; it can be taken out")
    say(f"{answer.name} ({answer.state}) will be retired for good:")
    say(f"  {answer.reason}")
    tell_loss(answer)
    shell.confirm()
    return RetireWish(disk=asked.disk, force=asked.force, lost_shards_max=answer.sole_shards)


@operation(
    "disk.retire",
    role="admin",
    kind="change",
    route="POST /storage/disks/{disk}/retire",
    cli=Cli(
        positional=("disk",),
        options={"lost_shards_max": ()},
        metavars={"disk": "NAME"},
        before=_ask_before_retiring,
        is_asked_before=True,
        show=lambda disk, _: say(f"{disk.name} is {disk.state}; it can be taken out"),
    ),
)
def retire(place: Serving, _caller: Caller, asked: RetireWish) -> DiskStatus:
    """Never use a disk again; refused while the store needs it.

    Its files stay on it, and a mark that it is retired. This cannot be undone.
    """
    from fsd.engine.drain import retire

    found = retire(
        place.engine, asked.disk, force=asked.force, lost_shards_max=asked.lost_shards_max
    )
    return _status(place, found)


class ReplaceWish(OneDisk):
    """The disk that goes, and the one that comes."""

    path: Annotated[PathText, Field(description="An empty folder: the new disk's root.")]
    name: Annotated[str | None, Field(description="The new disk's name.")] = None


_THERE = ("online", "draining", "readonly")


def _ask_before_replacing(shell: Shell, asked: ReplaceWish) -> ReplaceWish:
    path = os.path.abspath(asked.path)
    _tell_replacement(ask(shell, removal, disk=asked.disk), path, ask(shell, list_disks))
    shell.confirm()
    return ReplaceWish(disk=asked.disk, path=path, name=asked.name)


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


@operation(
    "disk.replace",
    role="admin",
    kind="work",
    route="POST /storage/disks/{disk}/replace",
    cli=Cli(
        positional=("disk", "path"),
        metavars={"disk": "OLD", "path": "NEW_PATH", "name": "NAME"},
        before=_ask_before_replacing,
        is_asked_before=True,
        finish=finish_job,
        example="drystone disk replace d2 /mnt/new-hdd",
    ),
)
def replace(place: Serving, _caller: Caller, asked: ReplaceWish) -> JobStatus:
    """Put a new disk in the place of an old one, alive or dead.

    A living one is emptied and retired, a dead one is declared gone and its copies are made again.
    Interrupted, it goes on with the same command again.
    """
    from fsd.engine.drain import replace

    return replace(place.engine, asked.disk, asked.path, asked.name).status()
