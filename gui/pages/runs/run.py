"""One run: it owns the page, its reading, and the buttons of its head."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import Path

from gui.pages.runs import acts as run_acts
from gui.pages.runs.blocks import add_run_style
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.pages.runs.logs import LogChoice, RunLogs, choices_of
from gui.pages.runs.page import short_time
from gui.pages.runs.parts import show_chart, show_origin, show_steps, show_tasks, show_totals
from gui.pages.runs.view import (
    Chart,
    StepRow,
    TaskRow,
    chart_of,
    errors_of,
    facts_of,
    steps_of,
    tasks_of,
    totals_of,
)
from gui.pages.runs.words import duration, run_title, state_words, tone_of
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import attributes, badge, box, button, card, link, notice, pairs, text
from gui.widgets.frame import frame, visitor
from gui.widgets.live import live

TASKS_READ_MAX = 300
FAILED_NODES_SHOWN = 20
ACTIVE = ("queued", "running", "waiting")
PARAMETERS_LENGTH_MAX = 8_000

RunId = Annotated[int, Path(ge=1, lt=2**63)]


class Head(NamedTuple):
    """What stands above everything else."""

    run_id: int
    workflow: str
    title: str
    state: str
    who: str
    asked: str
    begun: str
    took: str
    reason: str
    errors: tuple[str, ...]
    task_counts: tuple[tuple[str, int], ...]
    round: int


class RunReading(NamedTuple):
    """Everything that the page shows of a run, but its logs."""

    head: Head
    chart: Chart
    steps: tuple[StepRow, ...]
    tasks: tuple[TaskRow, ...]
    tasks_total: int
    totals: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    facts: tuple[tuple[str, str], ...]
    origin: Any
    failed_nodes: tuple[tuple[int, str, str], ...]
    parameters: str
    logs: tuple[LogChoice, ...]


def register(desk: Desk, runs: RunDesk) -> None:
    """Add the page."""

    @work_page(desk, "/runs/{run_id}")
    async def run_page(run_id: RunId) -> None:
        add_run_style()
        read = functools.partial(read_run, desk, runs, run_id)
        poller = await runs.follow(f"run {run_id}", f"Run {run_id}", read)
        with frame(desk, f"Run {run_id}"):
            live(poller, _head_of, functools.partial(_show_head, runs))
            live(poller, _chart_of, show_chart)
            with box("grid"):
                live(poller, _steps_of, show_steps)
                live(poller, _origin_of, show_origin)
            logs = RunLogs(runs, run_id, poller)
            live(poller, _tasks_of, functools.partial(show_tasks, logs))
            live(poller, _totals_of, show_totals)
            live(poller, _parameters_of, _show_parameters)
            await logs.show()


def read_run(desk: Desk, runs: RunDesk, run_id: int) -> RunReading:
    """Read a run; blocks. Raises NotFoundError."""
    database, now = desk.database(), datetime.now(UTC)
    detail = database.runs.show(run_id, TASKS_READ_MAX)
    run, origin = detail.run, database.run_summary.origin(run_id)
    head = Head(
        run_id,
        run.workflow,
        run_title(run.workflow, run.parameters),
        run.state,
        run.requested_by or "nobody said",
        short_time(run.create_time),
        short_time(run.start_time),
        duration(run.start_time, run.end_time) if run.end_time else "",
        run.reason or "",
        errors_of(detail),
        tuple(sorted(detail.task_counts.items())),
        run.round,
    )
    parameters = json.dumps(run.parameters, indent=2, ensure_ascii=False, sort_keys=True)
    return RunReading(
        head,
        chart_of(detail, now),
        steps_of(detail, now),
        tasks_of(detail, now),
        sum(detail.task_counts.values()),
        totals_of(detail),
        facts_of(detail),
        origin,
        tuple(_failed_nodes(desk, origin)),
        parameters[:PARAMETERS_LENGTH_MAX],
        choices_of(detail, runs.config.log_dir),
    )


def _failed_nodes(desk: Desk, origin: Any) -> list[tuple[int, str, str]]:
    """Return the first nodes that a run's actions did not do: node, outcome, reason."""
    found: list[tuple[int, str, str]] = []
    for event in origin.events:
        if event.state in ("done", "open"):
            continue
        for outcome in ("failed", "missing"):
            for node in desk.database().actions.outcomes(event.event_id, outcome=outcome):
                if len(found) == FAILED_NODES_SHOWN:
                    return found
                found.append((node.node_id, node.outcome, node.reason or ""))
    return found


def _head_of(poller: Poller) -> Head:
    return poller.value(READING).head


def _chart_of(poller: Poller) -> Chart:
    return poller.value(READING).chart


def _steps_of(poller: Poller) -> tuple[StepRow, ...]:
    return poller.value(READING).steps


def _tasks_of(poller: Poller) -> tuple[tuple[TaskRow, ...], int]:
    found: RunReading = poller.value(READING)
    return found.tasks, found.tasks_total


def _totals_of(poller: Poller) -> tuple[Any, ...]:
    found: RunReading = poller.value(READING)
    return found.totals, found.facts


def _origin_of(poller: Poller) -> tuple[Any, ...]:
    found: RunReading = poller.value(READING)
    return found.origin, found.failed_nodes, found.totals


def _parameters_of(poller: Poller) -> str:
    return poller.value(READING).parameters


def _show_head(runs: RunDesk, head: Head) -> None:
    with card(head.title):
        with box("row"):
            badge(state_words(head.state), tone_of(head.state))
            for state, count in head.task_counts:
                text(f"{count:,} {state_words(state)}", "hint")
        if head.reason:
            notice(head.reason, "bad" if head.state == "failed" else "warn")
        for error in head.errors:
            notice(error, "bad")
        pairs(
            [
                ("Asked for by", f"{head.who}, {head.asked}"),
                ("Begun", head.begun or "not yet"),
                *([("Took", head.took)] if head.took else []),
                *([("Round", f"{head.round}, after retries")] if head.round > 1 else []),
            ]
        )
        if visitor().may("operator"):
            with box("row"):
                _buttons(runs, head)


def _buttons(runs: RunDesk, head: Head) -> None:
    states = dict(head.task_counts)
    if states.get("waiting_approval"):
        button("Approve", lambda: run_acts.approve(runs, head.run_id), "primary")
        button("Refuse", lambda: run_acts.refuse(runs, head.run_id))
    if states.get("waiting_approval") or states.get("waiting_gpu_ready"):
        link("Open gates", "/gates", "button")
    if head.state in ACTIVE:
        button("Cancel", lambda: run_acts.cancel(runs, head.run_id))
    elif states.get("failed") or states.get("cancelled"):
        hint = "What was done stays done; only the rest begins anew"
        button("Retry from failure", lambda: run_acts.retry(runs, head.run_id), "primary",
               hint=hint)  # fmt: skip
    clone = link(
        "Clone with edits", f"/scheduler/start/{head.workflow}?run={head.run_id}", "button"
    )
    attributes(clone, title="Opens the form with these parameters")


def _show_parameters(parameters: str) -> None:
    with card("Parameters"):
        block = text(parameters, "log plain", "pre")
        attributes(block, tabindex="0", role="region", aria_label="Parameters of the run")
