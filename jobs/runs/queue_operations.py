"""Operations on queues and on the gates of GPU machines."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, Wait, operation
from base.output import say, write_table
from base.text import time_text
from jobs.runs.session import Session, opened
from sql import GpuGate, QueueState

__all__ = ["opened"]

POLL_INTERVAL_S = 0.5


# ---- Queues --------------------------------------------------------------------------------------


class QueueRequest(Document):
    """Which queue."""

    queue: Annotated[str, Field(min_length=1, max_length=100, description="Its name.")]


class LimitRequest(QueueRequest):
    """Which queue, and how much of it at once."""

    running_max: Annotated[int, Field(ge=-1, le=2**31 - 1, description="-1: no limit.")]


def _show_queues(found: list[QueueState], _asked: NoRequest) -> None:
    rows = [
        (
            one.queue,
            str(one.queued),
            str(one.running),
            str(one.waiting),
            "" if one.running_max is None else str(one.running_max),
            "paused" if one.paused else "draining" if one.draining else "open",
        )
        for one in found
    ]
    write_table(("queue", ">queued", ">running", ">waiting", ">at most", "state"), rows)


@operation(
    "queue.list",
    role="viewer",
    kind="question",
    route="GET /queues",
    cli=Cli(show=_show_queues),
)
def list_queues(session: Session, _caller: Caller, _asked: NoRequest) -> list[QueueState]:
    """List the queues: what is queued, running and waiting, and what was said about them."""
    return session.database.runs.queues(session.config.queues)


@operation(
    "queue.pause",
    role="operator",
    kind="change",
    route="POST /queues/{queue}/pause",
    cli=Cli(
        positional=("queue",),
        metavars={"queue": "QUEUE"},
        show=lambda answer, _: say(f"queue {answer.queue} is paused"),
    ),
)
def pause(session: Session, caller: Caller, asked: QueueRequest) -> QueueState:
    """Begin nothing of this queue any more; what runs goes on."""
    session.control.set_queue(asked.queue, paused=True, by=caller.name)
    return _state(session, asked.queue)


@operation(
    "queue.resume",
    role="operator",
    kind="change",
    route="POST /queues/{queue}/resume",
    cli=Cli(
        positional=("queue",),
        metavars={"queue": "QUEUE"},
        show=lambda answer, _: say(f"queue {answer.queue} is open"),
    ),
)
def resume(session: Session, caller: Caller, asked: QueueRequest) -> QueueState:
    """Open a queue that was paused or drained."""
    session.control.set_queue(asked.queue, paused=False, draining=False, by=caller.name)
    return _state(session, asked.queue)


def _until_nothing_runs(session: Session, answer: QueueState) -> QueueState:
    while answer.running:
        time.sleep(POLL_INTERVAL_S)
        answer = _state(session, answer.queue)
    return answer


@operation(
    "queue.drain",
    role="operator",
    kind="change",
    route="POST /queues/{queue}/drain",
    cli=Cli(
        positional=("queue",),
        metavars={"queue": "QUEUE"},
        wait=Wait("Until nothing of it runs.", _until_nothing_runs),
        show=lambda answer, _: say(f"queue {answer.queue} drains"),
    ),
)
def drain(session: Session, caller: Caller, asked: QueueRequest) -> QueueState:
    """Carry runs that have begun to their end, and begin no others until `resume`."""
    session.control.set_queue(asked.queue, draining=True, by=caller.name)
    return _state(session, asked.queue)


def _limit_words(answer: QueueState, _asked: LimitRequest) -> None:
    limit = "has no limit" if answer.running_max is None else f"at most {answer.running_max}"
    say(f"queue {answer.queue} {limit}")


@operation(
    "queue.limit",
    role="operator",
    kind="change",
    route="POST /queues/{queue}/limit",
    cli=Cli(
        positional=("queue", "running_max"),
        metavars={"queue": "QUEUE", "running_max": "COUNT"},
        show=_limit_words,
    ),
)
def limit(session: Session, caller: Caller, asked: LimitRequest) -> QueueState:
    """Let at most so many tasks of a queue run at once, on whatever workers."""
    running_max = None if asked.running_max < 0 else asked.running_max
    session.control.limit_queue(asked.queue, running_max, by=caller.name)
    return _state(session, asked.queue)


def _state(session: Session, queue: str) -> QueueState:
    found = session.database.runs.queues((queue,))
    return next(one for one in found if one.queue == queue)


# ---- GPU machines --------------------------------------------------------------------------------


class GpuRequest(Document):
    """Which GPU machine."""

    host: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="The machine; else the configured one."),
    ] = None


class GpuReady(Document):
    """How many tasks that waited are queued."""

    queued: int


class GpuDone(Document):
    """How many queued tasks wait again."""

    waiting: int


class GpuStatus(Document):
    """The GPU machines; how many tasks wait for one, and how many are queued or run."""

    machines: list[GpuGate]
    waiting: int
    queued_or_running: int


@operation(
    "gpu.ready",
    role="operator",
    kind="change",
    route="POST /gpu/ready",
    cli=Cli(
        metavars={"host": "NAME"},
        show=lambda answer, _: say(
            f"the gate is open; {answer.queued} tasks that waited are queued"
        ),
    ),
)
def gpu_ready(session: Session, caller: Caller, asked: GpuRequest) -> GpuReady:
    """Say that the GPU machine is there: what waits for it is queued at once."""
    return GpuReady(queued=session.control.gpu_ready(asked.host, f"by {caller.name}"))


@operation(
    "gpu.done",
    role="operator",
    kind="change",
    route="POST /gpu/done",
    cli=Cli(
        metavars={"host": "NAME"},
        show=lambda answer, _: say(f"the gate is closed; {answer.waiting} queued tasks wait again"),
    ),
)
def gpu_done(session: Session, caller: Caller, asked: GpuRequest) -> GpuDone:
    """Say that the GPU machine goes away: what runs goes on, what is queued waits again."""
    return GpuDone(waiting=session.control.gpu_done(asked.host, f"by {caller.name}"))


def _show_machines(answer: GpuStatus, _asked: NoRequest) -> None:
    rows = [
        (
            gate.host,
            gate.state,
            time_text(gate.since),
            time_text(gate.last_busy),
            gate.reason or "",
        )
        for gate in answer.machines
    ]
    write_table(("machine", "state", "since", "last busy", "why"), rows)
    say(
        f"{answer.waiting} tasks wait for a GPU machine, "
        f"{answer.queued_or_running} are queued or run"
    )


@operation(
    "gpu.status",
    role="viewer",
    kind="question",
    route="GET /gpu",
    cli=Cli(show=_show_machines),
)
def gpu_status(session: Session, _caller: Caller, _asked: NoRequest) -> GpuStatus:
    """Show the GPU machines, and how many tasks wait for one."""
    waiting, busy = session.database.runs.gpu_wanted()
    machines = list(session.database.runs.gpus())
    return GpuStatus(machines=machines, waiting=waiting, queued_or_running=busy)
