"""What runs and their tasks look like to others: it owns the documents of a RunBook, no statement.

They are JSON-able, because workers on other machines get the same ones over HTTP.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

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

TEXT_SIZE_MAX = 8_000
"""Reasons and errors are cut to so many characters; the whole story is in the log."""
DOCUMENT_SIZE_BYTES_MAX = 16 << 20


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewTask(_Document):
    """A task to be made; `gate` lets it wait before it is queued."""

    step: str
    part: int = 0
    queue: str = "default"
    gate: Gate | None = None
    spec: dict[str, Any] = Field(default_factory=dict[str, Any])
    attempts_max: int = Field(default=3, ge=1)
    backoff_s: float = Field(default=5.0, ge=0)


class Progress(_Document):
    """How far a task is; `total` is 0 when nobody knows."""

    done: int = 0
    total: int = 0
    unit: str = ""
    text: str = ""


class Claim(_Document):
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


class Outcome(_Document):
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


class Successors(_Document):
    """What follows a task that ended: at once, and when no other task of the run is open.

    `rescue` takes the place of the barrier when something failed or the run was cancelled.
    """

    next_tasks: tuple[NewTask, ...] = ()
    barrier: NewTask | None = None
    rescue: NewTask | None = None


class Run(_Document):
    """One request of a workflow, with how many of its tasks are in which state."""

    run_id: int
    workflow: str
    run_key: str
    parameters: dict[str, Any]
    state: RunState
    priority: int
    round: int
    requested_by: str
    cancel_time: AwareDatetime | None
    reason: str | None
    create_time: AwareDatetime
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class Attempt(_Document):
    """One time that a worker took a task."""

    task_id: int
    attempt: int
    worker: str
    start_time: AwareDatetime
    end_time: AwareDatetime | None
    outcome: str | None
    reason: str | None
    log_path: str | None


class RunTask(_Document):
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
    progress: Progress | None
    result: dict[str, Any] | None
    error: str | None
    create_time: AwareDatetime
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class RunDetail(_Document):
    """A run with its tasks (the first `tasks_max` of them) and how many there are by state."""

    run: Run
    task_counts: dict[str, int]
    tasks: tuple[RunTask, ...]
    attempts: tuple[Attempt, ...]


class RunFilter(_Document):
    """Which runs to list; what is None does not matter. `text` is looked for in everything told."""

    states: tuple[RunState, ...] | None = None
    workflow: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


class RunPage(_Document):
    """Runs, newest first; `next_before` goes into the next call, None when these were the last."""

    runs: tuple[Run, ...]
    next_before: int | None


class DueTask(_Document):
    """A task that has to be in Redis; `attempt` is the token that its claim will get."""

    task_id: int
    attempt: int
    queue: str


class QueueState(_Document):
    """A queue: what was said about it and what is in it."""

    queue: str
    paused: bool = False
    draining: bool = False
    running_max: int | None = None
    queued: int = 0
    running: int = 0
    waiting: int = 0


class GpuGate(_Document):
    """A GPU machine."""

    host: str
    state: GpuState
    since: AwareDatetime
    last_busy: AwareDatetime
    reason: str | None


def clean_text(text: str, size_max: int = TEXT_SIZE_MAX) -> str:
    """Return a text that PostgreSQL takes: no NUL, no lone surrogates, not endless."""
    if len(text) > size_max:
        text = text[: size_max - 4] + " ..."
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
