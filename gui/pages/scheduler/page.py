"""The scheduler's page: it owns what can be started, and the list of schedules."""

from __future__ import annotations

import functools
from typing import NamedTuple

from gui.pages.runs.words import WORKFLOW_TITLES, run_title
from gui.pages.scheduler.firing import turn_buttons
from gui.reading.desk import Desk
from gui.widgets.blocks import attributes, box, card, empty, link, short_time, text
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge

_MAIN = ("ua_1", "ua_2", "ua_3")


class Startable(NamedTuple):
    """A workflow that a person can start."""

    name: str
    title: str
    description: str


class ScheduleRow(NamedTuple):
    """One schedule as the list shows it."""

    name: str
    title: str
    words: str
    next_time: str
    last: str
    last_reason: str
    enabled: bool
    problem: str


def _startable(desk: Desk) -> tuple[Startable, ...]:
    """Return what can be started; blocks, for it loads each workflow."""
    from jobs import workflow_named, workflow_names

    desk.control()  # It makes workflows of one's own known.
    found: list[Startable] = []
    for name in workflow_names():
        title = WORKFLOW_TITLES.get(name, name.replace("_", " ").capitalize())
        found.append(Startable(name, title, workflow_named(name).description))
    return tuple(found)


def _show_startable(found: tuple[Startable, ...]) -> None:
    may_act = visitor().may("operator")
    with card("Start", "each shows what it would do before it does anything"):
        with box("tiles"):
            for one in found:
                is_main = one.name in _MAIN
                with box("tile main" if is_main else "tile", "a" if may_act else "div") as tile:
                    text(one.title, "tile-title")
                    text(one.name.upper() if is_main else one.name, "tile-name")
                    text(one.description, "hint")
                if may_act:
                    attributes(tile, href=f"/scheduler/start/{one.name}")
        if not may_act:
            text("Your role looks on; an operator starts things.", "hint")


def read_schedules(desk: Desk) -> tuple[ScheduleRow, ...]:
    """Read all schedules with their last firing; blocks."""
    from jobs import described_schedule

    book = desk.database().schedules
    rows: list[ScheduleRow] = []
    for one in book.schedules():
        words, upcoming = described_schedule(one)
        latest = next(iter(book.history(one.name, 1)), None)
        rows.append(
            ScheduleRow(
                one.name,
                run_title(one.workflow, one.parameters),
                words,
                short_time(upcoming[0]) if upcoming else "",
                f"{latest.outcome} {short_time(latest.due_time)}" if latest else "",
                (latest.reason or "") if latest else "",
                one.enabled,
                one.problem or "",
            )
        )
    return tuple(rows)


async def build(view: View) -> None:
    """Build the page."""
    _show_startable(await view.desk.work(_startable, view.desk))
    view.live(functools.partial(_show_schedules, view.desk))


PAGE = Page(
    "Scheduler", "/scheduler", "viewer", "Work", read=read_schedules, build=build, slowness=2.0,
    key="c", place=1, lead="Start something now, or let the clock do it.",
)  # fmt: skip


def _show_schedules(desk: Desk, rows: tuple[ScheduleRow, ...]) -> None:
    cols = (
        Col("Schedule", _name),
        Col("Fires", "words"),
        Col("Next", lambda row: row.next_time or "not by the clock"),
        Col("Last", _last),
        Col("", lambda row: state_badge("on" if row.enabled else "off")),
        Col("", lambda row: turn_buttons(desk, row.name, row.enabled, "small")),
    )
    with card("Schedules"):
        if not rows:
            empty("No schedule yet.", "Do a dry run of something, then press Schedule it.",
                  "drystone schedule add --help")  # fmt: skip
        else:
            table(rows, cols, "Schedules")
        if visitor().may("operator"):
            link("Schedule an action", "/scheduler/start/ua_2", "button")


def _name(row: ScheduleRow) -> None:
    with box("stack tight"):
        link(row.name, f"/scheduler/schedule/{row.name}")
        text(row.title, "hint")


def _last(row: ScheduleRow) -> None:
    with box("stack tight"):
        text(row.last or "never")
        if row.problem or row.last_reason:
            text(row.problem or row.last_reason, "hint")
