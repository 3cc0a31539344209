"""What a person does with a schedule: it owns the acts; when to fire is the scheduler's."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from gui.pages.runs.desk import RunDesk
from gui.widgets.frame import confirm, tell, visitor


async def fire(runs: RunDesk, name: str) -> None:
    """Fire a schedule now, and say what came of it."""
    by = visitor().name

    def fire_it() -> Any:
        from jobs import fire_schedule, schedule_requests

        request = schedule_requests(runs.config_path)
        firing = fire_schedule(runs.desk.database(), name, request, by)
        runs.control().push()
        return firing

    firing = await runs.act("", fire_it)
    if firing:
        tell(
            f"{name}: run {firing.run_id} was started"
            if firing.outcome == "fired"
            else f"{name}: {firing.outcome}, {firing.reason}",
            bad=firing.outcome == "failed",
        )


async def enable(runs: RunDesk, name: str, enabled: bool) -> None:
    """Let a schedule fire by the clock, or no longer."""

    def set_it() -> None:
        from jobs import enable_schedule

        enable_schedule(runs.desk.database(), name, enabled=enabled)

    words = "fires by the clock" if enabled else "does not fire any more"
    await runs.act(f"{name} {words}", set_it)


async def remove(runs: RunDesk, name: str) -> None:
    """Ask, then remove a schedule with its history."""
    lines = ["Its history goes with it; the runs that it started stay."]
    if await confirm(f"Remove schedule {name}?", lines, "Remove it"):
        book = runs.desk.database
        if await runs.act(f"{name} is removed", lambda: book().schedules.remove(name)):
            ui.navigate.to("/scheduler")
