"""What a worker on another machine asks: the routes /tasks and /worker of the public port.

The other end of `jobs/remote/state.py`. Only steps that are declared for other machines are handed
out, told about or ended here, whatever numbers somebody sends.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters import stage_root
from base.config import read_config
from base.errors import UsageError
from base.logging import spans
from base.operations.routes import problem_answers
from jobs.core.config import load_jobs_config
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.runs.local_state import LocalTaskState, following
from jobs.runs.registry import load_extra_workflows, workflow_named
from jobs.runs.task_state import TaskState
from jobs.runs.workflow import Step
from jobs.worker.spans import add_run_of
from sql import Claim, Database, NotFoundError, Outcome, Progress

THREADS_MAX = 4
"""Fewer than the connections of a Database: however many workers there are, people get through."""
DOCUMENT_SIZE_BYTES_MAX = 64 << 20
"""Results and logs; what they may be is checked once more where they are kept."""
KNOWN_MAX = 100_000
NOT_REMOTE = "this step is done on the machine of the database only"
STRANGE_NAMES_SHOWN = 5

TaskId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Token = Annotated[int, Field(ge=1, le=2**31 - 1)]
WorkerName = Annotated[str, Field(min_length=1, max_length=200)]
Model = TypeVar("Model", bound=BaseModel)
Answer = TypeVar("Answer")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClaimRequest(_Document):
    """Who wants a task."""

    worker: WorkerName


class BeatRequest(_Document):
    """An attempt is alive."""

    token: Token
    progress: Progress | None = None


class BeatAnswer(_Document):
    """Whether the run was cancelled."""

    cancelled: bool


class FinishRequest(_Document):
    """An attempt ended."""

    token: Token
    outcome: Outcome


class LogRequest(_Document):
    """Text for the log of an attempt."""

    token: Token
    text: str
    of_program: bool = False
    """Whether the program said it that the attempt runs; that has a log of its own."""


class LostRequest(_Document):
    """A worker says that the process died that held its tasks."""

    worker: WorkerName
    reason: Annotated[str, Field(max_length=1_000)] = ""


class PlaceAnswer(_Document):
    """What a worker has to know of the machine of the database."""

    stage_root: str
    workflow_modules: tuple[str, ...]
    heartbeat_s: float
    lease_s: float
    """After such a silence a task is somebody else's; whoever works must know the same number."""
    store_id: str
    """From which the ids of spans follow."""


