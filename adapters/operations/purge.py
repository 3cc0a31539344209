"""Operations that delete an ingest batch for good, in the store and for the database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from base.config import find_config
from base.model import Document
from base.operations.operation import Caller, Cli, Shell, operation
from base.output import say, write_json, write_line
from base.text import count_text, safe_text, size_text
from fsd import JobStatus

if TYPE_CHECKING:
    from adapters.ingest.purge import PurgePlace


@contextmanager
def opened(config: str | None) -> Generator[PurgePlace]:
    """Yield a store, whose jobs are followed on the terminal, and its database."""
    from adapters.ingest.purge import PurgePlace
    from fsd import follow_job

    yield PurgePlace(find_config(config), say, follow_job)


class PurgeRequest(Document):
    """Which batch goes."""

    batch: Annotated[str, Field(description="The batch that goes.")]


class PurgeLook(Document):
    """What would go of a batch of the store: a job that looked, and what stays for whom."""

    job: JobStatus
    stays: list[dict[str, Any]]


class Purged(Document):
    """What is gone: the store's jobs, and how many nodes have no bytes any more.

    The latter is None when the database does not know the batch.
    """

    jobs: list[JobStatus]
    nodes: int | None


def _finish_plan(shell: Shell, looks: list[PurgeLook], _asked: PurgeRequest) -> int:
    for look in looks:
        if shell.is_json:
            for line in look.stays:
                write_json(line)
            write_json(look.job)
            continue
        _tell(look.job.result, "would be ")
        for line in look.stays:
            size = size_text(line["size_bytes"])
            holder = safe_text(str(line["holder"]))
            write_line(f"  stays: {count_text(line['objects'], 'object')}, {size}: {holder}")
    return 0


def _tell(result: dict[str, Any], would: str) -> None:
    size = size_text(result["purged_bytes"])
    write_line(
        f"{safe_text(str(result['batch']))}: {count_text(result['files'], 'file')}; "
        f"{count_text(result['purged_objects'], 'object')} ({size}) {would}deleted"
    )
    rows = [
        ("kept for others", count_text(result["kept_objects"], "object"), result["kept_bytes"]),
        (
            "free after the grace",
            count_text(result["dropped_shards"], "shard"),
            result["dropped_bytes"],
        ),
        ("left to compact", count_text(result["garbage_shards"], "shard"), result["garbage_bytes"]),
    ]
    for name, count, size_bytes in rows:
        write_line(f"  {name:<21} {count}, {size_text(size_bytes)}")
    if lost := result["lost_parts"]:
        say(
            f"lost of its list of files: {count_text(lost, 'part')}. What a file was before "
            "another content took its path is not known, and may stay"
        )


@operation(
    "ingest.purge_plan",
    role="admin",
    kind="question",
    route="POST /ingest/purge/plan",
    cli=Cli(command="purge", is_shown=False, finish=_finish_plan),
    is_private=True,
)
def purge_plan(place: PurgePlace, _caller: Caller, asked: PurgeRequest) -> list[PurgeLook]:
    """Tell what a purge would delete, and what stays and why."""
    from adapters.ingest.purge import look, plan

    known = plan(place, asked.batch)
    jobs = [look(place, name) for name in ((asked.batch,) if known is None else known)]
    return [PurgeLook(job=job, stays=list(place.store.report(job.job_id))) for job in jobs]


def _ask(shell: Shell, asked: PurgeRequest) -> PurgeRequest:
    if not shell.is_sure:
        from base.operations.commands import local_caller

        _finish_plan(shell, purge_plan(shell.place, local_caller(), asked), asked)
    shell.confirm("Delete this for good?")
    return asked


def _finish(shell: Shell, gone: Purged, asked: PurgeRequest) -> int:
    for job in gone.jobs:
        if shell.is_json:
            write_json(job)
        else:
            _tell(job.result, "")
    if gone.nodes is not None:
        nodes = count_text(gone.nodes, "node")
        say(f"the database: {nodes} of {safe_text(asked.batch)} without bytes now")
    return 0


@operation(
    "ingest.purge",
    role="admin",
    kind="change",
    route="POST /ingest/purge",
    cli=Cli(
        command="purge",
        metavars={"batch": "NAME"},
        dry_run=purge_plan,
        before=_ask,
        is_asked_before=True,
        finish=_finish,
        example="drystone purge --batch flickr-2024-05 --dry-run",
    ),
    is_private=True,
)
def purge(place: PurgePlace, _caller: Caller, asked: PurgeRequest) -> Purged:
    """Delete a batch for good, with every object that nothing else refers to.

    What other batches, published views, pinned manifests or running exports refer to stays. A batch
    that was ingested goes with all that the store has of it; the database hides its nodes first, so
    that selectors and datasets count them no more. Interrupted, the same again goes on. All
    disks have to be there. The space comes back after a grace (an hour of the engine's uptime), or
    by `drystone compact` where the batch shares shards with others. This cannot be undone.
    """
    from adapters.ingest.purge import purge

    jobs, nodes = purge(place, asked.batch)
    return Purged(jobs=jobs, nodes=nodes)
