"""What there is to see of runs: it owns lists, counts and details, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import psycopg

from sql.core.errors import NotFoundError
from sql.core.statements import statements
from sql.runs.run_models import (
    Attempt,
    GpuGate,
    QueueState,
    Run,
    RunDetail,
    RunFilter,
    RunPage,
    RunTask,
)

_SQL = statements("run")
_TASK_SQL = statements("run_task")
PAGE_MAX = 1_000


def run(connection: psycopg.Connection[Any], run_id: int) -> Run:
    """Return a run; NotFoundError when there is none."""
    row = connection.execute(_SQL["run"], [run_id]).fetchone()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}; see `drystone run list`")
    return _run(row)


def runs(
    connection: psycopg.Connection[Any], wanted: RunFilter, limit: int, before: int | None
) -> RunPage:
    """Return one page of runs, newest first."""
    limit = max(1, min(limit, PAGE_MAX))
    given = {**_given(wanted), "before": before, "limit": limit + 1}
    found = [_run(row) for row in connection.execute(_SQL["runs"], given)]
    shown = found[:limit]
    return RunPage(runs=tuple(shown), next_before=shown[-1].run_id if len(found) > limit else None)


def run_counts(connection: psycopg.Connection[Any], wanted: RunFilter) -> dict[str, int]:
    """Return how many runs are in each state; `states` and `text` of the filter do not matter."""
    return dict(connection.execute(_SQL["run_counts"], _given(wanted)).fetchall())


def detail(connection: psycopg.Connection[Any], run_id: int, tasks_max: int) -> RunDetail:
    """Return a run with its tasks and their attempts."""
    found = run(connection, run_id)
    given = {"run_id": run_id, "limit": tasks_max}
    return RunDetail(
        run=found,
        task_counts=dict(connection.execute(_SQL["task_counts"], [run_id]).fetchall()),
        tasks=tuple(_task(row) for row in connection.execute(_SQL["tasks"], given)),
        attempts=tuple(
            Attempt.model_validate(dict(zip(Attempt.model_fields, row, strict=True)))
            for row in connection.execute(_SQL["attempts"], given)
        ),
    )


def results(
    connection: psycopg.Connection[Any], run_id: int, step: str
) -> list[tuple[int, str, dict[str, Any] | None, str | None]]:
    """Return part, state, result and error of every task of a step."""
    return [
        (part, state, json.loads(result) if result else None, error)
        for part, state, result, error in connection.execute(_SQL["results"], [run_id, step])
    ]


def result_of(
    connection: psycopg.Connection[Any], run_id: int, step: str, part: int
) -> dict[str, Any] | None:
    """Return the result of the task of a step for one part; None without one."""
    row = connection.execute(_SQL["result_of"], [run_id, step, part]).fetchone()
    return json.loads(row[0]) if row and row[0] else None


def queues(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[QueueState]:
    """Return these queues, and all that something was said about or that hold something."""
    rows = connection.execute(_TASK_SQL["queues"], {"queues": list(names)})
    return [
        QueueState.model_validate(dict(zip(QueueState.model_fields, row, strict=True)))
        for row in rows
    ]


def gpus(connection: psycopg.Connection[Any]) -> list[GpuGate]:
    """Return the known GPU machines."""
    return [
        GpuGate.model_validate(dict(zip(GpuGate.model_fields, row, strict=True)))
        for row in connection.execute(_TASK_SQL["gpus"])
    ]


def _given(wanted: RunFilter) -> dict[str, Any]:
    given = wanted.model_dump()
    given["states"] = list(wanted.states) if wanted.states is not None else None
    return given


def _run(row: tuple[Any, ...]) -> Run:
    values = dict(zip(Run.model_fields, row, strict=True))
    return Run.model_validate({**values, "parameters": json.loads(values["parameters"])})


def _task(row: tuple[Any, ...]) -> RunTask:
    values = dict(zip(RunTask.model_fields, row, strict=True))
    for name in ("progress", "result"):
        values[name] = json.loads(values[name]) if values[name] else None
    return RunTask.model_validate(values)
