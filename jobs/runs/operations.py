"""Operations on runs: start, list, show, cancel, retry, approve, and the log of an attempt."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from base.model import Document, PlainText, RowId
from base.operations.operation import Caller, Cli, NoRequest, Wait, operation
from base.output import say, write_line, write_table
from base.text import time_text
from jobs.runs.session import Session, opened
from sql import NotFoundError, Run, RunDetail, RunFilter, RunPage, RunState

if TYPE_CHECKING:
    from sql import RunTask

__all__ = ["opened"]

RUNS_MAX = 1_000
TASKS_MAX = 5_000
LOG_SIZE_BYTES_MAX = 1 << 20
TASKS_SHOWN_MAX = 40
TEXT_SHOWN_MAX = 70
EXIT_FAILED, EXIT_INCOMPLETE = 1, 3

RunId = Annotated[RowId, Field(description="Its number.")]


# ---- Starting ------------------------------------------------------------------------------------


class StartRequest(Document):
    """A run that somebody asks for."""

    workflow: Annotated[
        str, Field(min_length=1, max_length=200, description="`run workflows` names them.")
    ]
    parameters: Annotated[
        dict[str, Any], Field(description="A parameter; JSON, or else text. Again.")
    ] = {}  # noqa: RUF012 (pydantic copies it)
    priority: Annotated[
        int | None,
        Field(
            ge=1, le=10, description="1 comes first, 10 last; imports are 8 at least. Else by size."
        ),
    ] = None


class StartedRun(Run):
    """The run; `created` is false when it was going on already."""

    created: bool


class RunPlan(BaseModel):
    """What a request would do; the rest is the workflow's own."""

    model_config = ConfigDict(frozen=True, extra="allow")

    workflow: str
    parameters: dict[str, Any]
    steps: list[str]


def _wait(session: Session, answer: StartedRun) -> StartedRun:
    from jobs.runs.follow import wait_for_run

    run = wait_for_run(session.database, answer.run_id, say)
    return StartedRun(**run.model_dump(), created=answer.created)


def _show_started(answer: StartedRun, _asked: StartRequest) -> None:
    if not answer.created:
        say(f"the same request is run {answer.run_id} ({answer.state}) already")
    write_line(f"run {answer.run_id}  {answer.workflow}  {answer.state}")


def _exit_code(answer: StartedRun, waited: bool) -> int:
    if not waited or answer.state == "done":
        return 0
    if answer.reason:
        say(answer.reason)
    return EXIT_FAILED if answer.state in ("failed", "cancelled") else EXIT_INCOMPLETE


@operation(
    "run.plan",
    role="operator",
    kind="question",
    route="POST /runs/plan",
)
def plan(session: Session, _caller: Caller, asked: StartRequest) -> RunPlan:
    """Tell what a workflow would do with these parameters, and start nothing."""
    from jobs.runs.control import dry_run

    told = dry_run(session.config_path, asked.workflow, asked.parameters)
    return RunPlan.model_validate(told)


class WorkflowAnswer(Document):
    """A workflow and the JSON Schema of its parameters."""

    name: str
    description: str
    steps: tuple[str, ...]
    parameters: dict[str, Any]


def _show_workflows(found: list[WorkflowAnswer], _asked: NoRequest) -> None:
    rows = [
        (one.name, ", ".join(one.parameters.get("properties", ())) or "none", one.description)
        for one in found
    ]
    write_table(("workflow", "parameters", "what it does"), rows)


@operation(
    "run.workflows",
    role="viewer",
    kind="question",
    route="GET /workflows",
    cli=Cli(show=_show_workflows),
)
def workflows(_session: Session, _caller: Caller, _asked: NoRequest) -> list[WorkflowAnswer]:
    """List the workflows, what they do, and their parameters."""
    from jobs.runs.registry import workflow_named, workflow_names

    return [
        WorkflowAnswer(
            name=one.name,
            description=one.description,
            steps=tuple(step.name for step in one.steps),
            parameters=one.parameters.model_json_schema(),
        )
        for one in map(workflow_named, workflow_names())
    ]


@operation(
    "run.start",
    role="operator",
    kind="change",
    route="POST /runs",
    cli=Cli(
        positional=("workflow",),
        options={"parameters": ("--set",)},
        metavars={"workflow": "WORKFLOW", "parameters": "NAME=VALUE"},
        files={"parameters": "--parameters"},
        pairs=("parameters",),
        pairs_as="json_without_numbers",
        dry_run=plan,
        wait=Wait("Until it ends, or waits itself.", _wait),
        show=_show_started,
        exit_code=_exit_code,
        # What `run workflows` was called before.
        instead={("workflow", "list"): workflows},
        example="drystone run start ua_1 --set folder=~/scrape/cats --set batch=cats-2026-11",
    ),
)
def start(session: Session, caller: Caller, asked: StartRequest) -> StartedRun:
    """Start a workflow. The same request as one that is going on is that run."""
    run, created = session.control.start(
        asked.workflow, asked.parameters, priority=asked.priority, requested_by=caller.name
    )
    return StartedRun(**run.model_dump(), created=created)


