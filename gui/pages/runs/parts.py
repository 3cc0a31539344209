"""The sections of a run's page: it owns the chart, steps, tasks and where the run came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gui.pages.runs.page import short_time
from gui.pages.runs.view import BarRow, Chart, StepRow, TaskRow
from gui.pages.runs.words import duration, first_line, state_words, tone_of
from gui.widgets.blocks import (
    attributes,
    badge,
    box,
    button,
    card,
    empty,
    fill_bar,
    link,
    pairs,
    table,
    text,
)


class Logs(Protocol):
    """Whatever can show the log of a task."""

    async def choose(self, task_id: int) -> None:
        """Show the latest log of a task."""
        ...


# ---- Gantt ---------------------------------------------------------------------------------------


def show_chart(chart: Chart) -> None:
    """Show which task ran when, a bar for each attempt."""
    hint = duration(chart.begin, chart.end) if chart.begin else ""
    with card("Timeline", hint):
        if not chart.rows:
            empty("Nothing has begun yet.", "It waits for a worker, or for somebody.")
            return
        with attributes(box("gantt"), role="list", aria_label="Tasks over time"):
            for row in chart.rows:
                _show_bars(row)
        with box("gantt-row"):
            text("", "gantt-label")
            with box("row spread gantt-scale"):
                text(short_time(chart.begin))
                text(short_time(chart.end))
        if chart.left_out:
            text(f"and {chart.left_out:,} tasks more", "hint")


def _show_bars(row: BarRow) -> None:
    with attributes(box("gantt-row"), role="listitem"):
        text(row.label, "gantt-label")
        with box("gantt-track"):
            for bar in row.bars:
                left = min(bar.left, 99.5)
                made = box(f"gantt-bar {_bar_tone(bar.state)}")
                made.style(f"left: {left:.2f}%; width: {min(bar.width, 100 - left):.2f}%")
                attributes(made, role="img", aria_label=bar.title, title=bar.title)


def _bar_tone(state: str) -> str:
    if state in ("retry", "lost"):
        return "bad"
    return tone_of(state) or "muted"


# ---- Steps, tasks --------------------------------------------------------------------------------


def show_steps(steps: tuple[StepRow, ...]) -> None:
    """Show how far each step is."""
    with card("Steps"):
        table(
            ("Step", "Queue", "Done", "State", ">Took"),
            [
                (
                    lambda row=row: text(row.step, "strong"),
                    row.queue,
                    lambda row=row: fill_bar(
                        row.share_done, f"{row.step} is {row.share_done:.0%} done"
                    ),
                    lambda row=row: _states(row),
                    row.took,
                )
                for row in steps
            ],
            "Steps",
            "No step has begun yet.",
        )


def _states(row: StepRow) -> None:
    with box("row"):
        for state, count in row.states:
            words = state_words(state)
            badge(words if count == 1 else f"{count:,} {words}", tone_of(state))


def show_tasks(logs: Logs, found: tuple[tuple[TaskRow, ...], int]) -> None:
    """Show the tasks with their attempts; each has a button for its log."""
    tasks, total = found
    hint = f"{total:,} in all" if total > len(tasks) else ""
    with card("Tasks and attempts", hint):
        table(
            ("Task", "State", "Worker", ">Took", "What it says", ""),
            [_task_cells(logs, row) for row in tasks],
            "Tasks",
            "No task yet.",
        )


def _task_cells(logs: Logs, row: TaskRow) -> list[Any]:
    return [
        row.name,
        lambda: badge(state_words(row.state), tone_of(row.state)),
        lambda: text(row.worker, "mono small"),
        row.took,
        lambda: _told(row),
        lambda: button("Log", lambda: logs.choose(row.task_id), "small"),
    ]


def _told(row: TaskRow) -> None:
    with box("stack tight"):
        if row.share_done is not None:
            fill_bar(row.share_done, f"{row.name} is {row.share_done:.0%} done")
        for line in (row.progress, row.error):
            if line:
                text(line, "reason")
        for attempt in row.attempts:
            text(attempt, "hint")


# ---- Where it came from, what came of it ---------------------------------------------------------


def show_origin(found: tuple[Any, ...]) -> None:
    """Show the lineage: schedule, action batch, event, children, nodes that were not done."""
    origin, failed_nodes, totals = found
    children = {name: count for _, figures in totals for name, count in figures}.get("children")
    rows: list[tuple[str, str | Callable[[], Any]]] = []
    if origin.schedule:
        rows.append(("Schedule", lambda: _schedule_link(origin)))
    for event in origin.events:
        rows.append(("Action", f"{event.action}, version {event.version}"))
        rows.append(("Action batch", lambda event=event: _batch_link(event.action_batch_id)))
        rows.append(("Event", lambda event=event: _event(event)))
    if children is not None:
        rows.append(("Children", f"{children:,} new nodes"))
    with card("Lineage"):
        if not rows:
            empty("A person asked for it, and it belongs to no batch.", "Results are shown below.")
        else:
            pairs(rows)
        if failed_nodes:
            table(
                ("Node", "Outcome", "Why"),
                [
                    (
                        lambda node_id=node_id: link(f"{node_id}", f"/node/{node_id}", "mono"),
                        lambda outcome=outcome: badge(outcome, "bad"),
                        first_line(reason),
                    )
                    for node_id, outcome, reason in failed_nodes
                ],
                "Nodes that were not done",
            )


def _schedule_link(origin: Any) -> None:
    with box("row"):
        link(origin.schedule, f"/scheduler/schedule/{origin.schedule}")
        text(f"for {short_time(origin.due_time)}, by {origin.cause}", "hint")


def _batch_link(action_batch_id: int) -> None:
    link(f"batch {action_batch_id}, sealed", f"/pipelines/batch/{action_batch_id}")


def _event(event: Any) -> None:
    with box("row"):
        text(f"{event.event_id}")
        badge(event.state, tone_of(event.state))


def show_totals(found: tuple[Any, ...]) -> None:
    """Show the figures of all steps, and what else they told."""
    totals, facts = found
    if not totals and not facts:
        return
    with card("Results", "sums over the tasks above"):
        for step, figures in totals:
            with box("row figures"):
                text(step, "strong")
                for name, value in figures:
                    with box("figure"):
                        text(f"{value:,}", "figure-value")
                        text(name.replace("_", " "), "hint")
        if facts:
            pairs(facts)
