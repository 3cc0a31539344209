"""Operations that move files in and out of the store, and list its batches."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from base.errors import EXIT_INCOMPLETE, UsageError
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import (
    LISTED_MAX,
    json_text,
    list_some,
    say,
    write_json,
    write_line,
    write_table,
)
from base.text import size_text, time_text
from fsd.documents.models import (
    BatchFile,
    BatchStatus,
    BatchWriteRequest,
    Document,
    JobStatus,
    KnownRequest,
    ObjectHead,
    PurgedRequest,
)
from fsd.documents.names import Key, Name, PathText
from fsd.operations.jobs import detach_on_interrupt, exit_code_of, follow, job_summary, report_of
from fsd.operations.progress import problem_text

if TYPE_CHECKING:
    from fsd.operations.place import Serving
    from fsd.store.index import BatchRow

PUT_TIMEOUT_S = 900.0
"""The engine reads the list of files before it answers."""
READ_TIMEOUT_S = 3_600.0
"""The engine answers when the object is written: a large video from a slow disk."""
STDOUT = "-"


# ---- Put -----------------------------------------------------------------------------------------


class PutWish(BatchWriteRequest):
    """Store every file of a folder, or the listed files of it, as one ingest batch."""

    batch: Annotated[Name, Field(description=BatchWriteRequest.model_fields["batch"].description)]


def _check_folder(_shell: Shell, asked: PutWish) -> PutWish:
    if not os.path.isdir(asked.folder):
        raise UsageError(f"{asked.folder!a} is not a folder")
    return asked.model_copy(update={"folder": os.path.abspath(asked.folder)})


def _finish_put(shell: Shell, job: JobStatus, _asked: PutWish) -> int:
    if shell.is_json:
        with detach_on_interrupt(job.job_id):
            for line in report_of(shell, job.job_id):
                told = {name: value for name, value in line.items() if name != "reason" or value}
                write_json(told)
            job = shell.place.wait(job.job_id)
    else:
        job = follow(shell.place, job.job_id)
        say(job_summary(job))
        if count := _problem_count(job):
            lines = (line for line in report_of(shell, job.job_id) if line["reason"])
            list_some([problem_text(line) for line in islice(lines, LISTED_MAX)], count)
    return exit_code_of(job) or (EXIT_INCOMPLETE if _problem_count(job) else 0)


def _problem_count(job: JobStatus) -> int:
    return job.result.get("skipped", 0) + job.result.get("failed", 0)


@operation(
    "storage.put",
    role="admin",
    kind="work",
    route="POST /storage/batches",
    cli=Cli(
        command="put",
        positional=("folder",),
        options={"class_name": ("--class",), "files": ()},
        metavars={"folder": "FOLDER", "batch": "NAME", "class_name": "[raw|generated]"},
        before=_check_folder,
        finish=_finish_put,
        example="drystone put ~/scrape/2024-11-20 --batch cats-1",
    ),
    is_private=True,
    timeout_s=PUT_TIMEOUT_S,
)
def put(place: Serving, _caller: Caller, asked: PutWish) -> JobStatus:
    """Store a folder as a batch.

    Returns when every file is on its disks and verified. Symbolic links that lead out of the
    folder, sockets, devices and unreadable files are skipped, reported, and make the exit code 3.
    """
    return place.engine.batch_write(asked).status()


# ---- Batches -------------------------------------------------------------------------------------


class OneBatch(Document):
    """Which batch."""

    batch: Annotated[Name, Field(description="As `drystone ls` lists it.")]


def _row(place: Serving, name: str) -> BatchRow:
    from fsd.format.errors import NotFoundError

    store = place.engine.store
    store.refuse_unfinished()
    with store.index.read() as reader:
        row = reader.batch(name)
    if row is None:
        raise NotFoundError(f"there is no batch {name}; `drystone ls` lists them")
    return row


def _status(row: BatchRow) -> BatchStatus:
    from fsd.store.job import timestamp

    return BatchStatus(
        batch=row.name,
        class_name=row.class_name,  # pyright: ignore[reportArgumentType]
        created=timestamp(row.created_ns / 1e9),
        sealed=row.sealed,
        files=row.files,
        size_bytes=row.size_bytes,
    )


def _show_batches(found: list[BatchStatus], _asked: NoRequest) -> None:
    rows = [
        (
            batch.batch,
            batch.class_name,
            f"{batch.files:,}",
            size_text(batch.size_bytes),
            time_text(batch.created),
            "complete" if batch.sealed else "unfinished",
        )
        for batch in found
    ]
    write_table(("batch", "class", ">files", ">size", "created", "state"), rows)


@operation(
    "storage.batches",
    role="viewer",
    kind="question",
    route="GET /storage/batches",
    cli=Cli(command="ls", is_shown=False, show=_show_batches),
)
def batches(place: Serving, _caller: Caller, _asked: NoRequest) -> list[BatchStatus]:
    """List the batches of the store."""
    from fsd.repair.projection import HIDDEN_PREFIX

    store = place.engine.store
    store.refuse_unfinished()
    with store.index.read() as reader:
        return [_status(row) for row in reader.batches() if not row.name.startswith(HIDDEN_PREFIX)]


@operation(
    "storage.batch",
    role="viewer",
    kind="question",
    route="GET /storage/batches/{batch}",
)
def batch(place: Serving, _caller: Caller, asked: OneBatch) -> BatchStatus:
    """Describe a batch of the store."""
    return _status(_row(place, asked.batch))


@operation(
    "storage.seal",
    role="operator",
    kind="change",
    route="POST /storage/batches/{batch}/seal",
    cli=Cli(
        command="seal",
        positional=("batch",),
        metavars={"batch": "BATCH"},
        show=lambda sealed, _: say(f"{sealed.batch} is complete: {sealed.files:,} files"),
    ),
)
def seal(place: Serving, _caller: Caller, asked: OneBatch) -> BatchStatus:
    """Seal a batch that was kept open: nothing more comes into it."""
    return _status(place.engine.seal_batch(asked.batch))


def _show_file(file: BatchFile, _asked: OneBatch) -> None:
    write_line(f"{file.key}  {file.size_bytes:>12}  {file.path}")


@operation(
    "storage.files",
    items=BatchFile,
    role="viewer",
    kind="stream",
    route="GET /storage/batches/{batch}/files",
    cli=Cli(
        command="ls",
        positional=("batch",),
        metavars={"batch": "BATCH"},
        instead={("batch", None): batches},
        show=_show_file,
        example="drystone ls BATCH --json | head -100 |    # a folder of the first hundred files\n"
        "    drystone export - --id first --layout plain --mode view",
    ),
)
def files(place: Serving, _caller: Caller, asked: OneBatch) -> Iterator[bytes]:
    """List the batches, or the files of one.

    A file is key, size and path; with --json it is a line of a manifest.
    """
    from fsd.compile.lost_parts import newest_first

    store, row = place.engine.store, _row(place, asked.batch)
    with store.index.read() as reader:
        parts = reader.batch_parts(asked.batch)

    def lines() -> Iterator[bytes]:
        seen: set[str] = set()
        # The newest part wins: a batch that was resumed may name a path twice.
        for listed in newest_first(store, row, parts):
            fresh = [file for file in listed if file.path not in seen]
            seen |= {file.path for file in fresh}
            yield "".join(json_text(file._asdict()) + "\n" for file in fresh).encode()

    return lines()


# ---- Objects -------------------------------------------------------------------------------------


class OneObject(Document):
    """Which object."""

    key: Key


class ReadWish(OneObject):
    """Which object, and where its bytes are wanted."""

    output: Annotated[PathText, Field(description="A new file; without it, stdout.")] = STDOUT


def _show_head(answer: ObjectHead, _asked: OneObject) -> None:
    rows = [
        ("key", answer.key),
        ("size", f"{answer.size_bytes:,} bytes"),
        ("class", answer.class_name),
        ("copies", f"{answer.copies} of {answer.copies_target}"),
        ("disks", ", ".join(answer.disks)),
        ("place", f"byte {answer.offset:,} of shard {answer.shard_id}"),
    ]
    for name, value in rows:
        write_line(f"{name:<7} {value}")


@operation(
    "object.head",
    role="viewer",
    kind="question",
    route="GET /storage/objects/{key}",
    cli=Cli(command="head", positional=("key",), metavars={"key": "KEY"}, show=_show_head),
)
def head(place: Serving, _caller: Caller, asked: OneObject) -> ObjectHead:
    """Tell where a stored file lies, and its copies."""
    from fsd.store import read

    return read.head(place.engine.store, bytes.fromhex(asked.key))


def _into_a_file(shell: Shell, asked: ReadWish) -> ReadWish:
    if asked.output != STDOUT:
        if os.path.lexists(asked.output):
            raise UsageError(f"{asked.output!a} exists; nothing is overwritten")
        return asked.model_copy(update={"output": os.path.abspath(asked.output)})
    if shell.is_json:
        raise UsageError("--json needs --output FILE: stdout can carry one of them")
    # Nothing appears on stdout before all of it is verified.
    folder = tempfile.TemporaryDirectory(prefix=_UNSEEN, dir=shell.place.run_dir)
    path = os.path.join(shell.stack.enter_context(folder), "object")
    return asked.model_copy(update={"output": path})


_UNSEEN = "get-"


def _finish_read(shell: Shell, answer: ObjectHead, asked: ReadWish) -> int:
    if os.path.dirname(asked.output).startswith(os.path.join(shell.place.run_dir, _UNSEEN)):
        with open(asked.output, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
    elif shell.is_json:
        write_json(answer)
    else:
        say(f"{asked.output}: {size_text(answer.size_bytes)}, verified")
    return 0


@operation(
    "object.read",
    role="admin",
    kind="change",
    route="POST /storage/objects/{key}/read",
    cli=Cli(
        command="get",
        positional=("key",),
        options={"output": ("--output", "-o")},
        metavars={"key": "KEY", "output": "FILE"},
        before=_into_a_file,
        finish=_finish_read,
        example="drystone get KEY -o cat.jpg",
    ),
    is_private=True,
    timeout_s=READ_TIMEOUT_S,
)
def read(place: Serving, _caller: Caller, asked: ReadWish) -> ObjectHead:
    """Read one stored file, verified."""
    from fsd.store import read

    store, key = place.engine.store, bytes.fromhex(asked.key)
    read.read_to_file(store, key, asked.output)
    return read.head(store, key)


@operation(
    "object.known",
    role="viewer",
    kind="question",
    route="POST /storage/objects/known",
)
def known(place: Serving, _caller: Caller, asked: KnownRequest) -> list[str]:
    """Tell which of these keys the store has objects of; reads no object."""
    from fsd.store import read

    return read.known(place.engine.store, asked.keys)


@operation(
    "object.purged",
    role="viewer",
    kind="question",
    route="POST /storage/objects/purged",
    is_private=True,
)
def purged(place: Serving, _caller: Caller, asked: PurgedRequest) -> list[str]:
    """Tell which of these keys were purged by themselves, and not stored again since."""
    from fsd.store.purged_keys import purged_by_key

    return purged_by_key(place.engine.store, asked.keys, asked.batch)


@operation(
    "object.heal",
    role="operator",
    kind="change",
    route="POST /storage/objects/{key}/heal",
    is_private=True,
)
def heal(place: Serving, _caller: Caller, asked: OneObject) -> bool:
    """Look at an object that could not be read; true when it lies elsewhere since then."""
    from fsd.repair.index_heal import heal_place

    return heal_place(place.engine.store, bytes.fromhex(asked.key))
