"""The commands that move files in and out of the store: it owns `put get head ls`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import EXIT_CODES, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import LISTED_MAX, list_some, say, write_json, write_line, write_table
from base.text import size_text, time_text
from fsd.cli.output import problem_text
from fsd.cli.session import connect, detach_on_interrupt, end_with, follow, job_summary, open_config

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.disks.config import Config
    from fsd.documents.models import JobStatus

app = typer.Typer()

BatchOption = Annotated[
    str, typer.Option("--batch", metavar="NAME", help="Name of the batch; put again to resume it.")
]


@app.command(epilog=EXIT_CODES)
def put(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="All regular files below it.")],
    batch: BatchOption,
    class_name: Annotated[
        Literal["raw", "generated"],
        typer.Option("--class", help="raw: cannot be made again. generated: can be."),
    ] = "raw",
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Store a folder as a batch.

    Returns when every file is on its disks and verified. Symbolic links that lead out of the
    folder, sockets, devices and unreadable files are skipped, reported, and make the exit code 3.

    \b
    Example:
      drystone put ~/scrape/2024-11-20 --batch cats-1
    """
    if not os.path.isdir(folder):
        raise UsageError(f"{folder!a} is not a folder")
    client = connect(config)
    job = client.batch_write(os.path.abspath(folder), batch, class_name)
    if json_output:
        with detach_on_interrupt(job.job_id):
            _write_put_report(client, job.job_id)
            job = client.wait(job.job_id)
    else:
        job = follow(client, job.job_id)
        _say_put_summary(client, job)
    end_with(job)
    if _problem_count(job):
        raise typer.Exit(EXIT_INCOMPLETE)


def _write_put_report(client: Client, job_id: str) -> None:
    for line in client.report(job_id):
        write_json({name: value for name, value in line.items() if name != "reason" or value})


def _say_put_summary(client: Client, job: JobStatus) -> None:
    say(job_summary(job))
    count = _problem_count(job)
    if count:
        lines = (line for line in client.report(job.job_id) if line["reason"])
        list_some([problem_text(line) for line in islice(lines, LISTED_MAX)], count)


def _problem_count(job: JobStatus) -> int:
    return job.result.get("skipped", 0) + job.result.get("failed", 0)


@app.command(epilog=EXIT_CODES)
def get(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The file's sha256.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="A new file; without it, stdout."),
    ] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Read one stored file, verified.

    \b
    Example:
      drystone get KEY -o cat.jpg
    """
    if output is None and json_output:
        raise UsageError("--json needs --output FILE: stdout can carry one of them")
    if output is not None and os.path.lexists(output):
        raise UsageError(f"{output!a} exists; nothing is overwritten")
    settings = open_config(config)
    client = connect(config)
    if output is None:
        _stream(client, settings, key)
        return
    head = client.read(key, os.path.abspath(output))
    if json_output:
        write_json(head)
    else:
        say(f"{output}: {size_text(head.size_bytes)}, verified")


def _stream(client: Client, settings: Config, key: str) -> None:
    """Copy an object to stdout; nothing appears there before all of it is verified."""
    with tempfile.TemporaryDirectory(prefix="get-", dir=settings.run_dir) as folder:
        path = os.path.join(folder, "object")
        client.read(key, path)
        with open(path, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()


@app.command(epilog=EXIT_CODES)
def head(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The file's sha256.")],
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell where a stored file lies, and its copies."""
    client = connect(config)
    answer = client.head(key)
    if json_output:
        write_json(answer)
        return
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


@app.command("ls", epilog=EXIT_CODES)
def list_batch(
    batch: Annotated[str | None, typer.Argument(metavar="BATCH", help="Its files.")] = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the batches, or the files of one.

    A file is key, size and path; with --json it is a line of a manifest.

    \b
    Example, a folder of the first hundred files:
      drystone ls BATCH --json | head -100 |
        drystone export - --id first --layout plain --mode view
    """
    client = connect(config)
    if batch is None:
        _write_batches(client, json_output)
        return
    for file in client.batch_files(batch):
        if json_output:
            write_json({"path": file.path, "key": file.key, "size_bytes": file.size_bytes})
        else:
            write_line(f"{file.key}  {file.size_bytes:>12}  {file.path}")


def _write_batches(client: Client, json_output: bool) -> None:
    batches = client.batches()
    if json_output:
        write_json(batches)
        return
    rows = [
        (
            batch.batch,
            batch.class_name,
            f"{batch.files:,}",
            size_text(batch.size_bytes),
            time_text(batch.created),
            "complete" if batch.sealed else "unfinished",
        )
        for batch in batches
    ]
    write_table(("batch", "class", ">files", ">size", "created", "state"), rows)
