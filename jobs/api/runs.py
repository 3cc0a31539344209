"""Runs, gates and queues over HTTP: it owns the routes below /v1/runs, /v1/gates and /v1/queues."""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from jobs.api.turns import Turns
from jobs.core.config import load_jobs_config
from jobs.runs.control import RunControl, dry_run
from jobs.runs.registry import workflow_named, workflow_names
from sql import (
    Database,
    GpuGate,
    NotFoundError,
    QueueState,
    Run,
    RunDetail,
    RunFilter,
    RunPage,
    RunState,
)

RUNS_MAX = 1_000
TASKS_MAX = 5_000
LOG_SIZE_BYTES_MAX = 1 << 20

RunId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StartRequest(_Document):
    """A run that somebody asks for; with `dry_run` only what it would do is told."""

    workflow: Word
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    requested_by: Annotated[str, Field(max_length=200)] = ""
    dry_run: bool = False


class StartAnswer(_Document):
    """The run, and whether it is new or was going on already; or what it would do."""

    run: Run | None = None
    created: bool = False
    plan: dict[str, Any] | None = None


class CancelRequest(_Document):
    """Why a run is cancelled."""

    reason: Annotated[str, Field(max_length=1_000)] = ""


class CountAnswer(_Document):
    """How many tasks it concerned."""

    count: int


class StateAnswer(_Document):
    """In which state a run is now."""

    state: RunState


class GateRequest(_Document):
    """What a GPU machine is."""

    ready: bool
    reason: Annotated[str, Field(max_length=1_000)] = "over HTTP"


class QueueRequest(_Document):
    """What is to be with a queue; what is null stays."""

    paused: bool | None = None
    draining: bool | None = None
    by: Annotated[str, Field(max_length=200)] = ""


class WorkflowAnswer(_Document):
    """A workflow and the JSON Schema of its parameters."""

    name: str
    description: str
    steps: tuple[str, ...]
    parameters: dict[str, Any]


class LogAnswer(_Document):
    """A piece of the log of an attempt; `next_offset` goes into the next request."""

    text: str
    next_offset: int
    size_bytes: int


def run_routes(config_path: str, database: Database, turns: Turns) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    config = load_jobs_config(config_path)
    control = RunControl(config_path, database, config)
    _add_asking(router, database, turns, config.log_dir)
    _add_changes(router, control, turns, config_path)
    _add_gates(router, database, control, turns, config.queues)
    return router


def _add_asking(router: APIRouter, database: Database, turns: Turns, log_dir: str) -> None:
    @router.get("/v1/health")
    async def health() -> dict[str, int]:
        return await turns.person(database.runs.run_counts)

    @router.get("/v1/workflows")
    async def workflows() -> list[WorkflowAnswer]:
        return await turns.person(lambda: [_workflow(name) for name in workflow_names()])

    @router.get("/v1/runs")
    async def list_runs(
        state: Annotated[list[RunState] | None, Query()] = None,
        workflow: Annotated[str | None, Query(max_length=200)] = None,
        text: Annotated[str | None, Query(max_length=200)] = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=1, le=RUNS_MAX)] = 100,
        before: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    ) -> RunPage:
        wanted = RunFilter(
            states=tuple(state) if state else None,
            workflow=_plain(workflow),
            since=since,
            until=until,
            text=_plain(text),
        )
        return await turns.person(
            lambda: database.runs.list_runs(wanted, limit=limit, before=before)
        )

    @router.get("/v1/runs/{run_id}")
    async def show(
        run_id: RunId, tasks: Annotated[int, Query(ge=1, le=TASKS_MAX)] = 500
    ) -> RunDetail:
        return await turns.person(lambda: database.runs.show(run_id, tasks))

    @router.get("/v1/runs/{run_id}/tasks/{task_id}/attempts/{attempt}/log")
    async def log(
        run_id: RunId,
        task_id: RunId,
        attempt: Annotated[int, Path(ge=1, le=2**31 - 1)],
        offset: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    ) -> LogAnswer:
        path = os.path.join(log_dir, str(run_id), f"{task_id}-{attempt}.log")
        return await turns.person(lambda: _log(path, offset))


def _add_changes(router: APIRouter, control: RunControl, turns: Turns, config_path: str) -> None:
    @router.post("/v1/runs")
    async def start(asked: StartRequest) -> StartAnswer:
        if asked.dry_run:
            plan = await turns.person(
                lambda: dry_run(config_path, asked.workflow, asked.parameters)
            )
            return StartAnswer(plan=plan)
        run, created = await turns.person(
            lambda: control.start(
                asked.workflow,
                asked.parameters,
                priority=asked.priority,
                requested_by=asked.requested_by,
            )
        )
        return StartAnswer(run=run, created=created)

    @router.post("/v1/runs/{run_id}/cancel")
    async def cancel(run_id: RunId, asked: CancelRequest) -> StateAnswer:
        return await turns.person(lambda: StateAnswer(state=control.cancel(run_id, asked.reason)))

    @router.post("/v1/runs/{run_id}/retry")
    async def retry(run_id: RunId) -> CountAnswer:
        return CountAnswer(count=await turns.person(lambda: control.retry(run_id)))

    @router.post("/v1/runs/{run_id}/approve")
    async def approve(run_id: RunId) -> CountAnswer:
        return CountAnswer(count=await turns.person(lambda: control.approve(run_id)))


def _add_gates(
    router: APIRouter,
    database: Database,
    control: RunControl,
    turns: Turns,
    queue_names: tuple[str, ...],
) -> None:
    @router.get("/v1/gates")
    async def gates() -> list[GpuGate]:
        return await turns.person(database.runs.gpus)

    @router.post("/v1/gates/{host}")
    async def set_gate(
        host: Annotated[str, Path(min_length=1, max_length=200)], asked: GateRequest
    ) -> CountAnswer:
        change = control.gpu_ready if asked.ready else control.gpu_done
        return CountAnswer(count=await turns.person(lambda: change(host, asked.reason)))

    @router.get("/v1/queues")
    async def queues() -> list[QueueState]:
        return await turns.person(lambda: database.runs.queues(queue_names))

    @router.post("/v1/queues/{queue}")
    async def set_queue(
        queue: Annotated[str, Path(min_length=1, max_length=100)], asked: QueueRequest
    ) -> list[QueueState]:
        def change() -> list[QueueState]:
            control.set_queue(queue, paused=asked.paused, draining=asked.draining, by=asked.by)
            return database.runs.queues(queue_names)

        return await turns.person(change)


def _workflow(name: str) -> WorkflowAnswer:
    workflow = workflow_named(name)
    return WorkflowAnswer(
        name=name,
        description=workflow.description,
        steps=tuple(step.name for step in workflow.steps),
        parameters=workflow.parameters.model_json_schema(),
    )


def _log(path: str, offset: int) -> LogAnswer:
    try:
        with open(path, "rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            file.seek(min(offset, size_bytes))
            piece = file.read(LOG_SIZE_BYTES_MAX)
    except FileNotFoundError as error:
        raise NotFoundError("there is no such attempt, or it has no log yet") from error
    next_offset = min(offset, size_bytes) + len(piece)
    return LogAnswer(
        text=piece.decode(errors="replace"), next_offset=next_offset, size_bytes=size_bytes
    )


def _plain(text: str | None) -> str | None:
    # No column holds a NUL, so nothing has to be looked for.
    return text.replace("\0", "\ufffd") if text else None
