"""Tasks by way of the database on this machine: it owns the logs of attempts, and what follows.

It passes the same conformance suite as the way over HTTP (see jobs/runs/task_state.py), whose other
end it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jobs.runs.registry import workflow_named
from jobs.runs.workflow import StepResult
from sql import Claim, Outcome, Progress, StaleAttemptError, Successors

if TYPE_CHECKING:
    from collections.abc import Callable

    from sql import Database

LOG_SIZE_BYTES_MAX = 64 << 20
"""A worker on another machine cannot fill this one's disk with the log of an attempt."""


class LocalTaskState:
    """A TaskState over a Database. `on_finish(queue, made)` is told after every end of a task."""

    def __init__(
        self,
        database: Callable[[], Database],
        log_dir: str,
        on_finish: Callable[[str, int], None] = lambda _queue, _made: None,
    ) -> None:
        self._database = database
        self._log_dir = log_dir
        self._on_finish = on_finish
        self._queues: dict[int, str] = {}

    def claim(self, task_id: int, worker: str) -> Claim | None:
        """Take a queued task; see TaskState."""
        claim = self._database().runs.claim(task_id, worker, log_path)
        if claim is not None:
            self._queues[task_id] = claim.queue
        return claim

    def beat(self, task_id: int, token: int, progress: Progress | None = None) -> bool:
        """Say that the task is alive; see TaskState."""
        return self._database().runs.beat(task_id, token, progress)

    def finish(self, task_id: int, token: int, outcome: Outcome) -> None:
        """End the attempt and make what follows; see TaskState."""
        made = self._database().runs.finish(task_id, token, outcome, following)
        self._on_finish(self._queues.pop(task_id, ""), made)

    def append_log(self, task_id: int, token: int, text: str, *, of_program: bool = False) -> None:
        """Add text to a log of the attempt; see TaskState."""
        path = self._database().runs.log_path(task_id, token)
        if path is None:
            raise StaleAttemptError(task_id, token)
        full = os.path.join(self._log_dir, program_log(path) if of_program else path)
        os.makedirs(os.path.dirname(full), mode=0o700, exist_ok=True)
        with open(full, "ab") as file:
            if file.tell() < LOG_SIZE_BYTES_MAX:
                file.write(text.encode("utf-8", "backslashreplace"))


def log_path(run_id: int, task_id: int, attempt: int) -> str:
    """Return where the log of an attempt lies, below the folder of logs."""
    return os.path.join(str(run_id), f"{task_id}-{attempt}.log")


def program_log(path: str) -> str:
    """Return where the words of the program lie that an attempt runs: beside the attempt's log."""
    root, extension = os.path.splitext(path)
    return f"{root}-program{extension}"


def following(claim: Claim, outcome: Outcome) -> Successors:
    """Return what the workflow says follows a task that ended so."""
    workflow = workflow_named(claim.workflow)
    result = None
    if outcome.state in ("done", "partial"):
        result = unpack_result(outcome)
    return workflow.successors(claim.step, claim.part, claim.parameters, claim.spec, result)


def pack_result(result: StepResult) -> Outcome:
    """Return a step's result as the outcome that travels to the database."""
    return Outcome(
        state=result.state,
        result=result.values,
        error=result.error,
        parts=tuple(result.parts),
        pass_on=result.pass_on,
    )


def unpack_result(outcome: Outcome) -> StepResult:
    """Return the step's result that an outcome carries."""
    return StepResult(
        values=outcome.result,
        parts=outcome.parts,
        pass_on=outcome.pass_on,
        state="partial" if outcome.state == "partial" else "done",
        error=outcome.error,
    )