# ---- Looking -------------------------------------------------------------------------------------


class ListRequest(Document):
    """Which runs."""

    state: Annotated[tuple[RunState, ...], Field(description="Only in this state. Again.")] = ()
    workflow: Annotated[PlainText | None, Field(max_length=200)] = None
    text: Annotated[
        PlainText | None, Field(max_length=200, description="That is somewhere in it.")
    ] = None
    since: Annotated[AwareDatetime | None, Field(description="Asked for since then.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Asked for before then.")] = None
    limit: Annotated[int, Field(ge=1, le=RUNS_MAX)] = 100
    before: Annotated[
        int | None, Field(ge=0, le=2**63 - 1, description="Only older ones: the next page.")
    ] = None


def _show_runs(page: RunPage, _asked: ListRequest) -> None:
    headings = ("run", "workflow", "state", "asked", "ended", "by", "reason")
    write_table(headings, map(_run_row, page.runs))
    if page.next_before is not None:
        say(f"more: drystone run list --before {page.next_before}")


def _run_row(run: Run) -> tuple[str, ...]:
    reason = run.reason or ""
    if len(reason) > TEXT_SHOWN_MAX:
        reason = reason[: TEXT_SHOWN_MAX - 4] + " ..."
    return (
        str(run.run_id),
        run.workflow,
        run.state,
        time_text(run.create_time),
        time_text(run.end_time),
        run.requested_by,
        reason,
    )


@operation(
    "run.list",
    role="viewer",
    kind="question",
    route="GET /runs",
    cli=Cli(
        metavars={"workflow": "NAME", "text": "TEXT", "before": "RUN", "state": "STATE"},
        show=_show_runs,
    ),
)
def list_runs(session: Session, _caller: Caller, asked: ListRequest) -> RunPage:
    """List runs, the newest first."""
    wanted = RunFilter(
        states=asked.state or None,
        workflow=asked.workflow,
        since=asked.since,
        until=asked.until,
        text=asked.text,
    )
    return session.database.runs.list_runs(wanted, limit=asked.limit, before=asked.before)


class ShowRequest(Document):
    """Which run, and how many of its tasks."""

    run_id: RunId
    tasks: Annotated[int, Field(ge=1, le=TASKS_MAX, description="At most so many tasks.")] = 500


def _show_run(detail: RunDetail, _asked: ShowRequest) -> None:
    run = detail.run
    write_line(f"run {run.run_id}  {run.workflow}  {run.state}")
    if run.reason:
        write_line(f"reason      {run.reason}")
    write_line(f"asked       {time_text(run.create_time)} by {run.requested_by or 'nobody'}")
    write_line(f"parameters  {json.dumps(run.parameters)}")
    if run.state == "waiting":
        write_line(f"waits       {_waits_for(detail)}")
    shown = detail.tasks[:TASKS_SHOWN_MAX]
    headings = ("task", "step", ">part", "queue", "state", ">tries", "worker", "what")
    write_table(headings, [_task_row(task) for task in shown])
    hidden = sum(detail.task_counts.values()) - len(shown)
    if hidden > 0:
        say(f"... and {hidden:,} more tasks (--json lists {len(detail.tasks):,})")


def _waits_for(detail: RunDetail) -> str:
    words = {
        "waiting_gpu_ready": "a GPU machine: `drystone gpu ready`",
        "waiting_approval": f"an approval: `drystone approve {detail.run.run_id}`",
        "waiting_space": "space in the store",
        "waiting_labels": "labels by people",
    }
    return ", ".join(words[state] for state in detail.task_counts if state in words)


def _task_row(task: RunTask) -> tuple[str, ...]:
    what = task.error or ""
    if not what and task.progress is not None:
        progress = task.progress
        total = f" of {progress.total:,}" if progress.total else ""
        counted = f"{progress.done:,}{total} {progress.unit}" if progress.done or total else ""
        what = f"{counted} {progress.text}".strip()
    return (
        str(task.task_id),
        task.step,
        str(task.part) if task.part else "",
        task.queue,
        task.state,
        f"{task.attempt}",
        task.worker or "",
        what[:TEXT_SHOWN_MAX],
    )


@operation(
    "run.show",
    role="viewer",
    kind="question",
    route="GET /runs/{run_id}",
    cli=Cli(positional=("run_id",), metavars={"run_id": "RUN"}, show=_show_run),
)
def show(session: Session, _caller: Caller, asked: ShowRequest) -> RunDetail:
    """Show a run with its tasks: what is done, what failed and why, what it waits for."""
    return session.database.runs.show(asked.run_id, asked.tasks)


