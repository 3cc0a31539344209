"""One schedule: it owns its page with next firings, history, and what can be done with it."""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import Path

from gui.pages.runs.words import run_title
from gui.pages.scheduler.dialogs import ask_to_backfill, ask_to_change, show_times
from gui.pages.scheduler.firing import remove_button, turn_buttons
from gui.reading.desk import Desk
from gui.widgets.blocks import box, button, card, link, notice, pairs, short_time, text, written
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge
from sql import Firing, Schedule

HISTORY_SHOWN = 50
_CAUSES = {"clock": "the clock", "hand": "a person", "backfill": "made up for"}

Name = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[\w.-]+$")]


class ScheduleReading(NamedTuple):
    """A schedule in words, with its next times and its history."""

    schedule: Schedule
    words: str
    upcoming: tuple[datetime, ...]
    history: tuple[Firing, ...]


def read_schedule(desk: Desk, name: Name) -> ScheduleReading:
    """Read a schedule; blocks. Raises NotFoundError."""
    from jobs import described_schedule

    book = desk.database().schedules
    schedule = book.schedule(name)
    words, upcoming = described_schedule(schedule)
    return ScheduleReading(
        schedule, words, tuple(upcoming), tuple(book.history(name, HISTORY_SHOWN))
    )


def build(view: View) -> None:
    """Build the page."""
    view.live(functools.partial(_show, view.desk), classes="stack wide")


PAGE = Page(
    "Schedule", "/scheduler/schedule/{name}", read=read_schedule, build=build,
    title=lambda found: f"Schedule {found.schedule.name}",
)  # fmt: skip


def _show(desk: Desk, found: ScheduleReading) -> None:
    schedule = found.schedule
    with box("grid"):
        with card("When"):
            if schedule.problem:
                notice(f"Its last firing failed: {schedule.problem}", "bad")
            pairs(
                [
                    ("Fires", found.words),
                    ("Written as", f"{schedule.cron} ({schedule.zone})"),
                    ("By the clock", "yes" if schedule.enabled else "no, it is disabled"),
                    ("Times that were missed", schedule.catch_up),
                    ("While a run goes on", "fires too" if schedule.overlap else "is skipped"),
                    ("Made by", schedule.created_by or "Drystone itself"),
                ]
            )
            if visitor().may("operator"):
                _buttons(desk, schedule)
        with card("Next five firings"), box("stack tight"):
            if not found.upcoming:
                text("None: it does not fire by the clock.", "empty-line")
            show_times(found.upcoming, schedule.zone)
    with card("What it starts"):
        pairs([("Starts", run_title(schedule.workflow, schedule.parameters))])
        words = json.dumps(schedule.parameters, indent=2, ensure_ascii=False, sort_keys=True)
        written(words, "Parameters")
    _show_history(found.history)


def _buttons(desk: Desk, schedule: Schedule) -> None:
    with box("row"):
        turn_buttons(desk, schedule.name, schedule.enabled)
        button("Change", lambda: ask_to_change(desk, schedule))
        button("Backfill", lambda: ask_to_backfill(desk, schedule))
        if not schedule.built_in:
            remove_button(desk, schedule.name)


def _show_history(history: tuple[Firing, ...]) -> None:
    cols = (
        Col("Due", "due_time", short_time),
        Col("Outcome", "outcome", state_badge),
        Col("By", lambda firing: _CAUSES[firing.cause]),
        Col("Why", "reason"),
        Col("Run", "run_id", lambda run_id: link(f"run {run_id}", f"/runs/{run_id}")),
    )
    with card("History", "the latest first"):
        table(history, cols, "History", "It has not fired yet.")
