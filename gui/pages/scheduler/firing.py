"""What a person does with a schedule: it owns the acts; when to fire is the scheduler's."""

from __future__ import annotations

from nicegui import ui

from gui.pages.runs.desk import RunDesk
from gui.widgets.frame import confirm, tell


async def fire(runs: RunDesk, name: str) -> None:
    """Fire a schedule now, and say what came of it."""
    made = await runs.operate("schedule.fire", {"name": name})
    for firing in made or ():
        tell(
            f"{name}: run {firing.run_id} was started"
            if firing.outcome == "fired"
            else f"{name}: {firing.outcome}, {firing.reason}",
            bad=firing.outcome == "failed",
        )


async def enable(runs: RunDesk, name: str, enabled: bool) -> None:
    """Let a schedule fire by the clock, or no longer."""

    words = "fires by the clock" if enabled else "does not fire any more"
    operation = "schedule.enable" if enabled else "schedule.disable"
    await runs.operate(operation, {"name": name}, f"{name} {words}")


async def remove(runs: RunDesk, name: str) -> None:
    """Ask, then remove a schedule with its history."""
    lines = ["Its history goes with it; the runs that it started stay."]
    if not await confirm(f"Remove schedule {name}?", lines, "Remove it"):
        return
    if await runs.operate("schedule.remove", {"name": name}, f"{name} is removed"):
        ui.navigate.to("/scheduler")
