"""Gates: it owns the page on which people let waiting work go on, or not."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from base.text import duration_text
from gui.pages.gates.approval import preview
from gui.pages.gates.reading import GatesReading, Machine, WaitRow, read_gates
from gui.pages.runs.acts import approve, refuse
from gui.reading.desk import Desk
from gui.widgets.acts import act_button
from gui.widgets.blocks import (
    at,
    attributes,
    badge,
    box,
    button,
    card,
    empty,
    link,
    metric,
    pairs,
    short_time,
    size,
    text,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge

if TYPE_CHECKING:
    from sql import LaneTimes

MINUTE_S = 60.0
WAITS = ("waiting_gpu_ready", "waiting_approval", "waiting_labels", "waiting_space")


def build(view: View) -> None:
    """Build the page."""
    desk = view.desk
    view.live(_show_figures, lambda found: found.waiting)
    with box("grid"):
        view.live(
            functools.partial(_show_gpu, desk),
            lambda found: (found.machines, _waiting(found, "waiting_gpu_ready")),
        )
        view.live(functools.partial(_show_queues, desk), lambda found: found.queues)
        view.live(_show_times, lambda found: found.times)
    view.live(
        functools.partial(_show_approvals, desk), lambda found: _waiting(found, "waiting_approval")
    )
    view.live(_show_other, lambda found: _waiting(found, *WAITS[2:]))


PAGE = Page(
    "Gates", "/gates", "viewer", "Work", read=read_gates, build=build, key="a", place=4,
    lead="Work that waits for a machine, a person, or space.",
)  # fmt: skip


def _waiting(found: GatesReading, *states: str) -> tuple[WaitRow, ...]:
    return tuple(row for row in found.waiting if row.state in states)


def _show_figures(rows: tuple[WaitRow, ...]) -> None:
    tasks = {state: sum(row.tasks for row in rows if row.state == state) for state in WAITS}
    gpu_bytes = sum(row.size_bytes or 0 for row in rows if row.state == "waiting_gpu_ready")
    approvals = sum(row.state == "waiting_approval" for row in rows)
    staged = f"{size(gpu_bytes)} staged" if gpu_bytes else ""
    with box("metrics"):
        for label, value, hint in (
            ("Waiting for GPU", tasks["waiting_gpu_ready"], staged),
            ("Waiting for approval", approvals, "runs"),
            ("Waiting for labels", tasks["waiting_labels"], "tasks"),
            ("Waiting for space", tasks["waiting_space"], "tasks"),
        ):
            metric(label, f"{value:,}", hint, "warn" if value else "")


# ---- GPU machines --------------------------------------------------------------------------------


def _show_gpu(desk: Desk, found: tuple[tuple[Machine, ...], tuple[WaitRow, ...]]) -> None:
    machines, waiting = found
    with card("GPU machines", "tasks go to them while any is ready"):
        for machine in machines:
            with box("machine"):
                with box("row"):
                    text(machine.host, "strong")
                    state_badge(machine.state)
                if machine.since is not None:
                    why = f", {machine.reason}" if machine.reason else ""
                    text(f"since {at(machine.since)}{why}", "hint")
                _gpu_buttons(desk, machine)
        if not waiting:
            text("Nothing waits for a GPU machine.", "empty-line")
            return
        cols = (
            Col("Run", _run_link),
            Col("Step", "step"),
            Col(">Tasks", "tasks"),
            Col(">Bytes", lambda row: text(_bytes(row), "nowrap")),
            Col("Since", lambda row: text(short_time(row.since), "nowrap")),
            Col("By", "who"),
        )
        table(waiting, cols, "Tasks that wait for a GPU machine")


def _gpu_buttons(desk: Desk, machine: Machine) -> None:
    host = {"host": machine.host}
    is_ready = machine.state == "ready"
    with box("row"):
        done = f"{machine.host} is ready; what waits for it goes on"
        act_button(desk, "gpu.ready", "GPU ready", host, done=done,
                   classes="" if is_ready else "primary")  # fmt: skip
        done = f"{machine.host} gets nothing new; what runs there goes on"
        act_button(desk, "gpu.done", "GPU done", host, done=done,
                   classes="primary" if is_ready else "")  # fmt: skip


def _run_link(row: WaitRow) -> None:
    link(row.title, f"/runs/{row.run_id}")


def _bytes(row: WaitRow) -> str:
    return size(row.size_bytes) if row.size_bytes is not None else "not known"


# ---- Approvals -----------------------------------------------------------------------------------


def _show_approvals(desk: Desk, rows: tuple[WaitRow, ...]) -> None:
    with card("Approvals", "nothing of these has been copied or run yet"):
        if not rows:
            empty("Nothing waits for an approval.", "What needs one shows here before it begins.")
            return
        may_act = visitor().may("operator")
        for row in rows:
            with box("approval"):
                with box("stack tight"):
                    _run_link(row)
                    asked = f"asked for by {row.who}, waits since {at(row.since)}"
                    text(asked, "hint")
                    pairs(_approval_facts(row))
                with box("row"):
                    if may_act:
                        button("Preview", functools.partial(preview, desk, row))
                        button("Approve", functools.partial(approve, desk, row.run_id), "primary")
                        button("Refuse", functools.partial(refuse, desk, row.run_id))


def _approval_facts(row: WaitRow) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [("Tasks", f"{row.tasks:,}")]
    if row.nodes is not None:
        facts.append(("Nodes", f"{row.nodes:,}"))
    if row.size_bytes is not None:
        facts.append(("Input", size(row.size_bytes)))
    if row.action_batch_id is not None:
        number = row.action_batch_id
        facts.append(
            ("Action batch", lambda: link(f"batch {number}", f"/pipelines/batch/{number}"))
        )
    return facts


# ---- Space, labels, queues -----------------------------------------------------------------------


def _show_other(rows: tuple[WaitRow, ...]) -> None:
    if not rows:
        return
    cols = (
        Col("Run", _run_link),
        Col("Waits for", "state", state_badge),
        Col(">Tasks", "tasks"),
        Col("Since", "since", at),
        Col("What it says", "reason"),
    )
    with card("Waiting for space or labels", "looked at again by itself"):
        table(rows, cols, "Waiting for space or labels")


def _show_queues(desk: Desk, queues: tuple[Any, ...]) -> None:
    def turn(one: Any) -> None:
        words = "goes on" if one.paused else "is paused; what runs goes on"
        label = "Resume" if one.paused else "Pause"
        act_button(
            desk, f"queue.{label.lower()}", label, {"queue": one.queue}, classes="small",
            done=f"queue {one.queue} {words}",
        )  # fmt: skip

    def state(one: Any) -> None:
        words = "paused" if one.paused else "draining" if one.draining else "open"
        badge(words, "good" if words == "open" else "warn")

    cols = (
        Col("Queue", "queue"),
        Col("State", state),
        Col(">Queued", "queued"),
        Col(">Running", "running"),
        Col(">Waiting", "waiting"),
        Col("", turn),
    )
    with card("Queues"):
        table(queues, cols, "Queues")
        if visitor().may("operator"):
            made = link("What lies in Redis (RQ's own dashboard)", "/rq/")
            attributes(made, target="_blank", rel="noopener")


def _show_times(times: tuple[LaneTimes, ...]) -> None:
    cols = (
        Col("Queue", "queue"),
        Col("Lane", "lane"),
        Col(">Begun", "begun"),
        Col(">Wait p95", lambda one: text(_seconds(one.wait_p95_s), "nowrap")),
        Col(">Work p95", lambda one: text(_seconds(one.work_p95_s), "nowrap")),
        Col(">Next waits", lambda one: text(_seconds(one.waits_s), "nowrap")),
    )
    with card("Lanes", "of the last hour; of a hundred tasks, 95 waited no longer"):
        if not times:
            empty("No task began.", "How long tasks wait for a worker shows here.")
            return
        table(times, cols, "Waits by queue and lane")


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f} s" if value < MINUTE_S else duration_text(value)
