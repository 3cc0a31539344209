"""What is not whole in the store: it owns the list, each line with what repairs it or why not.

The engine heals most by itself; what is here either can be had sooner, or needs a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from gui.pages.storage import acts as actions
from gui.reading.desk import Desk
from gui.reading.polled import store_of
from gui.reading.poller import Poller
from gui.widgets.blocks import Tone, attributes, box, button, card, notice
from gui.widgets.frame import visitor
from gui.widgets.live import live

TONES: dict[str, Tone] = {"critical": "bad", "warning": "warn", "info": "info"}
REPAIRS: dict[str, tuple[str, Callable[[Desk], Awaitable[None]]] | None] = {
    "copies": ("Make the copies whole now", actions.rebuild_all),
    "damaged-garbage": ("Compact", actions.compact),
    "index-damaged": ("Reindex", actions.reindex),
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
        Fault(one.code, TONES[one.severity], one.message, one.advice)
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
    may = visitor().may("operator")
    with card("To repair") as element:
        attributes(element, aria_label="To repair")
        live(desk.poller, faults_of, _show_faults)
        repairs = [repair for code in codes if (repair := REPAIRS[code]) is not None]
        if may and repairs:
            with box("row"):
                for label, act in repairs:
                    button(label, partial(act, desk), "small")


def _show_faults(faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        notice(fault.message, fault.tone, fault.advice)
