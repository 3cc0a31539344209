"""What there is to see of runs: lists, counts and details; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sql.core.errors import NotFoundError
from sql.core.repository import Repository, rows_of
from sql.core.statements import statements
from sql.runs.run_models import (
    Attempt,
    GpuGate,
    LaneTimes,
    QueueState,
    Run,
    RunDetail,
    RunFilter,
    RunPage,
    RunTask,
    TaskResult,
)

_SQL = statements("run")
_TASK_SQL = statements("run_task")
PAGE_MAX = 1_000
TASKS_SHOWN_MAX = 500
ATTEMPTS_TIMED_MAX = 10_000
EVERYTHING = RunFilter()


class RunLists(Repository):
    """Questions about the runs of a database."""

    def run(self, run_id: int) -> Run:
        """Return a run; NotFoundError when there is none."""
        found = self._first(Run, _SQL["run"], [run_id])
        if found is None:
            raise NotFoundError(f"there is no run {run_id}; see `drystone run list`")
        return found

    def last_of_key(self, run_key: str) -> Run | None:
        """Return the run of a key that goes on, else the last that failed or was cancelled.

        None where there is neither; a key is that of a request, such as `ua_1:BATCH`.
        """
        return self._first(Run, _SQL["last_of_key"], {"run_key": run_key})

    def list_runs(
        self, wanted: RunFilter = EVERYTHING, *, limit: int = 100, before: int | None = None
    ) -> RunPage:
        """Return a page of runs, newest first; `before` is `next_before` of the page before."""
        limit = max(1, min(limit, PAGE_MAX))
        given = {**_given(wanted), "before": before, "limit": limit + 1}
        found = self._all(Run, _SQL["runs"], given)
        shown = found[:limit]
        next_before = shown[-1].run_id if len(found) > limit else None
        return RunPage(runs=tuple(shown), next_before=next_before)

    def run_counts(self, wanted: RunFilter = EVERYTHING) -> dict[str, int]:
        """Return how many runs are in each state, by workflow and time of the filter."""
        with self._database.reading() as connection:
            return dict(connection.execute(_SQL["run_counts"], _given(wanted)).fetchall())

    def show(self, run_id: int, tasks_max: int = TASKS_SHOWN_MAX) -> RunDetail:
        """Return a run with its tasks and attempts; of many tasks those that matter first."""
        given = {"run_id": run_id, "limit": tasks_max}
        found = self.run(run_id)
        with self._database.reading() as connection:
            return RunDetail(
                run=found,
                task_counts=dict(connection.execute(_SQL["task_counts"], [run_id]).fetchall()),
                tasks=tuple(rows_of(connection, RunTask, _SQL["tasks"], given)),
                attempts=tuple(rows_of(connection, Attempt, _SQL["attempts"], given)),
            )

    def results(self, run_id: int, step: str) -> list[TaskResult]:
        """Return what every task of a step came to, by part."""
        return self._all(TaskResult, _SQL["results"], [run_id, step])

    def result_of(self, run_id: int, step: str, part: int) -> dict[str, Any] | None:
        """Return the result of the task of a step for one part; None when it has none."""
        text = self._value(_SQL["result_of"], [run_id, step, part])
        return json.loads(text) if text else None

    def queues(self, names: Sequence[str] = ()) -> list[QueueState]:
        """Return these queues, and every other that is in use or was ever said anything about."""
        return self._all(QueueState, _TASK_SQL["queues"], {"queues": list(names)})

    def lane_times(self, names: Sequence[str]) -> list[LaneTimes]:
        """Return how long tasks waited and worked, by queue and lane; who waits, of these queues.

        Of the last hour, and of so many attempts at most that it is answered at once.
        """
        given = {"queues": list(names), "limit": ATTEMPTS_TIMED_MAX}
        return self._all(LaneTimes, _TASK_SQL["lane_times"], given)

    def gpus(self) -> list[GpuGate]:
        """Return the known GPU machines."""
        return self._all(GpuGate, _TASK_SQL["gpus"])


def _given(wanted: RunFilter) -> dict[str, Any]:
    given = wanted.model_dump()
    given["states"] = list(wanted.states) if wanted.states is not None else None
    return given
