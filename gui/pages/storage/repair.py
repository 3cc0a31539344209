"""What is not whole in the store: it owns the list, each line with what repairs it or why not.

The engine heals most by itself; what is here either can be had sooner, or needs a person.
"""

from __future__ import annotations

from typing import NamedTuple

from gui.reading.desk import Desk
from gui.reading.polled import store_of
from gui.reading.poller import Poller
from gui.widgets.acts import act_button
from gui.widgets.blocks import Tone, attributes, box, card, notice
from gui.widgets.live import live
from gui.widgets.words import state_tone


class Repair(NamedTuple):
    """A button: its operation, what is said when that has begun, and what is asked before."""

    label: str
    operation: str
    done: str
    title: str = ""
    lines: tuple[str, ...] = ()


REPAIRS: dict[str, Repair | None] = {
    "copies": Repair("Make the copies whole now", "storage.rebuild", "the rebuild has begun"),
    "damaged-garbage": Repair("Compact", "storage.compact", "the compaction has begun"),
    "index-damaged": Repair(
        "Reindex",
        "storage.reindex",
        "the reindex has begun",
        "Make the index anew?",
        ("Nothing is lost by it.", "No other job of the engine may run until it is done."),
    ),
    # A disk has its buttons where it is shown; the others wait for files or disks to come.
    "disk-missing": None,
    "disk-readonly": None,
    "disk-failing": None,
    "disk-gone": None,
    "damaged": None,
    "lost": None,
    "lost-list": None,
    "lost-objects": None,
    "unreadable": None,
}
"""By the code of a warning: what may be pressed, if anything."""


class Fault(NamedTuple):
    """One thing that is not whole."""

    code: str
    tone: Tone
    message: str
    advice: str


def faults_of(poller: Poller) -> tuple[Fault, ...]:
    """Return what is not whole, the worst first."""
    store = store_of(poller)
    return tuple(
        Fault(one.code, state_tone(one.severity), one.message, one.advice)
        for one in (store.health.warnings if store else ())
        if one.code in REPAIRS
    )


def faulty_codes(poller: Poller) -> tuple[str, ...]:
    """Return the codes of what is not whole, each once: what the buttons hang on."""
    return tuple(dict.fromkeys(fault.code for fault in faults_of(poller)))


def show_repairs(desk: Desk, codes: tuple[str, ...]) -> None:
    """Show what is not whole, and the buttons that repair it; nothing when all is whole.

    The words change with their figures, the buttons only with the codes.
    """
    if not codes:
        return
    with card("To repair") as element:
        attributes(element, aria_label="To repair")
        live(desk.poller, faults_of, _show_faults, "stack")
        repairs = [repair for code in codes if (repair := REPAIRS[code]) is not None]
        with box("row"):
            for one in repairs:
                act_button(desk, one.operation, one.label, {}, done=one.done, title=one.title,
                           lines=one.lines, classes="small")  # fmt: skip


def _show_faults(faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        notice(fault.message, fault.tone, fault.advice)
