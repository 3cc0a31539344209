"""The sections of a run's page: it owns the chart, steps, tasks and where the run came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlencode

from gui.pages.runs.view import BarRow, Chart, StepRow, TaskRow
from gui.widgets.blocks import (
    attributes,
    badge,
    box,
    button,
    card,
    duration,
    empty,
    fill_bar,
    link,
    pairs,
    short_time,
    text,
)
from gui.widgets.tables import Col, table
from gui.widgets.words import state_badge, state_tone, state_words


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
                made = box(f"gantt-bar {state_tone(bar.state) or 'muted'}")
                made.style(f"left: {left:.2f}%; width: {min(bar.width, 100 - left):.2f}%")
                attributes(made, role="img", aria_label=bar.title, title=bar.title)


# ---- Steps, tasks --------------------------------------------------------------------------------


def show_steps(steps: tuple[StepRow, ...]) -> None:
    """Show how far each step is."""
    cols = (
        Col("Step", lambda row: text(row.step, "strong")),
        Col("Queue", "queue"),
        Col("Done", lambda row: _bar(row.share_done, row.step)),
        Col("State", _states),
        Col(">Took", "took"),
    )  # fmt: skip
    with card("Steps"):
        table(steps, cols, "Steps", "No step has begun yet.")


def _bar(share_done: float, name: str) -> None:
    fill_bar(share_done, f"{name} is {share_done:.0%} done")


def _states(row: StepRow) -> None:
    with box("row"):
        for state, count in row.states:
            words = state_words(state)
            badge(words if count == 1 else f"{count:,} {words}", state_tone(state))


def show_tasks(logs: Logs, found: tuple[tuple[TaskRow, ...], int]) -> None:
    """Show the tasks with their attempts; each has a button for its log."""
    tasks, total = found
    cols = (
        Col("Task", "name"),
        Col("State", "state", state_badge),
        Col("Worker", lambda row: text(row.worker, "mono small")),
        Col(">Took", "took"),
        Col("What it says", _told),
        Col("", lambda row: button("Log", lambda: logs.choose(row.task_id), "small")),
    )
    with card("Tasks and attempts", f"{total:,} in all" if total > len(tasks) else ""):
        table(tasks, cols, "Tasks", "No task yet.")


def _told(row: TaskRow) -> None:
    with box("stack tight"):
        if row.share_done is not None:
            _bar(row.share_done, row.name)
        for line in (row.progress, row.error):
            if line:
                text(line, "reason")
        for attempt in row.attempts:
            text(attempt, "hint")


# ---- Where it came from, what came of it ---------------------------------------------------------


def show_origin(found: tuple[Any, ...]) -> None:
    """Show the lineage: schedule, action batch, event, children, nodes that were not done."""
    origin, failed_nodes, totals, ingest = found
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
    if ingest:
        target = f"/explorer?{urlencode({'ingest_batch': ingest})}"
        rows.append(("Brought in", lambda: link(f"All of {ingest}", target)))
    with card("Lineage"):
        if not rows:
            empty("It belongs to no batch.", "Results are shown below.")
        else:
            pairs(rows)
        if failed_nodes:
            cols = (
                Col(">Nodes", "nodes"),
                Col("Outcome", lambda one: badge(one.outcome, "bad")),
                Col("Why", "reason"),
                Col("Such as", lambda one: _node_links(one.node_ids)),
            )
            table(failed_nodes, cols, "Nodes that were not done")


def _node_links(node_ids: tuple[int, ...]) -> None:
    with box("row wraps"):
        for node_id in node_ids:
            link(node_id, f"/node/{node_id}", "mono nowrap")


def _schedule_link(origin: Any) -> None:
    with box("row"):
        link(origin.schedule, f"/scheduler/schedule/{origin.schedule}")
        text(f"for {short_time(origin.due_time)}, by {origin.cause}", "hint")


def _batch_link(action_batch_id: int) -> None:
    link(f"batch {action_batch_id}, sealed", f"/pipelines/batch/{action_batch_id}")


def _event(event: Any) -> None:
    with box("row"):
        text(f"{event.event_id}")
        state_badge(event.state)


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
