"""What runs and their tasks look like to others: it owns the documents of a RunBook, no statement.

They are JSON-able, because workers on other machines get the same ones over HTTP.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from base.model import Document, JsonObject, from_json

RunState = Literal["queued", "running", "waiting", "done", "partial", "failed", "cancelled"]
WaitingState = Literal["waiting_gpu_ready", "waiting_approval", "waiting_space", "waiting_labels"]
RunTaskState = Literal[
    "queued",
    "running",
    "waiting_gpu_ready",
    "waiting_approval",
    "waiting_space",
    "waiting_labels",
    "done",
    "partial",
    "failed",
    "cancelled",
]
Gate = Literal["gpu", "approval"]
GpuState = Literal["asleep", "waking", "ready"]
Lane = Literal["high", "normal", "low"]


"""Reasons and errors are cut to so many characters; the whole story is in the log."""
DOCUMENT_SIZE_BYTES_MAX = 16 << 20

PRIORITY_FIRST, PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_LAST = 1, 3, 5, 8, 10
"""1 to 3 are the high lane, 8 to 10 the low one; those between are the normal one."""
HIGH_BELOW_BYTES = 10_000_000
NORMAL_BELOW_BYTES = 100_000_000
"""What a run concerns, where nobody said a priority; from here on it is low."""


def priority_of_size(size_bytes: int) -> int:
    """Return the priority of a run that concerns so much, where nobody said one."""
    if size_bytes < HIGH_BELOW_BYTES:
        return PRIORITY_HIGH
    return PRIORITY_NORMAL if size_bytes < NORMAL_BELOW_BYTES else PRIORITY_LOW


class NewTask(Document):
    """A task to be made; `gate` lets it wait before it is queued."""

    step: str
    part: int = 0
    queue: str = "default"
    gate: Gate | None = None
    spec: dict[str, Any] = Field(default_factory=dict[str, Any])
    attempts_max: int = Field(default=3, ge=1)
    backoff_s: float = Field(default=5.0, ge=0)


class Progress(Document):
    """How far a task is; `total` is 0 when nobody knows."""

    done: int = 0
    total: int = 0
    unit: str = ""
    text: str = ""


class Claim(Document):
    """A task in the hands of a worker; `token` has to come with everything it says about it."""

    task_id: int
    run_id: int
    token: int
    workflow: str
    step: str
    part: int
    round: int
    queue: str
    parameters: dict[str, Any]
    spec: dict[str, Any]
    requested_by: str
    failures: int
    attempts_max: int
    request_id: str = ""
    trace_id: str = ""


class Outcome(Document):
    """How an attempt ended, in the words of its worker.

    `failed` is tried again while there are attempts left, unless `retry` is False. A waiting state
    gives the task back without counting a failure; `retry_in_s` says when to look again. `parts`
    and `pass_on` are for what follows (see jobs/runs/workflow.py) and are not kept with the result.
    """

    state: Literal[
        "done", "partial", "failed", "cancelled", "waiting_space", "waiting_labels", "queued"
    ]
    result: dict[str, Any] = Field(default_factory=dict[str, Any])
    error: str = ""
    retry: bool = True
    retry_in_s: float | None = None
    parts: tuple[dict[str, Any], ...] = ()
    pass_on: dict[str, Any] = Field(default_factory=dict[str, Any])


class Successors(Document):
    """What follows a task that ended: at once, and when no other task of the run is open.

    `rescue` takes the place of the barrier when something failed or the run was cancelled.
    """

    next_tasks: tuple[NewTask, ...] = ()
    barrier: NewTask | None = None
    rescue: NewTask | None = None


class Run(Document):
    """One request of a workflow, with how many of its tasks are in which state."""

    run_id: int
    workflow: str
    run_key: str
    parameters: JsonObject
    state: RunState
    priority: int
    round: int
    requested_by: str
    cancel_time: AwareDatetime | None
    reason: str | None
    create_time: AwareDatetime
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class Attempt(Document):
    """One time that a worker took a task."""

    task_id: int
    attempt: int
    worker: str
    start_time: AwareDatetime
    end_time: AwareDatetime | None
    outcome: str | None
    reason: str | None
    log_path: str | None


class RunTask(Document):
    """One step of a run, for one part."""

    task_id: int
    run_id: int
    step: str
    part: int
    queue: str
    state: RunTaskState
    gate: Gate | None
    round: int
    attempt: int
    failures: int
    attempts_max: int
    not_before: AwareDatetime
    worker: str | None
    heartbeat: AwareDatetime | None
    progress: Annotated[Progress | None, BeforeValidator(from_json)]
    result: JsonObject | None
    error: str | None
    create_time: AwareDatetime
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class TaskResult(Document):
    """What the task of one part came to."""

    part: int
    state: RunTaskState
    result: JsonObject | None
    error: str | None


class RunDetail(Document):
    """A run with its tasks (the first `tasks_max` of them) and how many there are by state."""

    run: Run
    task_counts: dict[str, int]
    tasks: tuple[RunTask, ...]
    attempts: tuple[Attempt, ...]


class RunFilter(Document):
    """Which runs to list; what is None does not matter. `text` is looked for in everything told."""

    states: tuple[RunState, ...] | None = None
    workflow: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


class RunPage(Document):
    """Runs, newest first; `next_before` goes into the next call, None when these were the last."""

    runs: tuple[Run, ...]
    next_before: int | None


class DueTask(Document):
    """A task that has to be in Redis; `attempt` is the token that its claim will get."""

    task_id: int
    attempt: int
    queue: str
    is_first: bool = False
    """Whether it comes before all that is there."""
    is_high: bool = False
    """Whether it is of the high lane."""


class QueueState(Document):
    """A queue: what was said about it and what is in it."""

    queue: str
    paused: bool = False
    draining: bool = False
    running_max: int | None = None
    queued: int = 0
    running: int = 0
    waiting: int = 0


class LaneTimes(Document):
    """How long tasks of a lane of a queue waited and worked in the last hour, and still wait.

    Of each a hundred, 95 waited `wait_p95_s` at most and were done `work_p95_s` after their begin;
    None where none was. `begun` is of how many that is, and `waits_s` how long the next has waited.
    """

    queue: str
    lane: Lane
    begun: int
    wait_p95_s: float | None
    work_p95_s: float | None
    waits_s: float


class GpuGate(Document):
    """A GPU machine."""

    host: str
    state: GpuState
    since: AwareDatetime
    last_busy: AwareDatetime
    reason: str | None
