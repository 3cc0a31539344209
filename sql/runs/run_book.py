"""Runs, tasks, queues and gates of a database: it owns the list of what can be asked of them.

Each method is one transaction. People start, cancel, retry and look; workers claim, beat and
finish; the scheduler delivers, takes back and settles. What follows a task is told by the caller
(`following`), since workflows are declared elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from sql.core.clean_text import clean_text
from sql.core.repository import rows_of, value_of
from sql.core.statements import statements
from sql.runs import run_claims, run_requests
from sql.runs.run_lists import RunLists
from sql.runs.run_models import (
    PRIORITY_NORMAL,
    Claim,
    DueTask,
    GpuState,
    NewTask,
    Outcome,
    Progress,
    Run,
    RunState,
    WaitingState,
    priority_of_size,
)

_SQL = statements("run_task")
_RUN_SQL = statements("run")

SPACE_PROBES_MAX = 4
"""So many tasks of a queue look at a time whether there is space by now."""
TURN_LIMIT_S = 60.0


class GpuWanted(NamedTuple):
    """How many tasks wait for a GPU machine, and how many are queued or run on one."""

    waiting: int
    busy: int


class TaskStep(NamedTuple):
    """What a task is of."""

    workflow: str
    step: str


class TracedRun(NamedTuple):
    """The run of a task, with the ids of the request that started it; empty for none."""

    run_id: int
    request_id: str
    trace_id: str


class HeldTask(NamedTuple):
    """A task in the hands of a worker."""

    task_id: int
    token: int


FIRST_MAX = 8
"""So many of the high lane come before all others at once; those after them have a share."""


class RunBook(RunLists):
    """The runs of a database."""

    # ---- People ----------------------------------------------------------------------------------

    def start_run(
        self,
        workflow: str,
        parameters: Mapping[str, Any],
        first: NewTask,
        *,
        run_key: str,
        once: bool = False,
        priority: int = PRIORITY_NORMAL,
        is_by_size: bool = False,
        requested_by: str = "",
    ) -> tuple[Run, bool]:
        """Make a run; or return the active one with this key (with `once` also a done one), False.

        However many ask at once, one run comes out of it. With `is_by_size` nobody said the
        priority, and `set_size` may change it.
        """
        with self._database.connection() as connection:
            run_id, created = run_requests.start(
                connection,
                workflow,
                parameters,
                first,
                run_key=run_key,
                once=once,
                priority=priority,
                is_by_size=is_by_size,
                requested_by=requested_by,
            )
        return self.run(run_id), created

    def set_size(self, run_id: int, size_bytes: int) -> None:
        """Say how much a run concerns: what follows is in its lane, where nobody said another."""
        given = {"run_id": run_id, "priority": priority_of_size(size_bytes)}
        self._change(_RUN_SQL["set_priority_by_size"], given)

    def cancel_run(self, run_id: int, reason: str = "", rescue: NewTask | None = None) -> RunState:
        """Cancel what has not begun and ask what runs to stop at its next border."""
        with self._database.connection() as connection:
            return run_requests.cancel(connection, run_id, reason, rescue)

    def retry_run(
        self, run_id: int, restart_at: Callable[[str], str | None] = lambda step: step
    ) -> int:
        """Begin anew what failed or was cancelled in a run that ended; returns how many tasks."""
        with self._database.connection() as connection:
            return run_requests.retry(connection, run_id, restart_at)

    def approve(self, run_id: int) -> int:
        """Let what waits for an approval go on; returns how many tasks."""
        with self._database.connection() as connection:
            return run_requests.approve(connection, run_id)

    def continue_waiting(self, run_id: int, state: WaitingState) -> int:
        """Let what waits in this state be begun again; returns how many tasks."""
        with self._database.connection() as connection:
            return run_requests.continue_waiting(connection, run_id, state)

    # ---- Queues and gates ------------------------------------------------------------------------

    def set_queue(
        self,
        queue: str,
        *,
        paused: bool | None = None,
        draining: bool | None = None,
        by: str = "",
    ) -> None:
        """Pause, drain or resume a queue; what is None stays.

        Paused: nothing is begun. Draining: runs that have begun go on, others wait.
        """
        given = {
            "queue": queue,
            "paused": paused,
            "draining": draining,
            "by": clean_text(by, 200),
        }
        self._change(_SQL["set_queue"], given)

    def limit_queue(self, queue: str, running_max: int | None, *, by: str = "") -> None:
        """Let at most so many tasks of a queue run at once, on whatever workers; None: no limit."""
        given = {"queue": queue, "running_max": running_max, "by": clean_text(by, 200)}
        self._change(_SQL["limit_queue"], given)

    def set_gpu(self, host: str, state: GpuState, reason: str = "") -> int:
        """Open (ready) or close (asleep, waking) the gate of a GPU machine, and settle the gates.

        Returns how many tasks were queued, or went back to wait. What runs goes on.
        """
        given = {"host": clean_text(host, 200), "state": state, "reason": clean_text(reason)}
        self._change(_SQL["set_gpu"], given)
        return self.settle_gates()

    def gpu_wanted(self) -> GpuWanted:
        """Return how many tasks wait for a GPU machine, and how many are queued or run on one."""
        found = self._first(GpuWanted, _SQL["gpu_wanted"])
        assert found is not None
        return found

    # ---- Workers ---------------------------------------------------------------------------------

    def claim(
        self, task_id: int, worker: str, log_path: Callable[[int, int, int], str] | None = None
    ) -> Claim | None:
        """Take a queued task; None when it may not begin. Its token fences all that follows."""
        with self._database.connection() as connection:
            return run_claims.claim(connection, task_id, worker, log_path)

    def beat(self, task_id: int, token: int, progress: Progress | None = None) -> bool:
        """Say that an attempt is alive; True when its run was cancelled. StaleAttemptError."""
        with self._database.connection() as connection:
            return run_claims.beat(connection, task_id, token, progress)

    def finish(
        self, task_id: int, token: int, outcome: Outcome, following: run_claims.Following
    ) -> int:
        """End an attempt and make what follows; returns how many tasks. StaleAttemptError."""
        with self._database.connection() as connection:
            return run_claims.finish(connection, task_id, token, outcome, following)

    def step_of(self, task_id: int) -> TaskStep | None:
        """Return the workflow and the step of a task; None when there is no such task."""
        return self._first(TaskStep, _SQL["step_of"], [task_id])

    def traced_run(self, task_id: int) -> TracedRun | None:
        """Return the run of a task, as it is traced; None when there is no such task."""
        return self._first(TracedRun, _SQL["traced_run"], [task_id])

    def log_path(self, task_id: int, token: int) -> str | None:
        """Return the log of an attempt, None when it has been overtaken or there is none."""
        return self._value(_SQL["log_path"], [task_id, token])

    # ---- The scheduler ---------------------------------------------------------------------------

    def due_tasks(self, queues: Sequence[str], depth: int = 64) -> list[DueTask]:
        """Mark tasks as delivered and return them, first ones first: they have to go to Redis.

        At most `depth` of a queue are there at a time, so that lanes and priorities count until
        the end; and a few of the high lane beyond that.
        """
        with self._database.connection() as connection:
            given = {"queues": list(queues), "depth": depth, "first": FIRST_MAX}
            return rows_of(connection, DueTask, _SQL["due"], given)

    def delivered_tasks(self, queues: Sequence[str], age_s: float) -> list[DueTask]:
        """Return what was delivered longer ago than this and nobody has claimed."""
        return self._all(DueTask, _SQL["delivered"], {"queues": list(queues), "age_s": age_s})

    def undeliver(self, tasks: Sequence[DueTask], age_s: float) -> int:
        """Say that these are not in Redis after all; returns how many have to go there again."""
        given = {
            "task_ids": [task.task_id for task in tasks],
            "attempts": [task.attempt for task in tasks],
            "age_s": age_s,
        }
        return self._change(_SQL["undeliver_lost"], given)

    def clock_s(self) -> float:
        """Return what the database's clock says, by which beats are written down."""
        return float(self._value(_SQL["clock"]))

    def take_back(
        self, lease_s: float, grace_s: float, following: run_claims.Following, limit: int = 100
    ) -> int:
        """Take tasks back whose worker was silent for longer than the lease; returns how many."""
        given = {"lease_s": lease_s, "grace_s": grace_s, "limit": limit}
        self._change(_SQL["beats_to_come"], given)
        reason = f"its worker was not heard of for {lease_s:g} s"
        silent = self._all(HeldTask, _SQL["silent"], given)
        return sum(self._take_back(held, reason, following) for held in silent)

    def take_back_of(self, worker: str, reason: str, following: run_claims.Following) -> int:
        """Take everything back that a worker holds, because it is known to be dead."""
        found = self._all(HeldTask, _SQL["of_worker"], [worker])
        return sum(self._take_back(held, reason, following) for held in found)

    def look_for_space(self, limit: int = 100) -> int:
        """Queue some of what waits for space (or labels) and is due for another look."""
        given = {"probes": SPACE_PROBES_MAX, "limit": limit}
        with self._database.connection() as connection:
            runs = {run_id for (run_id,) in connection.execute(_SQL["look_for_space"], given)}
            runs |= {run_id for (run_id,) in connection.execute(_SQL["look_for_labels"], given)}
        self._settle(runs)
        return len(runs)

    def settle_gates(self) -> int:
        """Queue what waits behind a gate that is open, and take out what is behind a closed one."""
        with self._database.connection() as connection:
            moved = connection.execute(_SQL["settle_gates"]).fetchall()
            connection.execute(_SQL["gpu_busy"])
        self._settle({run_id for run_id, _ in moved})
        return len(moved)

    @contextlib.contextmanager
    def sole_turn(self, task: str, limit_s: float = TURN_LIMIT_S) -> Generator[bool]:
        """Yield whether this process alone has the turn for a periodic task until the block ends.

        Whoever takes longer than the limit (it is frozen, or its machine is) loses the turn to
        others; DatabaseUnavailableError tells it so at the end. So a periodic task must be safe
        beside itself all the same.
        """
        given = {"task": task, "idle_ms": str(max(1, round(limit_s * 1000)))}
        with self._database.connection() as connection:
            yield value_of(connection, _SQL["try_lock"], given)

    def _take_back(self, held: HeldTask, reason: str, following: run_claims.Following) -> bool:
        with self._database.connection() as connection:
            return run_claims.take_back(connection, *held, reason, following)

    def _settle(self, run_ids: set[int]) -> None:
        for run_id in sorted(run_ids):
            with self._database.connection() as connection:
                run_requests.lock_run(connection, run_id)
                run_requests.settle(connection, run_id)
