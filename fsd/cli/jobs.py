"""The jobs of the engine as commands: it owns `jobs`, `job wait`, `job cancel`, and how a job ends.

A job runs in the engine; a command only follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption
from base.output import list_some, say, write_json, write_line, write_table
from base.text import time_text
from fsd.cli.output import problem_text, progress_text
from fsd.cli.session import connect, end_with, exit_code_of, follow, job_summary

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.documents.models import JobStatus

PROBLEMS_KEPT_MAX = 100

app = typer.Typer()
job_app = typer.Typer(no_args_is_help=True, help="Wait for a job of the engine, or stop it.")


def finish_job(client: Client, job: JobStatus, json_output: bool) -> None:
    """Follow a job and show its findings: each a line of JSON, then the job; or a summary."""
    job = follow(client, job.job_id)
    problems: list[str] = []
    count = 0
    for line in client.report(job.job_id):
        count += 1
        if json_output:
            write_json(line)
        elif len(problems) < PROBLEMS_KEPT_MAX:
            problems.append(problem_text(line))
    if json_output:
        write_json(job)
    else:
        list_some(problems, count)
        write_line(job_summary(job))
    end_with(job)


@app.command(epilog=EXIT_CODES)
def jobs(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the jobs that run, and the last ones that ended."""
    client = connect(config)
    answer = client.jobs()
    if json_output:
        write_json(answer)
        return
    rows = [
        (job.job_id, job.kind, job.state, time_text(job.started), job.description, _job_detail(job))
        for job in answer
    ]
    write_table(("job", "kind", "state", "started", "description", "progress"), rows)


def _job_detail(job: JobStatus) -> str:
    if job.state != "running":
        return job.error or ""
    return progress_text(job)


JobArgument = Annotated[str, typer.Argument(metavar="ID", help="As `drystone jobs` lists it.")]


@job_app.command(epilog=EXIT_CODES)
def cancel(
    job_id: JobArgument, json_output: JsonOption = False, config: ConfigOption = None
) -> None:
    """Stop a job; what it had acknowledged stays."""
    client = connect(config)
    job = client.cancel(job_id)
    if json_output:
        write_json(job)
    else:
        say(f"{job.kind} {job.job_id}: {job.state}")


@job_app.command(epilog=EXIT_CODES)
def wait(job_id: JobArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Follow a job until it ends."""
    client = connect(config)
    job = follow(client, job_id)
    failed = [problem_text(line) for line in client.report(job_id)] if exit_code_of(job) else []
    if json_output:
        write_json(job)
    else:
        list_some(failed, len(failed))
        write_line(job_summary(job))
    end_with(job)


app.add_typer(job_app, name="job")
