"""One run: it owns the page, its reading, and the buttons of its head."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, NamedTuple

from fastapi import Path

from gui.pages.runs import acts as run_acts
from gui.pages.runs.logs import LogChoice, RunLogs, choices_of
from gui.pages.runs.parts import show_chart, show_origin, show_steps, show_tasks, show_totals
from gui.pages.runs.view import (
    Chart,
    FailedNodes,
    StepRow,
    TaskRow,
    chart_of,
    errors_of,
    facts_of,
    steps_of,
    tasks_of,
    totals_of,
)
from gui.pages.runs.words import run_title
from gui.reading.desk import Desk
from gui.widgets.blocks import (
    attributes,
    box,
    button,
    card,
    duration,
    first_line,
    link,
    notice,
    pairs,
    short_time,
    text,
    written,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.view import View
from gui.widgets.words import state_badge, state_words

TASKS_READ_MAX = 300
FAILED_NODES_READ, FAILED_NODES_SHOWN = 5_000, 6
FAILURES_SHOWN = 12
WRONG = ("failed", "partial")
_ADVICE = (
    "What to do: put right what the reason names, then press Retry from failure. What was done "
    "stays done, and only the rest begins anew; the log below is of the first task that failed."
)
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
    failed_nodes: tuple[FailedNodes, ...]
    parameters: str
    logs: tuple[LogChoice, ...]
    ingest: str
    """The ingest batch that the run brings in."""


def read_run(desk: Desk, run_id: RunId) -> RunReading:
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
        _failed_nodes(desk, origin),
        parameters[:PARAMETERS_LENGTH_MAX],
        choices_of(detail, desk.jobs_config.log_dir),
        str(run.parameters.get("batch") or "") if run.workflow == "ua_1" else "",
    )


def _failed_nodes(desk: Desk, origin: Any) -> tuple[FailedNodes, ...]:
    """Return the nodes that a run's actions did not do, those with one reason together."""
    alike: dict[tuple[str, str], list[int]] = {}
    for event in origin.events:
        if event.state in ("done", "open"):
            continue
        for outcome in ("failed", "missing"):
            nodes = desk.database().actions.outcomes(event.event_id, outcome=outcome)
            for node in islice(nodes, FAILED_NODES_READ):
                reason = first_line(node.reason) or "no reason was given"
                alike.setdefault((node.outcome, reason), []).append(node.node_id)
    groups = [
        FailedNodes(outcome, reason, len(nodes), tuple(nodes[:FAILED_NODES_SHOWN]))
        for (outcome, reason), nodes in alike.items()
    ]
    return tuple(sorted(groups, key=lambda group: -group.nodes)[:FAILURES_SHOWN])


async def build(view: View) -> None:
    """Build the page; of a run that went wrong, the log that says why comes first."""
    view.live(functools.partial(_show_head, view.desk), lambda run: run.head)
    went_wrong = view.reading.head.state in WRONG
    logs = RunLogs(view) if went_wrong else None
    view.live(show_chart, lambda run: run.chart)
    with box("grid"):
        view.live(show_steps, lambda run: run.steps)
        view.live(show_origin, lambda run: (run.origin, run.failed_nodes, run.totals, run.ingest))
    logs = logs or RunLogs(view)
    view.live(functools.partial(show_tasks, logs), lambda run: (run.tasks, run.tasks_total))
    view.live(show_totals, lambda run: (run.totals, run.facts))
    view.live(_show_parameters, lambda run: run.parameters)
    await logs.show()


PAGE = Page(
    "Run", "/runs/{run_id}", read=read_run, build=build,
    title=lambda run: f"Run {run.head.run_id}",
)  # fmt: skip


def _show_head(desk: Desk, head: Head) -> None:
    with card(head.title):
        with box("row"):
            state_badge(head.state)
            for state, count in head.task_counts:
                text(f"{count:,} {state_words(state)}", "hint")
        if head.reason:
            notice(head.reason, "bad" if head.state == "failed" else "warn")
        for error in head.errors:
            notice(error, "bad")
        if head.state in WRONG:
            text(_ADVICE, "hint", "p")
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
                _buttons(desk, head)


def _buttons(desk: Desk, head: Head) -> None:
    states = dict(head.task_counts)
    if states.get("waiting_approval"):
        button("Approve", lambda: run_acts.approve(desk, head.run_id), "primary")
        button("Refuse", lambda: run_acts.refuse(desk, head.run_id))
    if states.get("waiting_approval") or states.get("waiting_gpu_ready"):
        link("Open gates", "/gates", "button")
    if head.state in ACTIVE:
        button("Cancel", lambda: run_acts.cancel(desk, head.run_id))
    elif states.get("failed") or states.get("cancelled"):
        hint = "What was done stays done; only the rest begins anew"
        button("Retry from failure", lambda: run_acts.retry(desk, head.run_id), "primary",
               hint=hint)  # fmt: skip
    clone = link(
        "Clone with edits", f"/scheduler/start/{head.workflow}?run={head.run_id}", "button"
    )
    attributes(clone, title="Opens the form with these parameters")


def _show_parameters(parameters: str) -> None:
    with card("Parameters"):
        written(parameters, "Parameters of the run")
