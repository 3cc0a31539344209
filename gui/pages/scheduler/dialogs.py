"""Questions about schedules: it owns the dialogs that make, change and catch up on one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from nicegui import background_tasks, ui
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from base.errors import DrystoneError
from gui.reading.desk import Desk
from gui.widgets.acts import ask, confirm, operate, tell
from gui.widgets.blocks import box, button, clean, notice, short_time, text
from gui.widgets.forms import FormView
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
CATCH_UP: JsonDict = {
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


class Firing(BaseModel):
    """When a schedule fires, and what becomes of times that were missed."""

    cron: Annotated[str, Field(title="When (cron: minute hour day month weekday)")] = "0 3 * * *"
    zone: Annotated[
        str,
        Field(
            title="On the clock of", json_schema_extra={"enum": [*sorted(available_timezones())]}
        ),
    ] = "UTC"
    catch_up: Annotated[
        Literal["once", "all", "skip"],
        Field(title="Times that were missed", json_schema_extra={"choices": CATCH_UP}),
    ] = "once"
    overlap: Annotated[bool, Field(title="Fire also while a run of it goes on")] = False


class NewSchedule(Firing):
    """A schedule that is to be made."""

    name: Annotated[str, Field(title="Name, such as cats-nightly", max_length=100)]


class Range(BaseModel):
    """The days for which a schedule is made up for."""

    since: Annotated[date, Field(title="From")]
    until: Annotated[date, Field(title="Up to, without this day")]


def _beside(desk: Desk, form: FormView) -> Callable[[], None]:
    """Show examples, and what the expression means while it is typed."""
    with box("chips"):
        for expression, words in EXAMPLES.items():
            button(words, functools.partial(form.fill, "cron", expression), "small quiet")
    meaning = box("stack tight")
    shown = ("", "")

    async def show() -> None:
        nonlocal shown
        given = form.given()
        asked = str(given["cron"] or ""), str(given["zone"] or "")
        if asked == shown:
            return
        shown = asked
        found = await desk.work(preview, *asked)
        if asked != shown or meaning.is_deleted:
            return
        meaning.clear()
        with meaning:
            if found.refused:
                notice(found.words, "bad")
                return
            text(f"Fires {found.words}. Next:", "strong")
            show_times(found.times, asked[1])

    def changed() -> None:
        background_tasks.create(show(), name="cron")

    changed()
    return changed


async def ask_for_schedule(desk: Desk, workflow: str, parameters: dict[str, Any]) -> None:
    """Ask when a request shall be made again and again, and make the schedule."""
    beside = functools.partial(_beside, desk)
    fields = ("name", *Firing.model_fields)
    asked = await ask("Schedule it", NewSchedule, "Make the schedule", fields=fields, beside=beside)
    if asked is None:
        return
    wanted = {**asked.model_dump(), "workflow": workflow, "parameters": parameters}
    if made := await operate(desk, "schedule.add", wanted):
        ui.navigate.to(f"/scheduler/schedule/{made.name}")


async def ask_to_change(desk: Desk, schedule: Schedule) -> None:
    """Ask for other settings of a schedule, and give it those."""
    asked = await ask(
        f"Change {schedule.name}", Firing, "Change it", given=schedule.model_dump(),
        beside=functools.partial(_beside, desk),
    )  # fmt: skip
    if asked is not None:
        wanted = {**asked.model_dump(), "name": schedule.name}
        await operate(desk, "schedule.set", wanted, f"{schedule.name} is changed")


async def ask_to_backfill(desk: Desk, schedule: Schedule) -> None:
    """Ask for which time a schedule is made up for, show how many firings, and do it."""
    today = datetime.now().astimezone().date()
    days = await ask(
        f"Make up for times of {schedule.name}", Range, "Count them",
        lines=["Each time in this range that has not fired becomes a run of its own."],
        given={"since": (today - timedelta(days=7)).isoformat(), "until": today.isoformat()},
    )  # fmt: skip
    if days is None:
        return
    zone = ZoneInfo(schedule.zone)
    since, until = (datetime.combine(day, time(), tzinfo=zone) for day in (days.since, days.until))
    asked = {"name": schedule.name, "since": since, "until": until}
    times: Any = await operate(desk, "schedule.backfill_plan", asked)
    if times is None:
        return
    if times is True or not times:
        tell("The schedule has no times in this range.")
        return
    lines = [
        f"{len(times):,} times, from {short_time(times[0])} to {short_time(times[-1])}.",
        "Those that have fired already are left out.",
    ]
    if await confirm(clean(f"Make up for {schedule.name}?"), lines, "Start the runs"):
        await operate(
            desk, "schedule.backfill", asked,
            lambda made: f"{len(made)} runs were started" if made
            else "All of them had fired already.",
        )  # fmt: skip
