"""One run as it is shown: it owns turning its documents into rows and bars.

Pure; what depends on the moment is told it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from gui.widgets.blocks import duration, first_line
from gui.widgets.words import state_tone
from sql import Attempt, RunDetail, RunTask

BARS_MAX = 60
TASKS_SHOWN_MAX = 100
ERRORS_SHOWN_MAX = 3
_NOT_SUMS = ("part", "version", "process_id", "exit_code")


class Bar(NamedTuple):
    """One attempt in the Gantt chart; `left` and `width` are percent of the chart."""

    left: float
    width: float
    state: str
    title: str


class BarRow(NamedTuple):
    """One task in the Gantt chart."""

    label: str
    bars: tuple[Bar, ...]


class Chart(NamedTuple):
    """The Gantt chart: rows in the order in which tasks began."""

    rows: tuple[BarRow, ...]
    left_out: int
    begin: datetime | None
    end: datetime | None


class StepRow(NamedTuple):
    """One step: how many of its tasks are in which state."""

    step: str
    queue: str
    states: tuple[tuple[str, int], ...]
    share_done: float
    took: str


class TaskRow(NamedTuple):
    """One task with its attempts."""

    task_id: int
    name: str
    state: str
    worker: str
    took: str
    progress: str
    share_done: float | None
    error: str
    attempts: tuple[str, ...]


class FailedNodes(NamedTuple):
    """Nodes that were not done for one reason, and the first of them."""

    outcome: str
    reason: str
    nodes: int
    node_ids: tuple[int, ...]


def task_name(task: RunTask) -> str:
    """Return how a task is called: its step, and its part if it has one."""
    return f"{task.step}, part {task.part}" if task.part else task.step


def chart_of(detail: RunDetail, now: datetime) -> Chart:
    """Return the Gantt chart of a run."""
    by_task = _by_task(detail.attempts)
    begun = [task for task in detail.tasks if by_task.get(task.task_id)]
    begun.sort(key=lambda task: by_task[task.task_id][0].start_time)
    if not begun:
        return Chart((), 0, None, None)
    first = by_task[begun[0].task_id][0].start_time
    ends = [one.end_time or now for task in begun for one in by_task[task.task_id]]
    last = max(ends)
    span_s = max(0.001, (last - first).total_seconds())

    def bar(task: RunTask, one: Attempt) -> Bar:
        left = (one.start_time - first).total_seconds() / span_s * 100
        width = ((one.end_time or now) - one.start_time).total_seconds() / span_s * 100
        state = one.outcome or "running"
        title = f"{task_name(task)}, attempt {one.attempt}: {state}"
        took = duration(one.start_time, one.end_time, now)
        return Bar(round(left, 2), round(max(0.4, width), 2), state, f"{title}, {took}")

    rows = tuple(
        BarRow(task_name(task), tuple(bar(task, one) for one in by_task[task.task_id]))
        for task in begun[:BARS_MAX]
    )
    return Chart(rows, max(0, len(begun) - BARS_MAX), first, last)


def steps_of(detail: RunDetail, now: datetime) -> tuple[StepRow, ...]:
    """Return the steps that have tasks, in the order in which their first tasks were made."""
    by_step: dict[str, list[RunTask]] = {}
    for task in detail.tasks:
        by_step.setdefault(task.step, []).append(task)
    return tuple(_step_row(step, tasks, now) for step, tasks in by_step.items())


def _step_row(step: str, tasks: list[RunTask], now: datetime) -> StepRow:
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task.state] = counts.get(task.state, 0) + 1
    starts = [task.start_time for task in tasks if task.start_time]
    ends = [task.end_time for task in tasks if task.end_time]
    is_over = len(ends) == len(tasks)
    took = duration(min(starts), max(ends) if is_over else None, now) if starts else ""
    done = counts.get("done", 0) + counts.get("partial", 0)
    return StepRow(step, tasks[0].queue, tuple(counts.items()), done / len(tasks), took)


def tasks_of(detail: RunDetail, now: datetime) -> tuple[TaskRow, ...]:
    """Return tasks: what went wrong or is going on first, then what is done."""
    by_task = _by_task(detail.attempts)
    order = {"bad": 0, "warn": 1, "info": 2, "": 3}
    tasks = sorted(
        detail.tasks, key=lambda task: (order.get(state_tone(task.state), 4), task.task_id)
    )
    return tuple(
        _task_row(task, by_task.get(task.task_id, []), now) for task in tasks[:TASKS_SHOWN_MAX]
    )


def _task_row(task: RunTask, attempts: list[Attempt], now: datetime) -> TaskRow:
    told = task.progress
    share, words = None, ""
    if told is not None and task.state == "running":
        share = told.done / told.total if told.total else None
        of = f" of {told.total:,}" if told.total else ""
        words = f"{told.done:,}{of} {told.unit}".strip() if told.done or told.total else ""
        words = " ".join(filter(None, (words, first_line(told.text, 120))))
    return TaskRow(
        task.task_id,
        task_name(task),
        task.state,
        task.worker or "",
        duration(task.start_time, task.end_time, now) if task.end_time else "",
        words,
        share,
        first_line(task.error, 400),
        tuple(_attempt_words(one) for one in attempts)
        if len(attempts) > 1
        else (),
    )  # fmt: skip


def _attempt_words(one: Attempt) -> str:
    words = f"attempt {one.attempt} by {one.worker}: {one.outcome or 'runs'}"
    reason = first_line(one.reason, 160)
    return f"{words}, {reason}" if reason else words


def totals_of(detail: RunDetail) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    """Return for each step the sums of the figures in the results of its shown tasks."""
    sums: dict[str, dict[str, int]] = {}
    for task in detail.tasks:
        for name, value in (task.result or {}).items():
            if isinstance(value, bool) or not isinstance(value, int) or not value:
                continue
            if name.endswith("_id") or name in _NOT_SUMS:
                continue
            step = sums.setdefault(task.step, {})
            step[name] = step.get(name, 0) + value
    return tuple((step, tuple(figures.items())) for step, figures in sums.items())


def facts_of(detail: RunDetail) -> tuple[tuple[str, str], ...]:
    """Return texts and ids from the results of steps that are done once."""
    facts: dict[str, str] = {}
    for task in detail.tasks:
        for name, value in (task.result or {}).items() if not task.part else ():
            is_id = isinstance(value, int) and name.endswith("_id")
            if is_id or (isinstance(value, str) and value):
                facts[name.replace("_", " ")] = first_line(str(value), 300)
            elif isinstance(value, list) and name == "problems":
                lines = cast("Sequence[Any]", value)
                facts[name] = "\n".join(first_line(str(line)) for line in lines[:20])
    return tuple(facts.items())


def errors_of(detail: RunDetail) -> tuple[str, ...]:
    """Return why tasks failed that the run's own reason does not name, each reason once."""
    known = detail.run.reason or ""
    found: dict[str, str] = {}
    for task in detail.tasks:
        if task.state == "failed" and task.error and task.error not in known:
            found.setdefault(first_line(task.error, 400), task_name(task))
    return tuple(f"{name}: {error}" for error, name in list(found.items())[:ERRORS_SHOWN_MAX])


def _by_task(attempts: Sequence[Attempt]) -> dict[int, list[Attempt]]:
    found: dict[int, list[Attempt]] = {}
    for one in attempts:
        found.setdefault(one.task_id, []).append(one)
    return found
