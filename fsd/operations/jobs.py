"""The engine's jobs as operations, and how a command follows one to its end.

A job runs in the engine and ends with it; a command only follows it, and may leave it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from base.errors import EXIT_FAILED, EXIT_INCOMPLETE, EXIT_INTERRUPTED
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import list_some, say, write_json, write_line, write_table
from base.text import duration_text, size_text, time_text
from fsd.documents.models import Document, JobStatus
from fsd.documents.names import Name
from fsd.operations.place import ask
from fsd.operations.progress import Progress, counts_text, problem_text, progress_text

if TYPE_CHECKING:
    from fsd.operations.place import Serving

PROBLEMS_KEPT_MAX = 100
PROGRESS_STEP_S = 0.25
REPORT_POLL_S = 0.1
WAIT_POLL_S = 0.02
WAIT_S_MAX = 60.0

JobId = Annotated[Name, Field(description="As `drystone jobs` lists it.")]


class OneJob(Document):
    """Which job."""

    job_id: JobId


class WaitRequest(OneJob):
    """Which job, and how long to wait for its end."""

    wait_s: Annotated[float, Field(ge=0, le=WAIT_S_MAX, description="Seconds, at the most.")] = 0.0


# ---- What a command does with a job --------------------------------------------------------------


@contextmanager
def detach_on_interrupt(job_id: str) -> Generator[None]:
    """Let Ctrl-C leave the job to the engine, and say how to find it again."""
    try:
        yield
    except KeyboardInterrupt:
        import typer

        say(
            f"\ndetached: job {job_id} goes on in the engine\n"
            f"  follow it again: drystone job wait {job_id}\n"
            f"  stop it:         drystone job cancel {job_id}"
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def follow(store: Any, job_id: str) -> JobStatus:
    """Show a job's progress until it ends, in whatever state; `store` is the client."""
    progress = Progress()
    with detach_on_interrupt(job_id):
        try:
            return store.wait(job_id, progress)
        finally:
            progress.close()


def exit_code_of(job: JobStatus) -> int:
    """Return what a job's end means, and say why: 0 done, 3 incomplete, 1 failed or cancelled."""
    if job.error:
        say(f"drystone: {job.error}")
    return _codes(job)


def _codes(job: JobStatus) -> int:
    return {"done": 0, "incomplete": EXIT_INCOMPLETE}.get(job.state, EXIT_FAILED)


def finish_job(shell: Shell, job: JobStatus, _asked: Any) -> int:
    """Follow a job and show its findings: each a line of JSON, then the job; or a summary."""
    job = follow(shell.place, job.job_id)
    problems: list[str] = []
    count = 0
    for line in report_of(shell, job.job_id):
        count += 1
        if shell.is_json:
            write_json(line)
        elif len(problems) < PROBLEMS_KEPT_MAX:
            problems.append(problem_text(line))
    if shell.is_json:
        write_json(job)
    else:
        list_some(problems, count)
        write_line(job_summary(job))
    return exit_code_of(job)


def report_of(shell: Shell, job_id: str) -> Any:
    """Return the lines of a job's report, as they come."""
    return ask(shell, report, job_id=job_id)


def failed_lines(shell: Shell, job: JobStatus) -> list[dict[str, Any]]:
    """Return the report of a job that did not end well."""
    return list(report_of(shell, job.job_id)) if _codes(job) else []


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


# ---- Operations ----------------------------------------------------------------------------------


def _show_jobs(found: list[JobStatus], _asked: NoRequest) -> None:
    rows = [
        (job.job_id, job.kind, job.state, time_text(job.started), job.description, _detail(job))
        for job in found
    ]
    write_table(("job", "kind", "state", "started", "description", "progress"), rows)


def _detail(job: JobStatus) -> str:
    return progress_text(job) if job.state == "running" else job.error or ""


@operation(
    "job.list",
    role="viewer",
    kind="question",
    route="GET /storage/jobs",
    cli=Cli(command="jobs", show=_show_jobs),
)
def list_jobs(place: Serving, _caller: Caller, _asked: NoRequest) -> list[JobStatus]:
    """List the jobs that run, and the last ones that ended."""
    return [job.status() for job in place.engine.jobs.all()]


@operation(
    "job.show",
    role="viewer",
    kind="question",
    route="GET /storage/jobs/{job_id}",
)
def show(place: Serving, _caller: Caller, asked: OneJob) -> JobStatus:
    """Show how far a job is, or how it ended."""
    return place.engine.jobs.get(asked.job_id).status()


def _finish_wait(shell: Shell, job: JobStatus, asked: WaitRequest) -> int:
    job = follow(shell.place, asked.job_id)
    failed = [problem_text(line) for line in failed_lines(shell, job)]
    if shell.is_json:
        write_json(job)
    else:
        list_some(failed, len(failed))
        write_line(job_summary(job))
    return exit_code_of(job)


@operation(
    "job.wait",
    role="viewer",
    kind="question",
    route="GET /storage/jobs/{job_id}/wait",
    cli=Cli(
        positional=("job_id",),
        options={"wait_s": ()},
        metavars={"job_id": "ID"},
        finish=_finish_wait,
    ),
    is_private=True,
    timeout_s=2 * WAIT_S_MAX,
)
async def wait(place: Serving, _caller: Caller, asked: WaitRequest) -> JobStatus:
    """Follow a job until it ends."""
    found = place.engine.jobs.get(asked.job_id)
    waited_s = 0.0
    while not found.finished.is_set() and waited_s < asked.wait_s:
        await asyncio.sleep(WAIT_POLL_S)
        waited_s += WAIT_POLL_S
    return found.status()


@operation(
    "job.cancel",
    role="operator",
    kind="change",
    route="POST /storage/jobs/{job_id}/cancel",
    cli=Cli(
        positional=("job_id",),
        metavars={"job_id": "ID"},
        show=lambda job, _: say(f"{job.kind} {job.job_id}: {job.state}"),
    ),
)
def cancel(place: Serving, _caller: Caller, asked: OneJob) -> JobStatus:
    """Stop a job; what it had acknowledged stays."""
    found = place.engine.jobs.get(asked.job_id)
    found.cancel()
    return found.status()


@operation(
    "job.report",
    items=dict[str, Any],
    role="viewer",
    kind="stream",
    route="GET /storage/jobs/{job_id}/report",
)
def report(place: Serving, _caller: Caller, asked: OneJob) -> AsyncIterator[bytes]:
    """Tell what a job found, a line each, until it ends."""
    found = place.engine.jobs.get(asked.job_id)
    # Here: what cannot be opened is an answer of its own, and no stream that breaks off.
    file = open(found.report_path, "rb")  # noqa: SIM115

    async def lines() -> AsyncIterator[bytes]:
        with file:
            while True:
                finished = found.finished.is_set()
                found.flush_report()
                while data := file.read(1 << 16):
                    yield data
                if finished:
                    return
                await asyncio.sleep(REPORT_POLL_S)

    return lines()