class LogRequest(Document):
    """A piece of the log of an attempt."""

    run_id: RunId
    task_id: RunId
    attempt: Annotated[int, Field(ge=1, le=2**31 - 1)]
    offset: Annotated[int, Field(ge=0, le=2**63 - 1, description="Where the piece begins.")] = 0


class LogAnswer(Document):
    """A piece of the log of an attempt; `next_offset` goes into the next request."""

    text: str
    next_offset: int
    size_bytes: int


@operation(
    "run.log",
    role="viewer",
    kind="question",
    route="GET /runs/{run_id}/tasks/{task_id}/attempts/{attempt}/log",
)
def log(session: Session, _caller: Caller, asked: LogRequest) -> LogAnswer:
    """Return a piece of the log of an attempt, up to 1 MiB; `run logs` prints it whole."""
    folder = os.path.join(session.config.log_dir, str(asked.run_id))
    try:
        with open(os.path.join(folder, f"{asked.task_id}-{asked.attempt}.log"), "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            file.seek(min(asked.offset, size_bytes))
            piece = file.read(LOG_SIZE_BYTES_MAX)
    except FileNotFoundError as error:
        raise NotFoundError("there is no such attempt, or it has no log yet") from error
    next_offset = min(asked.offset, size_bytes) + len(piece)
    return LogAnswer(
        text=piece.decode(errors="replace"), next_offset=next_offset, size_bytes=size_bytes
    )


class LogsRequest(Document):
    """Which logs of a run."""

    run_id: RunId
    task: Annotated[int | None, Field(description="Of this task only.")] = None
    follow: Annotated[bool, Field(description="Until the run ends.")] = False


def _show_piece(piece: str, _asked: LogsRequest) -> None:
    sys.stdout.write(piece)
    sys.stdout.flush()


@operation(
    "run.logs",
    role="viewer",
    kind="stream",
    route="GET /runs/{run_id}/logs",
    cli=Cli(positional=("run_id",), metavars={"run_id": "RUN", "task": "TASK"}, show=_show_piece),
    is_private=True,
)
def logs(session: Session, _caller: Caller, asked: LogsRequest) -> Iterator[str]:
    """Print the logs of a run's attempts, the oldest first."""
    from jobs.runs.follow import follow_logs

    log_dir, database = session.config.log_dir, session.database
    return follow_logs(database, log_dir, asked.run_id, asked.task, follow=asked.follow)


# ---- Changing ------------------------------------------------------------------------------------


class OneRun(Document):
    """Which run."""

    run_id: RunId


class CancelRequest(OneRun):
    """Which run, and why."""

    reason: Annotated[str, Field(max_length=1_000, description="Why, for others to read.")] = ""


class StateAnswer(Document):
    """In which state a run is now."""

    run_id: int
    state: RunState


class TasksAnswer(Document):
    """How many tasks of a run it concerned."""

    run_id: int
    tasks: int


@operation(
    "run.cancel",
    role="operator",
    kind="change",
    route="POST /runs/{run_id}/cancel",
    cli=Cli(
        positional=("run_id",),
        metavars={"run_id": "RUN", "reason": "TEXT"},
        show=lambda answer, _: say(f"run {answer.run_id} is {answer.state}"),
    ),
)
def cancel(session: Session, caller: Caller, asked: CancelRequest) -> StateAnswer:
    """Cancel a run: what has not begun never will, what runs stops at its next border."""
    reason = asked.reason or f"cancelled by {caller.name}"
    return StateAnswer(run_id=asked.run_id, state=session.control.cancel(asked.run_id, reason))


@operation(
    "run.retry",
    role="operator",
    kind="change",
    route="POST /runs/{run_id}/retry",
    cli=Cli(
        positional=("run_id",),
        metavars={"run_id": "RUN"},
        show=lambda answer, _: say(f"{answer.tasks} tasks of run {answer.run_id} begin anew"),
    ),
)
def retry(session: Session, _caller: Caller, asked: OneRun) -> TasksAnswer:
    """Begin anew what failed or was cancelled in a run; what is done stays done."""
    return TasksAnswer(run_id=asked.run_id, tasks=session.control.retry(asked.run_id))


@operation(
    "run.approve",
    role="operator",
    kind="change",
    route="POST /runs/{run_id}/approve",
    cli=Cli(
        command="approve",
        positional=("run_id",),
        metavars={"run_id": "RUN"},
        show=lambda answer, _: say(f"{answer.tasks} tasks of run {answer.run_id} go on"),
    ),
)
def approve(session: Session, _caller: Caller, asked: OneRun) -> TasksAnswer:
    """Let a run go on that waits for an approval; `run show` tells what it is about to do."""
    return TasksAnswer(run_id=asked.run_id, tasks=session.control.approve(asked.run_id))
