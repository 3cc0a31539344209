"""What all commands share: the options every one of them has, and the way to engine and jobs.

It owns how a long job is followed and what its end means for the exit code; commands own what they
ask and what they print.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from base.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_INTERRUPTED
from base.options import ConfigOption, JsonOption
from base.output import say
from base.text import duration_text, size_text
from fsd.cli.output import Progress, counts_text

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.disks.config import Config
    from fsd.documents.models import JobStatus

__all__ = ["ConfigOption", "JsonOption"]


def open_config(given: str | None) -> Config:
    """Read the configuration that a command was pointed at."""
    from base.config import find_config
    from fsd.disks.config import load_config

    return load_config(find_config(given))


def connect(given: str | None) -> Client:
    """Return the client of the store that a command was pointed at."""
    from fsd.client.client import Client

    return Client(open_config(given).socket_path)


@contextmanager
def detach_on_interrupt(job_id: str) -> Generator[None]:
    """Let Ctrl-C leave the job to the engine, and say how to find it again."""
    try:
        yield
    except KeyboardInterrupt:
        say(
            f"\ndetached: job {job_id} goes on in the engine\n"
            f"  follow it again: drystone job wait {job_id}\n"
            f"  stop it:         drystone job cancel {job_id}"
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def follow(client: Client, job_id: str) -> JobStatus:
    """Show a job's progress until it ends, in whatever state."""
    progress = Progress()
    with detach_on_interrupt(job_id):
        try:
            return client.wait(job_id, progress)
        finally:
            progress.close()


def exit_code_of(job: JobStatus) -> int:
    """Return what a job's end means: 0 done, 3 incomplete, 1 failed or cancelled."""
    return {"done": 0, "incomplete": EXIT_INCOMPLETE}.get(job.state, EXIT_FAILED)


def end_with(job: JobStatus) -> None:
    """End the command with the job's exit code, and its reason when it has one."""
    if job.error:
        say(f"drystone: {job.error}")
    if exit_code_of(job):
        raise typer.Exit(exit_code_of(job))


def job_summary(job: JobStatus, *, rate: bool = True, counts: bool = True) -> str:
    """Return one line on a job that ended: how long, how fast, and what its result counts."""
    took_s = job_duration_s(job)
    parts = [f"{job.kind} {job.state} in {duration_text(took_s)}"]
    if rate and job.done_bytes and took_s > 0:
        parts.append(f"{size_text(job.done_bytes / took_s)}/s")
    if counts and (numbers := counts_text(job.result)):
        parts.append(numbers)
    return ", ".join(parts)


def job_duration_s(job: JobStatus) -> float:
    """Return how long a job took, or 0 when its times do not tell."""
    from datetime import datetime

    if not job.finished:
        return 0.0
    try:
        took = datetime.fromisoformat(job.finished) - datetime.fromisoformat(job.started)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, took.total_seconds())
