"""Gates: it owns the page on which people let waiting work go on, or not."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from gui.pages.gates.approval import preview
from gui.pages.gates.reading import GatesReading, Machine, WaitRow, read_gates
from gui.pages.runs.acts import approve, refuse
from gui.pages.runs.blocks import add_run_style
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.pages.runs.page import GROUP, short_time
from gui.pages.runs.words import state_words
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import (
    Tone,
    at,
    badge,
    box,
    button,
    card,
    empty,
    link,
    metric,
    pairs,
    size,
    table,
    text,
)
from gui.widgets.frame import Place, add_place, frame, visitor
from gui.widgets.live import live

_MACHINE_TONES: dict[str, Tone] = {"ready": "good", "waking": "warn", "asleep": "muted"}
_MACHINE_WORDS = {"ready": "ready", "waking": "is waking", "asleep": "not ready"}
_OTHER = ("waiting_space", "waiting_labels")


class Waiting(NamedTuple):
    """What waits, by what it waits for."""

    gpu: tuple[WaitRow, ...]
    approval: tuple[WaitRow, ...]
    other: tuple[WaitRow, ...]


def register(desk: Desk, runs: RunDesk) -> None:
    """Add the page."""
    add_place(Place("Gates", "/gates", "a", group=GROUP))

    @work_page(desk, "/gates")
    async def gates_page() -> None:
        add_run_style()
        read = functools.partial(read_gates, desk, runs)
        poller = await runs.follow("gates", "Gates", read)
        with frame(desk, "Gates", "Work that waits for a machine, a person, or space."):
            live(poller, _figures_of, _show_figures)
            with box("grid"):
                live(poller, _gpu_of, functools.partial(_show_gpu, runs))
                live(poller, _queues_of, functools.partial(_show_queues, runs))
            live(poller, _approvals_of, functools.partial(_show_approvals, desk, runs))
            live(poller, _other_of, _show_other)


def _waiting(poller: Poller) -> Waiting:
    found: GatesReading = poller.value(READING)
    rows = found.waiting
    return Waiting(
        tuple(row for row in rows if row.state == "waiting_gpu_ready"),
        tuple(row for row in rows if row.state == "waiting_approval"),
        tuple(row for row in rows if row.state in _OTHER),
    )


def _figures_of(poller: Poller) -> tuple[tuple[str, int, str], ...]:
    waiting = _waiting(poller)
    gpu_bytes = sum(row.size_bytes or 0 for row in waiting.gpu)
    return (
        ("Waiting for GPU", _count(waiting.gpu), f"{size(gpu_bytes)} staged" if gpu_bytes else ""),
        ("Waiting for approval", len(waiting.approval), "runs"),
        ("Waiting for labels", _of(waiting.other, "waiting_labels"), "tasks"),
        ("Waiting for space", _of(waiting.other, "waiting_space"), "tasks"),
    )


def _of(rows: tuple[WaitRow, ...], state: str) -> int:
    return _count(tuple(row for row in rows if row.state == state))


def _count(rows: tuple[WaitRow, ...]) -> int:
    return sum(row.tasks for row in rows)


def _show_figures(figures: tuple[tuple[str, int, str], ...]) -> None:
    with box("metrics"):
        for label, value, hint in figures:
            metric(label, f"{value:,}", hint, "warn" if value else "")


# ---- GPU machines --------------------------------------------------------------------------------


def _gpu_of(poller: Poller) -> tuple[tuple[Machine, ...], tuple[WaitRow, ...]]:
    found: GatesReading = poller.value(READING)
    return found.machines, _waiting(poller).gpu


def _show_gpu(runs: RunDesk, found: tuple[tuple[Machine, ...], tuple[WaitRow, ...]]) -> None:
    machines, waiting = found
    may_act = visitor().may("operator")
    with card("GPU machines", "tasks go to them while any is ready"):
        for machine in machines:
            with box("machine"):
                with box("row"):
                    text(machine.host, "strong")
                    badge(_MACHINE_WORDS[machine.state], _MACHINE_TONES[machine.state])
                if machine.since is not None:
                    why = f", {machine.reason}" if machine.reason else ""
                    text(f"since {at(machine.since)}{why}", "hint")
                if may_act:
                    _gpu_buttons(runs, machine)
        if not waiting:
            text("Nothing waits for a GPU machine.", "empty-line")
            return
        _show_rows(waiting, "Tasks that wait for a GPU machine")


def _gpu_buttons(runs: RunDesk, machine: Machine) -> None:
    async def ready() -> None:
        done = f"{machine.host} is ready; what waits for it goes on"
        await runs.operate("gpu.ready", {"host": machine.host}, done)

    async def finished() -> None:
        done = f"{machine.host} gets nothing new; what runs there goes on"
        await runs.operate("gpu.done", {"host": machine.host}, done)

    with box("row"):
        button("GPU ready", ready, "primary" if machine.state != "ready" else "")
        button("GPU done", finished, "primary" if machine.state == "ready" else "")


def _show_rows(rows: tuple[WaitRow, ...], caption: str) -> None:
    table(
        ("Run", "Step", ">Tasks", ">Bytes", "Since", "By"),
        [
            (
                lambda row=row: link(row.title, f"/runs/{row.run_id}"),
                row.step,
                f"{row.tasks:,}",
                functools.partial(text, _bytes(row), "nowrap"),
                functools.partial(text, short_time(row.since), "nowrap"),
                row.who,
            )
            for row in rows
        ],
        caption,
    )


def _bytes(row: WaitRow) -> str:
    return size(row.size_bytes) if row.size_bytes is not None else "not known"


# ---- Approvals -----------------------------------------------------------------------------------


def _approvals_of(poller: Poller) -> tuple[WaitRow, ...]:
    return _waiting(poller).approval


def _show_approvals(desk: Desk, runs: RunDesk, rows: tuple[WaitRow, ...]) -> None:
    with card("Approvals", "nothing of these has been copied or run yet"):
        if not rows:
            empty("Nothing waits for an approval.", "What needs one shows here before it begins.")
            return
        may_act = visitor().may("operator")
        for row in rows:
            with box("approval"):
                with box("stack tight"):
                    link(row.title, f"/runs/{row.run_id}")
                    asked = f"asked for by {row.who}, waits since {at(row.since)}"
                    text(asked, "hint")
                    pairs(_approval_facts(row))
                with box("row"):
                    if may_act:
                        button("Preview", functools.partial(preview, desk, runs, row))
                        button("Approve", functools.partial(approve, runs, row.run_id), "primary")
                        button("Refuse", functools.partial(refuse, runs, row.run_id))


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


def _other_of(poller: Poller) -> tuple[WaitRow, ...]:
    return _waiting(poller).other


def _show_other(rows: tuple[WaitRow, ...]) -> None:
    if not rows:
        return
    with card("Waiting for space or labels", "looked at again by itself"):
        table(
            ("Run", "Waits for", ">Tasks", "Since", "What it says"),
            [
                (
                    lambda row=row: link(row.title, f"/runs/{row.run_id}"),
                    lambda row=row: badge(state_words(row.state), "warn"),
                    f"{row.tasks:,}",
                    at(row.since),
                    row.reason,
                )
                for row in rows
            ],
            "Waiting for space or labels",
        )


def _queues_of(poller: Poller) -> tuple[Any, ...]:
    return poller.value(READING).queues


def _show_queues(runs: RunDesk, queues: tuple[Any, ...]) -> None:
    may_act = visitor().may("operator")

    def buttons(one: Any) -> None:
        async def turn() -> None:
            words = "goes on" if one.paused else "is paused; what runs goes on"
            name = "queue.resume" if one.paused else "queue.pause"
            await runs.operate(name, {"queue": one.queue}, f"queue {one.queue} {words}")

        if may_act:
            button("Resume" if one.paused else "Pause", turn, "small")

    def state(one: Any) -> None:
        words = "paused" if one.paused else "draining" if one.draining else "open"
        badge(words, "good" if words == "open" else "warn")

    with card("Queues"):
        table(
            ("Queue", "State", ">Queued", ">Running", ">Waiting", ""),
            [
                (
                    one.queue, functools.partial(state, one), f"{one.queued:,}",
                    f"{one.running:,}", f"{one.waiting:,}", functools.partial(buttons, one),
                )
                for one in queues
            ],
            "Queues",
        )  # fmt: skip
