"""Disks: it owns how they are shown, and which buttons a disk has.

Sizes and speeds change with every reading while the store works, buttons only with a disk's state.
They are sections apart, or a button would be another one between pressing and letting go.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from gui.pages.storage import acts as actions
from gui.reading.desk import Desk
from gui.reading.polled import store_of
from gui.reading.poller import Poller
from gui.widgets.acts import act_button
from gui.widgets.blocks import box, button, fill_bar, notice, percent, size, text
from gui.widgets.frame import visitor
from gui.widgets.live import live
from gui.widgets.words import state_badge

FORMER = {
    "gone": "Declared dead. If it comes back, add it again: its copies count once verified.",
    "retired": "Taken out; it is never used again.",
}
"""Disks that hold nothing any more, and what is said of them."""
_DRAIN_LINES = (
    "Everything on it is copied to the other disks first; it stays readable meanwhile.",
    "The engine refuses when it does not fit anywhere else.",
)
_FILL_WARN, _FILL_BAD = 0.85, 0.95


class DiskHead(NamedTuple):
    """What a disk is, and what can be done with it."""

    name: str
    path: str
    state: str
    health: str


class DiskFigures(NamedTuple):
    """What is known of a disk at the moment."""

    is_away: bool
    fill: float
    space: str
    speed: str
    facts: tuple[str, ...]
    reason: str
    health_reason: str
    last_error: str


def show_disks(desk: Desk) -> None:
    """Show all disks and keep them up to date."""
    live(desk.poller, heads_of, functools.partial(_show_heads, desk))


def heads_of(poller: Poller) -> tuple[DiskHead, ...]:
    """Return the disks, former ones last; it changes when one of them gets another state."""
    store = store_of(poller)
    disks = store.health.disks if store else ()
    heads = (DiskHead(disk.name, disk.path, disk.state, disk.health) for disk in disks)
    return tuple(sorted(heads, key=lambda disk: disk.state in FORMER))


def figures_of(poller: Poller) -> dict[str, DiskFigures]:
    """Return what is known of each disk; it changes with every reading."""
    store = store_of(poller)
    if store is None:
        return {}
    found: dict[str, DiskFigures] = {}
    beside: dict[str, list[str]] = {}
    for disk in store.health.disks:
        if disk.state not in (*FORMER, "missing") and disk.failure_domain:
            beside.setdefault(disk.failure_domain, []).append(disk.name)
    for disk in store.health.disks:
        used = disk.size_bytes - disk.free_bytes
        read, written = store.rates.get(disk.name, (0.0, 0.0))
        found[disk.name] = DiskFigures(
            is_away=disk.state == "missing",
            fill=used / disk.size_bytes if disk.size_bytes else 0.0,
            space=f"{size(disk.free_bytes)} free of {size(disk.size_bytes)}",
            speed=f"reads {size(read)}/s, writes {size(written)}/s",
            facts=(
                f"{disk.shards:,} shards, {size(disk.stored_bytes)}",
                f"{disk.errors:,} errors",
                *_fails_with(disk.name, beside.get(disk.failure_domain, [])),
            ),
            reason=disk.reason,
            health_reason=disk.health_reason,
            last_error=disk.last_error,
        )
    return found


def _fails_with(name: str, disks: list[str]) -> tuple[str, ...]:
    others = [one for one in disks if one != name]
    return (f"on one device with {', '.join(others)}: they fail together",) if others else ()


def _show_heads(desk: Desk, disks: tuple[DiskHead, ...]) -> None:
    if not disks:
        text("No disk is known yet.", "empty-line")
        return
    may = visitor().may("operator")
    for disk in disks:
        with box("disk"):
            with box("disk-head"):
                text(disk.name, "disk-name")
                state_badge(disk.state)
                if disk.health != "ok":
                    state_badge(disk.health)
                text(disk.path, "hint mono")
                if may:
                    with box("disk-buttons"):
                        _disk_buttons(desk, disk)
            if disk.state in FORMER:
                text(FORMER[disk.state], "hint")
                continue
            live(desk.poller, figures_of, functools.partial(_show_figures, disk.name), "stack")
    if may:
        with box("row"):
            button("Rebalance", lambda: actions.rebalance(desk), "small")
            act_button(
                desk, "disk.add", "Add a disk", {}, title="Add a disk", lines=actions.MOUNTED,
                fields=("path", "name"), agree="Add it", classes="small",
                done=lambda disk: f"{disk.path} is a disk now",
            )  # fmt: skip


def _show_figures(name: str, disks: dict[str, DiskFigures]) -> None:
    disk = disks.get(name)
    if disk is None:
        return
    if disk.is_away:
        text(f"It held {', '.join(disk.facts[:1])} when it was seen last.", "hint")
        notice(disk.reason or "It does not answer.", "warn")
        return
    tone = "bad" if disk.fill > _FILL_BAD else "warn" if disk.fill > _FILL_WARN else ""
    fill_bar(disk.fill, f"{name} is {percent(disk.fill)} full", tone)
    with box("disk-facts"):
        for fact in (f"{percent(disk.fill)} full, {disk.space}", disk.speed, *disk.facts):
            text(fact)
    for reason in (disk.reason, disk.health_reason):
        if reason:
            notice(reason, "warn")
    if disk.last_error:
        text(f"Last error: {disk.last_error}", "hint")


def _disk_buttons(desk: Desk, disk: DiskHead) -> None:
    name = disk.name
    values = {"disk": name}
    if disk.state == "gone":
        act_button(
            desk, "disk.add", "Add it again", {"path": disk.path}, title=f"Add {name} again?",
            lines=actions.MOUNTED, fields=("path",), agree="Add it", classes="small",
            done=lambda added: f"{added.path} is a disk again",
        )  # fmt: skip
    if disk.state in FORMER:
        return
    if disk.state == "draining":
        act_button(desk, "disk.undrain", "Take it back", values, done=f"{name} is in use again",
                   classes="small")  # fmt: skip
        button("Retire", lambda: actions.retire(desk, name), "small")
    elif disk.state == "missing":
        button("Rebuild without it", lambda: actions.rebuild(desk, name), "small")
    else:
        act_button(
            desk, "disk.drain", "Drain", values, title=f"Empty disk {name}?", lines=_DRAIN_LINES,
            agree="Drain it", done=f"{name} is being emptied", classes="small",
        )  # fmt: skip
    button("Replace", lambda: actions.replace(desk, name), "small")
