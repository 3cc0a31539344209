"""Operations around deleting: purge, compaction, and the pins that keep what they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from base.operations.operation import Caller, Cli, NoRequest, operation
from base.output import say, write_line, write_table
from base.text import count_text, size_text, time_text
from fsd.documents.models import Document, JobStatus
from fsd.documents.names import Name
from fsd.documents.purge_models import (
    CompactPlan,
    CompactRequest,
    PinRequest,
    PinStatus,
    PurgeRequest,
)
from fsd.operations.jobs import finish_job

if TYPE_CHECKING:
    from fsd.format.catalog import Pin
    from fsd.operations.place import Serving

PIN_TIMEOUT_S = 900.0
"""The engine reads and checks the whole manifest before it answers: millions of lines."""


class OnePin(Document):
    """Which pin."""

    name: Annotated[Name, Field(description="What the pin is called.")]


@operation(
    "storage.purge",
    role="admin",
    kind="work",
    route="POST /storage/purge",
    is_private=True,
)
def purge(place: Serving, _caller: Caller, asked: PurgeRequest) -> JobStatus:
    """Delete a batch of the store for good; the database has to have hidden it first.

    A dry run tells in its result and report what would go, what stays and because of whom.
    """
    from fsd.delete.purge import purge

    return purge(place.engine.dropper, asked).status()


# ---- Compaction ----------------------------------------------------------------------------------


def _show_plan(plan: CompactPlan, _asked: CompactRequest) -> None:
    write_line(
        f"to be compacted: {count_text(plan.shards, 'shard')} ({size_text(plan.shard_bytes)}); "
        f"{size_text(plan.live_bytes)} copied, {size_text(plan.garbage_bytes)} freed, of each copy"
    )
    write_line(f"{size_text(plan.store_garbage_bytes)} of garbage in all shards")
    if plan.small_shards:
        small = f"{count_text(plan.small_shards, 'small shard')} ({size_text(plan.small_bytes)})"
        write_line(f"to be written together: {small}")
    write_line(
        f"waiting for the end of their grace: {count_text(plan.waiting_shards, 'empty shard')} "
        f"({size_text(plan.waiting_bytes)})"
    )


@operation(
    "storage.compact_plan",
    role="viewer",
    kind="question",
    route="GET /storage/compact",
    cli=Cli(command="compact", is_shown=False, show=_show_plan),
)
def compact_plan(place: Serving, _caller: Caller, asked: CompactRequest) -> CompactPlan:
    """Tell what a compaction would copy and free."""
    from fsd.delete.compact import plan

    return plan(place.engine, asked.dead_share)


@operation(
    "storage.compact",
    role="operator",
    kind="work",
    route="POST /storage/compact",
    cli=Cli(
        command="compact",
        options={"dead_share": ("--above",)},
        metavars={"dead_share": "P"},
        dry_run=compact_plan,
        finish=finish_job,
    ),
)
def compact(place: Serving, _caller: Caller, asked: CompactRequest) -> JobStatus:
    """Give the space of purged objects back: what lives beside them is written into fresh shards.

    So are small shards, once there are eight of them, for four whole ones at most each time.
    Readers are not disturbed, and the old shards go after a grace. Interrupted or cancelled, it
    goes on with the same command again.
    """
    from fsd.delete.compact import compact

    return compact(place.engine.dropper, asked.dead_share).status()


# ---- Pins ----------------------------------------------------------------------------------------


def _status(pin: Pin) -> PinStatus:
    from fsd.store.job import timestamp

    return PinStatus(
        name=pin.name, manifest=pin.manifest_key, created=timestamp(pin.created_ns / 1e9)
    )


@operation(
    "pin.list",
    role="viewer",
    kind="question",
    route="GET /storage/pins",
    cli=Cli(
        command="pins",
        show=lambda found, _: write_table(
            ("name", "manifest", "since"),
            [(one.name, one.manifest, time_text(one.created)) for one in found],
        ),
    ),
)
def pins(place: Serving, _caller: Caller, _asked: NoRequest) -> list[PinStatus]:
    """List the pinned manifests."""
    store = place.engine.store
    with store.lock:
        known = sorted(store.shards.state.pins.values(), key=lambda pin: pin.name)
    return [_status(pin) for pin in known]


@operation(
    "pin.add",
    role="operator",
    kind="change",
    route="POST /storage/pins",
    cli=Cli(
        command="pin",
        positional=("manifest", "name"),
        metavars={"manifest": "KEY", "name": "NAME"},
        show=lambda pinned, _: say(f"{pinned.name} keeps {pinned.manifest} and all it names"),
    ),
    timeout_s=PIN_TIMEOUT_S,
)
def pin(place: Serving, _caller: Caller, asked: PinRequest) -> PinStatus:
    """Keep a manifest and all it names, whatever is purged, until `unpin`."""
    from fsd.compile.references import pin_manifest

    engine = place.engine
    return _status(pin_manifest(engine.store, engine.references, asked.name, asked.manifest))


@operation(
    "pin.remove",
    role="operator",
    kind="change",
    route="DELETE /storage/pins/{name}",
    cli=Cli(
        command="unpin",
        positional=("name",),
        metavars={"name": "NAME"},
        show=lambda gone, _: say(f"{gone.name} is not pinned any more"),
    ),
)
def unpin(place: Serving, _caller: Caller, asked: OnePin) -> OnePin:
    """Let a pinned manifest go; what it names may then be purged with its batch."""
    from fsd.compile.references import unpin

    unpin(place.engine.store, asked.name)
    return asked
