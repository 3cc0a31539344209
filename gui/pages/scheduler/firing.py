"""What a person does with a schedule: it owns the acts; when to fire is the scheduler's."""

from __future__ import annotations

import functools
from typing import Any

from nicegui import ui

from gui.reading.desk import Desk
from gui.widgets.acts import act_button, tell
from gui.widgets.blocks import box


def turn_buttons(desk: Desk, name: str, enabled: bool, classes: str = "") -> None:
    """Show the buttons that fire a schedule now, and let the clock fire it or no longer."""
    values = {"name": name}
    with box("row"):
        act_button(desk, "schedule.fire", "Fire now", values, classes=classes or "primary",
                   then=functools.partial(_tell_firings, name))  # fmt: skip
        if enabled:
            done = f"{name} does not fire any more"
            act_button(desk, "schedule.disable", "Disable", values, done=done, classes=classes)
        else:
            done = f"{name} fires by the clock"
            act_button(desk, "schedule.enable", "Enable", values, done=done, classes=classes)


def _tell_firings(name: str, made: Any) -> None:
    for firing in made if isinstance(made, list) else ():
        tell(
            f"{name}: run {firing.run_id} was started"
            if firing.outcome == "fired"
            else f"{name}: {firing.outcome}, {firing.reason}",
            bad=firing.outcome == "failed",
        )


def remove_button(desk: Desk, name: str) -> None:
    """Show the button that removes a schedule with its history, after a question."""
    act_button(
        desk, "schedule.remove", "Remove", {"name": name}, agree="Remove it",
        title=f"Remove schedule {name}?",
        lines=["Its history goes with it; the runs that it started stay."],
        done=f"{name} is removed", then=lambda _: ui.navigate.to("/scheduler"),
    )  # fmt: skip
