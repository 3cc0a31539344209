"""The scheduler's page: it owns what can be started, and the list of schedules."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from gui.pages.runs.blocks import add_run_style
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.pages.runs.page import GROUP, short_time
from gui.pages.runs.words import WORKFLOW_TITLES
from gui.pages.scheduler.firing import enable, fire
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import attributes, badge, box, button, card, empty, link, table, text
from gui.widgets.frame import Place, add_place, frame, visitor
from gui.widgets.live import live

_MAIN = ("ua_1", "ua_2", "ua_3")
SLOWNESS = 2.0


class Startable(NamedTuple):
    """A workflow that a person can start."""

    name: str
    title: str
    description: str


class ScheduleRow(NamedTuple):
    """One schedule as the list shows it."""

    name: str
    workflow: str
    words: str
    next_time: str
    last: str
    last_reason: str
    enabled: bool
    problem: str


def register(desk: Desk, runs: RunDesk) -> None:
    """Add the page."""
    add_place(Place("Scheduler", "/scheduler", "c", group=GROUP))

    @work_page(desk, "/scheduler")
    async def scheduler_page() -> None:
        add_run_style()
        startable = await desk.work(_startable, runs)
        read = functools.partial(read_schedules, desk)
        poller = await runs.follow("schedules", "Schedules", read, SLOWNESS)
        with frame(desk, "Scheduler", "Start something now, or let the clock do it."):
            _show_startable(startable)
            live(poller, _rows_of, functools.partial(_show_schedules, runs))


def _startable(runs: RunDesk) -> tuple[Startable, ...]:
    """Return what can be started; blocks, for it loads each workflow."""
    from jobs import workflow_named, workflow_names

    runs.control()  # It makes workflows of one's own known.
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
                one.workflow,
                words,
                short_time(upcoming[0]) if upcoming else "",
                f"{latest.outcome} {short_time(latest.due_time)}" if latest else "",
                (latest.reason or "") if latest else "",
                one.enabled,
                one.problem or "",
            )
        )
    return tuple(rows)


def _rows_of(poller: Poller) -> tuple[ScheduleRow, ...]:
    return poller.value(READING)


def _show_schedules(runs: RunDesk, rows: tuple[ScheduleRow, ...]) -> None:
    with card("Schedules"):
        if not rows:
            empty("No schedule yet.", "Do a dry run of something, then press Schedule it.",
                  "drystone schedule add --help")  # fmt: skip
            return
        may_act = visitor().may("operator")
        table(
            ("Schedule", "Fires", "Next", "Last", "", ""),
            [_cells(runs, row, may_act) for row in rows],
            "Schedules",
        )


def _cells(runs: RunDesk, row: ScheduleRow, may_act: bool) -> list[Any]:
    def name() -> None:
        with box("stack tight"):
            link(row.name, f"/scheduler/schedule/{row.name}")
            text(row.workflow, "hint")

    def last() -> None:
        with box("stack tight"):
            text(row.last or "never")
            if row.problem or row.last_reason:
                text(row.problem or row.last_reason, "hint")

    def state() -> None:
        badge("on" if row.enabled else "off", "good" if row.enabled else "muted")

    def buttons() -> None:
        with box("row"):
            if may_act:
                button("Fire now", lambda: fire(runs, row.name), "small")
                label = "Disable" if row.enabled else "Enable"
                button(label, lambda: enable(runs, row.name, not row.enabled), "small")

    return [name, row.words, row.next_time or "not by the clock", last, state, buttons]
