"""The little that a worker says about a task: it owns the Protocol, whose conformance suite both
implementations pass (the database on this machine, HTTP on another)."""

from __future__ import annotations

from typing import Protocol

from sql import Claim, Outcome, Progress


class TaskState(Protocol):
    """Where a worker gets tasks and tells about them.

    Every call but `claim` needs the token of the claim and raises `sql.StaleAttemptError` when the
    task is somebody else's by now; nothing was changed then.
    """

    def claim(self, task_id: int, worker: str) -> Claim | None:
        """Take a queued task; None when it is not to be begun (taken, paused, cancelled, gone)."""
        ...

    def beat(self, task_id: int, token: int, progress: Progress | None = None) -> bool:
        """Say that the task is alive, and how far; True when its run was cancelled."""
        ...

    def finish(self, task_id: int, token: int, outcome: Outcome) -> None:
        """End the attempt; what follows is made in the same transaction. May be called again."""
        ...

    def append_log(self, task_id: int, token: int, text: str, *, of_program: bool = False) -> None:
        """Add text to the log of the attempt, or to that of the program it runs."""
        ...
