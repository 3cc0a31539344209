"""Questions about schedules: it owns the dialogs that make, change and catch up on one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from nicegui import ui

from base.errors import DrystoneError
from gui.pages.runs.desk import RunDesk
from gui.pages.runs.page import short_time
from gui.widgets.blocks import box, button, clean, notice, text
from gui.widgets.frame import confirm, tell
from sql import Schedule

FIRINGS_SHOWN = 5
EXAMPLES = {
    "0 3 * * *": "every night at 3",
    "*/15 * * * *": "every 15 minutes",
    "0 * * * *": "every hour",
    "0 9 * * mon-fri": "on weekdays at 9",
    "0 5 * * sun": "on Sundays at 5",
    "0 4 1 * *": "on the first of the month",
}
CATCH_UP = {
    "once": "once for all of them",
    "all": "each of them",
    "skip": "leave them out",
}


class Preview(NamedTuple):
    """A cron expression in words with its next times, or why it is refused."""

    words: str
    times: tuple[datetime, ...] = ()
    refused: bool = False


def preview(expression: str, zone: str) -> Preview:
    """Say what an expression means; blocks a little."""
    from datetime import UTC

    from jobs import describe_cron, next_firings, parse_cron

    try:
        cron = parse_cron(expression, zone)
        times = next_firings(cron, datetime.now(UTC), FIRINGS_SHOWN)
        return Preview(describe_cron(cron), tuple(times))
    except DrystoneError as error:
        return Preview(str(error), refused=True)


def show_times(times: Sequence[datetime], zone: str) -> None:
    """Show moments on the clock of a time zone."""
    for moment in times:
        local = moment.astimezone(ZoneInfo(zone))
        text(local.strftime("%a %Y-%m-%d %H:%M %Z"), "mono small")


class ScheduleDialog:
    """The fields of a schedule, with what its expression means while it is typed."""

    def __init__(self, runs: RunDesk, title: str, label: str, given: dict[str, Any]) -> None:
        self._runs = runs
        self._is_new = "name" not in given
        zones = sorted(available_timezones())
        with ui.dialog() as self.dialog, box("dialog"):
            text(title, tag="h2")
            if self._is_new:
                self._name = ui.input("Name, such as cats-nightly")
                self._name.props("outlined dense autofocus maxlength=100")
            self._cron = ui.input(
                "When (cron: minute hour day month weekday)",
                value=given.get("cron", "0 3 * * *"),
                autocomplete=list(EXAMPLES),
                on_change=self._preview,
            ).props("outlined dense debounce=300")
            with box("chips"):
                for expression, words in EXAMPLES.items():
                    choose = functools.partial(self._cron.set_value, expression)
                    button(words, choose, "small quiet")
            self._zone = ui.select(
                zones, value=given.get("zone", "UTC"), label="On the clock of", with_input=True,
                on_change=self._preview,
            ).props("outlined dense options-dense")  # fmt: skip
            self._meaning = box("stack tight")
            self._catch_up = ui.select(
                CATCH_UP, value=given.get("catch_up", "once"), label="Times that were missed"
            ).props("outlined dense options-dense")
            self._overlap = ui.checkbox(
                "Fire also while a run of it goes on", value=given.get("overlap", False)
            )
            with box("dialog-buttons"):
                button("Cancel", lambda: self.dialog.submit(None))
                button(label, lambda: self.dialog.submit(True), "primary")

    async def ask(self) -> dict[str, Any] | None:
        """Show the dialog; returns what was filled in, None when it was left."""
        await self._preview()
        agreed = await self.dialog
        fields: dict[str, Any] = {
            "cron": str(self._cron.value or ""),
            "zone": str(self._zone.value or ""),
            "catch_up": self._catch_up.value,
            "overlap": bool(self._overlap.value),
        }
        if self._is_new:
            fields["name"] = str(self._name.value or "").strip()
        self.dialog.delete()
        return fields if agreed else None

    async def _preview(self) -> None:
        cron, zone = str(self._cron.value or ""), str(self._zone.value or "")
        meaning = await self._runs.desk.work(preview, cron, zone)
        self._meaning.clear()
        with self._meaning:
            if meaning.refused:
                notice(meaning.words, "bad")
                return
            text(f"Fires {meaning.words}. Next:", "strong")
            show_times(meaning.times, zone)


async def ask_for_schedule(runs: RunDesk, workflow: str, parameters: dict[str, Any]) -> None:
    """Ask when a request shall be made again and again, and make the schedule."""
    fields = await ScheduleDialog(runs, "Schedule it", "Make the schedule", {}).ask()
    if fields is None:
        return
    asked = {**fields, "workflow": workflow, "parameters": parameters}
    made = await runs.operate("schedule.add", asked)
    if made:
        ui.navigate.to(f"/scheduler/schedule/{made.name}")


async def ask_to_change(runs: RunDesk, schedule: Schedule) -> bool:
    """Ask for other settings of a schedule, and give it those."""
    given = schedule.model_dump(include={"name", "cron", "zone", "catch_up", "overlap"})
    fields = await ScheduleDialog(runs, f"Change {schedule.name}", "Change it", given).ask()
    if fields is None:
        return False

    asked = {**fields, "name": schedule.name}
    return bool(await runs.operate("schedule.set", asked, f"{schedule.name} is changed"))


async def ask_to_backfill(runs: RunDesk, schedule: Schedule) -> bool:
    """Ask for which time a schedule is made up for, show how many firings, and do it."""
    today = datetime.now().astimezone()
    with ui.dialog() as dialog, box("dialog"):
        text(f"Make up for times of {schedule.name}", tag="h2")
        text("Each time in this range that has not fired becomes a run of its own.", tag="p")
        since = ui.input("From", value=(today - timedelta(days=7)).strftime("%Y-%m-%d"))
        since.props("outlined dense type=date")
        until = ui.input("Up to, without this day", value=today.strftime("%Y-%m-%d"))
        until.props("outlined dense type=date")
        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(None))
            button("Count them", lambda: dialog.submit(True), "primary")
    agreed = await dialog
    given = str(since.value or ""), str(until.value or "")
    dialog.delete()
    if not agreed:
        return False
    zone = ZoneInfo(schedule.zone)
    try:
        begin, end = (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone) for day in given)
    except ValueError:
        tell("Give both days.", bad=True)
        return False
    return await _backfill(runs, schedule, begin, end)


async def _backfill(runs: RunDesk, schedule: Schedule, since: datetime, until: datetime) -> bool:
    asked = {"name": schedule.name, "since": since, "until": until}
    times: Any = await runs.operate("schedule.backfill_plan", asked)
    if times is None or times is True:
        return False
    if not times:
        tell("The schedule has no times in this range.")
        return False
    lines = [
        f"{len(times):,} times, from {short_time(times[0])} to {short_time(times[-1])}.",
        "Those that have fired already are left out.",
    ]
    if not await confirm(clean(f"Make up for {schedule.name}?"), lines, "Start the runs"):
        return False
    made = await runs.operate("schedule.backfill", asked)
    if isinstance(made, list):
        tell(f"{len(made)} runs were started" if made else "All of them had fired already.")
    return bool(made)
