"""Operations that delete a batch, or single contents, for good: in the store and the database."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Self

from pydantic import Field, model_validator

from base.config import find_config
from base.errors import UsageError
from base.model import Document
from base.operations.operation import Caller, Cli, Load, Shell, operation
from base.output import say, write_json, write_line
from base.text import count_text, safe_text, size_text
from fsd import JobStatus, Key, check_key

if TYPE_CHECKING:
    from adapters.ingest.purge import PurgePlace


@contextmanager
def opened(config: str | None) -> Generator[PurgePlace]:
    """Yield a store, whose jobs are followed on the terminal, and its database."""
    from adapters.ingest.purge import PurgePlace
    from fsd import follow_job

    yield PurgePlace(find_config(config), say, follow_job)


KEYS_MAX = 100_000
KEYS_FILE_BYTES_MAX = 64 << 20
UNKNOWN_SHOWN_MAX = 20
STATUSES = ("stays", "named", "unknown")
"""Of lines of a store's report."""


class PurgeRequest(Document):
    """Which batch goes, or which single contents."""

    batch: Annotated[str | None, Field(description="The batch that goes.")] = None
    keys: Annotated[
        list[Key] | None,
        Field(
            min_length=1,
            max_length=KEYS_MAX,
            description="Contents that go, in place of a batch, whatever batches name them: a "
            "file with a key at the beginning of each line, or JSON lines with a field `key`; `-` "
            "reads stdin.",
        ),
    ] = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.batch is None) == (self.keys is None):
            raise ValueError("name a batch that goes, or keys")
        return self


class NamedBy(Document):
    """Who knows some of the contents that would go, and how many of them."""

    holder: str
    nodes: int


class PurgeLook(Document):
    """What would go of a batch of the store, or of single contents.

    A job that looked, what stays for whom, and, of single contents, what names them: batches of the
    store, and what of the database knows them, which goes on knowing that they were.
    """

    job: JobStatus
    stays: list[dict[str, Any]]
    named_by: tuple[NamedBy, ...] = ()
    unknown: tuple[str, ...] = ()
    """Keys, the first of them, that the store does not know."""


class Purged(Document):
    """What is gone: the store's jobs, and how many nodes have no bytes any more.

    The latter is None when the database does not know the batch.
    """

    jobs: list[JobStatus]
    nodes: int | None


def _read_keys(file: str | None) -> list[str] | None:
    """Return the keys of a file, a line each: the first word, or the field `key` of JSON."""
    if file is None:
        return None
    with sys.stdin.buffer if file == "-" else _opened(file) as lines:
        data = lines.read(KEYS_FILE_BYTES_MAX + 1)
    if len(data) > KEYS_FILE_BYTES_MAX:
        raise UsageError(f"{safe_text(file)} is larger than {size_text(KEYS_FILE_BYTES_MAX)}")
    found: list[str] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        word: object = line.split()[0]
        if line.lstrip().startswith("{"):
            with suppress(ValueError):
                word = json.loads(line).get("key")
        try:
            found.append(check_key(str(word)))
        except UsageError as error:
            raise UsageError(f"line {number} of {safe_text(file)}: {error}") from None
    if not found:
        raise UsageError(f"{safe_text(file)} has no keys")
    return list(dict.fromkeys(found))


def _opened(file: str) -> BinaryIO:
    try:
        return open(file, "rb")
    except OSError as error:
        raise UsageError(f"{safe_text(file)}: {error.strerror}") from error


def _finish_plan(shell: Shell, looks: list[PurgeLook], _asked: PurgeRequest) -> int:
    for look in looks:
        if shell.is_json:
            for line in (*look.stays, *look.named_by):
                write_json(line)
            write_json(look.job)
            continue
        _tell(look.job.result, "would be ")
        for one in look.named_by:
            write_line(f"  named by: {safe_text(one.holder)} ({count_text(one.nodes, 'of them')})")
        for key in look.unknown[:UNKNOWN_SHOWN_MAX]:
            write_line(f"  not in the store: {key}")
        for line in look.stays:
            size = size_text(line["size_bytes"])
            holder = safe_text(str(line["holder"]))
            write_line(f"  stays: {count_text(line['objects'], 'object')}, {size}: {holder}")
    return 0


def _tell(result: dict[str, Any], would: str) -> None:
    size = size_text(result["purged_bytes"])
    gone = f"{count_text(result['purged_objects'], 'object')} ({size}) {would}deleted"
    if result["batch"]:
        files = count_text(result["files"], "file")
        write_line(f"{safe_text(str(result['batch']))}: {files}; {gone}")
    else:
        before, unknown = result["purged_before"], result["unknown_objects"]
        more = f", {before:,} purged before" * (before > 0)
        more += f", {unknown:,} not in the store" * (unknown > 0)
        write_line(f"{count_text(result['files'], 'key')}: {gone}{more}")
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

    if asked.keys is not None:
        return [_look_at_keys(place, asked.keys)]
    assert asked.batch is not None
    known = plan(place, asked.batch)
    jobs = [look(place, name) for name in ((asked.batch,) if known is None else known)]
    return [PurgeLook(job=job, stays=list(place.store.report(job.job_id))) for job in jobs]


def _look_at_keys(place: PurgePlace, keys: list[str]) -> PurgeLook:
    from adapters.ingest.purge import look_at_keys, named_by

    job = look_at_keys(place, keys)
    lines = list(place.store.report(job.job_id))
    by_status = {status: [one for one in lines if one["status"] == status] for status in STATUSES}
    named = [NamedBy(holder=one["holder"], nodes=one["objects"]) for one in by_status["named"]]
    named += [NamedBy(holder=holder, nodes=count) for holder, count in named_by(place, keys)]
    unknown = [one["key"] for one in by_status["unknown"]]
    stays = by_status["stays"]
    return PurgeLook(job=job, stays=stays, named_by=tuple(named), unknown=tuple(unknown))


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
        of = f" of {safe_text(asked.batch)}" if asked.batch is not None else ""
        say(f"the database: {nodes}{of} without bytes now")
    return 0


@operation(
    "ingest.purge",
    role="admin",
    kind="change",
    route="POST /ingest/purge",
    cli=Cli(
        command="purge",
        metavars={"batch": "NAME", "keys": "FILE"},
        loads={"keys": Load(_read_keys, is_needed=False)},
        dry_run=purge_plan,
        before=_ask,
        is_asked_before=True,
        finish=_finish,
        example="drystone purge --batch flickr-2024-05 --dry-run",
    ),
    is_private=True,
)
def purge(place: PurgePlace, _caller: Caller, asked: PurgeRequest) -> Purged:
    """Delete a batch or single files for good; what something else refers to stays.

    A batch goes with every object that no other batch, published view, pinned manifest or running
    export refers to. One that was ingested goes with all that the store has of it. Single files go
    by their keys, whichever batches name them: these keep all their others, and what views, pins
    and exports refer to stays. The database hides the nodes first, so that selectors and datasets
    count them no more. Interrupted, the same again goes on. All disks have to be there. The space
    comes back after a grace (an hour of the engine's uptime), or by `drystone compact` where it is
    shared with what stays. This cannot be undone.
    """
    from adapters.ingest.purge import purge, purge_keys

    if asked.keys is not None:
        jobs, nodes = purge_keys(place, asked.keys)
        return Purged(jobs=jobs, nodes=nodes)
    assert asked.batch is not None
    jobs, nodes = purge(place, asked.batch)
    return Purged(jobs=jobs, nodes=nodes)