class RemoteSteps:
    """Which tasks may be done on other machines; remembers what it has asked the database."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self._known: dict[int, Step] = {}

    def check(self, task_id: int) -> Step:
        """Return the step; raise NotFoundError for no task, UsageError for one that stays here."""
        if task_id not in self._known:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            found = self._database().runs.step_of(task_id)
            if found is None:
                raise NotFoundError(f"there is no task {task_id}")
            workflow, step = found
            self._known[task_id] = workflow_named(workflow).step(step)
        found_step = self._known[task_id]
        if not found_step.remote:
            raise UsageError(NOT_REMOTE)
        return found_step

    def check_outcome(self, task_id: int, outcome: Outcome) -> None:
        """Refuse an end that says more to those who follow than its step declares.

        They believe their spec: a folder in it that a worker elsewhere may name is any folder here.
        """
        step = self.check(task_id)
        if outcome.parts and step.per_part:
            raise UsageError(f"the step {step.name} is one part and makes no others")
        told = {name for spec in (outcome.pass_on, *outcome.parts) for name in spec}
        if strange := sorted(told - set(step.passes_on)):
            names = ", ".join(f"{name[:100]!a}" for name in strange[:STRANGE_NAMES_SHOWN])
            raise UsageError(f"the step {step.name} does not declare that it passes on {names}")


class Tasks:
    """The tasks of this machine, for workers elsewhere; what blocks has threads of its own."""

    def __init__(
        self,
        config_path: str,
        database: Callable[[], Database],
        state: Callable[[], TaskState] | None = None,
    ) -> None:
        self.config_path = config_path
        self.database = database
        self.steps = RemoteSteps(database)
        self.state = state or functools.cache(self._local_state)
        # Held by a request while it has its thread; others keep no heartbeat waiting.
        self._threads = CapacityLimiter(THREADS_MAX)

    async def work(self, function: Callable[[], Answer]) -> Answer:
        """Do what a worker asked for, in a thread."""
        return await to_thread.run_sync(function, limiter=self._threads)

    def _local_state(self) -> TaskState:
        config = load_jobs_config(self.config_path)
        load_extra_workflows(config)
        deliverer = Deliverer(connect(config), config.queues)
        return LocalTaskState(
            self.database,
            config.log_dir,
            lambda queue, made: deliverer.refill(self.database(), queue, made),
        )


def task_routes(tasks: Tasks, prefix: str = "", dependencies: Sequence[Any] = ()) -> APIRouter:
    """Return the routes; whoever serves them says by `dependencies` who may ask."""
    router = APIRouter(
        prefix=prefix, dependencies=dependencies, tags=["worker"], responses=problem_answers()
    )
    steps, state = tasks.steps, tasks.state

    @router.post("/tasks/{task_id}/claim", response_model_exclude_defaults=True)
    async def claim(task_id: TaskId, asked: ClaimRequest, ids: bool = False) -> Claim | None:
        """Take a queued task; null when it is not to be had."""
        claimed = await tasks.work(lambda: _claim(steps, state(), task_id, asked.worker))
        if claimed is None or ids:
            return claimed
        # A worker of the last version refuses what it does not know.
        return claimed.model_copy(update={"request_id": "", "trace_id": ""})

    @router.post("/tasks/{task_id}/beat")
    async def beat(task_id: TaskId, asked: BeatRequest) -> BeatAnswer:
        """Say that an attempt is alive, and how far it is."""

        def tell() -> BeatAnswer:
            steps.check(task_id)
            return BeatAnswer(cancelled=state().beat(task_id, asked.token, asked.progress))

        return await tasks.work(tell)

    @router.post("/tasks/{task_id}/finish", openapi_extra=_body_of(FinishRequest))
    async def finish(task_id: TaskId, request: Request) -> dict[str, Any]:
        """End an attempt."""

        def tell(asked: FinishRequest) -> None:
            steps.check_outcome(task_id, asked.outcome)
            state().finish(task_id, asked.token, asked.outcome)
            if spans.is_on():
                # Whoever did it knows no database, and so not whether its run ended with it.
                add_run_of(task_id, tasks.database)

        return await _with_document(request, FinishRequest, tell, tasks)

    @router.post("/tasks/{task_id}/log", openapi_extra=_body_of(LogRequest))
    async def append_log(task_id: TaskId, request: Request) -> dict[str, Any]:
        """Add text to a log of an attempt."""

        def tell(asked: LogRequest) -> None:
            steps.check(task_id)
            state().append_log(task_id, asked.token, asked.text, of_program=asked.of_program)

        return await _with_document(request, LogRequest, tell, tasks)

    @router.post("/worker/lost")
    async def lost(asked: LostRequest) -> dict[str, int]:
        """Take back the tasks of a process that died."""
        name, reason = remote_name(asked.worker), asked.reason or "its process died"
        taken = lambda: tasks.database().runs.take_back_of(name, reason, following)  # noqa: E731
        return {"count": await tasks.work(taken)}

    @router.get("/worker/place")
    async def place() -> PlaceAnswer:
        """Tell what a worker has to know of this machine."""
        return await tasks.work(lambda: _place(tasks.config_path))

    return router


def _body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Say in OpenAPI what a body is that is parsed by us, in a thread."""
    schema = {"type": "object", "required": sorted(model.model_fields.keys() & {"token"})}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _place(config_path: str) -> PlaceAnswer:
    config = load_jobs_config(config_path)
    return PlaceAnswer(
        stage_root=stage_root(config_path),
        workflow_modules=config.workflow_modules,
        heartbeat_s=config.heartbeat_s,
        lease_s=config.lease_s,
        store_id=read_config(config_path).store_id,
    )


def _claim(steps: RemoteSteps, state: TaskState, task_id: int, worker: str) -> Claim | None:
    try:
        steps.check(task_id)
    except (NotFoundError, UsageError):
        # Not to be begun by this worker. The scheduler sees that nobody has it, and delivers anew.
        return None
    return state.claim(task_id, remote_name(worker))


def remote_name(worker: str) -> str:
    """Return how a worker elsewhere is called here: never as one of this machine."""
    return f"remote {worker}"


async def _with_document(
    request: Request, model: type[Model], tell: Callable[[Model], None], tasks: Tasks
) -> dict[str, Any]:
    """Parse a large body in the thread, where it keeps no heartbeat waiting."""
    body = await request.body()
    await tasks.work(lambda: tell(parse(body, model)))
    return {}


def parse(body: bytes, model: type[Model]) -> Model:
    """Return a document; UsageError says where it is wrong. Takes the surrogates of odd names."""
    try:
        return model.model_validate(json.loads(body))
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)[:20]
        ]
        raise UsageError("the document is refused:\n  " + "\n  ".join(lines)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the document is no JSON: {error}") from error
