"""One schedule: it owns its page with next firings, history, and what can be done with it."""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import Path

from gui.pages.runs.blocks import add_run_style
from gui.pages.runs.desk import READING, RunDesk, work_page
from gui.pages.runs.page import short_time
from gui.pages.runs.words import tone_of
from gui.pages.scheduler.dialogs import ask_to_backfill, ask_to_change, show_times
from gui.pages.scheduler.firing import enable, fire, remove
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import (
    attributes,
    badge,
    box,
    button,
    card,
    link,
    notice,
    pairs,
    table,
    text,
)
from gui.widgets.frame import frame, visitor
from gui.widgets.live import live
from sql import Firing, Schedule

HISTORY_SHOWN = 50
_OUTCOMES = {"fired": "done", "skipped": "cancelled", "failed": "failed"}
_CAUSES = {"clock": "the clock", "hand": "a person", "backfill": "made up for"}

Name = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[\w.-]+$")]


class ScheduleReading(NamedTuple):
    """A schedule in words, with its next times and its history."""

    schedule: Schedule
    words: str
    upcoming: tuple[datetime, ...]
    history: tuple[Firing, ...]


def register(desk: Desk, runs: RunDesk) -> None:
    """Add the page."""

    @work_page(desk, "/scheduler/schedule/{name}")
    async def schedule_page(name: Name) -> None:
        add_run_style()
        read = functools.partial(read_schedule, desk, name)
        poller = await runs.follow(f"schedule {name}", f"Schedule {name}", read)
        with frame(desk, f"Schedule {name}"):
            live(poller, _reading_of, functools.partial(_show, runs), "stack wide")


def read_schedule(desk: Desk, name: str) -> ScheduleReading:
    """Read a schedule; blocks. Raises NotFoundError."""
    from jobs import described_schedule

    book = desk.database().schedules
    schedule = book.schedule(name)
    words, upcoming = described_schedule(schedule)
    return ScheduleReading(
        schedule, words, tuple(upcoming), tuple(book.history(name, HISTORY_SHOWN))
    )


def _reading_of(poller: Poller) -> ScheduleReading:
    return poller.value(READING)


def _show(runs: RunDesk, found: ScheduleReading) -> None:
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
                _buttons(runs, schedule)
        with card("Next five firings"), box("stack tight"):
            if not found.upcoming:
                text("None: it does not fire by the clock.", "empty-line")
            show_times(found.upcoming, schedule.zone)
    with card("What it starts"):
        pairs([("Workflow", schedule.workflow)])
        words = json.dumps(schedule.parameters, indent=2, ensure_ascii=False, sort_keys=True)
        block = text(words, "log plain", "pre")
        attributes(block, tabindex="0", role="region", aria_label="Parameters")
    _show_history(found.history)


def _buttons(runs: RunDesk, schedule: Schedule) -> None:
    name = schedule.name
    with box("row"):
        button("Fire now", lambda: fire(runs, name), "primary")
        label = "Disable" if schedule.enabled else "Enable"
        button(label, lambda: enable(runs, name, not schedule.enabled))
        button("Change", lambda: ask_to_change(runs, schedule))
        button("Backfill", lambda: ask_to_backfill(runs, schedule))
        if not schedule.built_in:
            button("Remove", lambda: remove(runs, name))


def _show_history(history: tuple[Firing, ...]) -> None:
    with card("History", "the latest first"):
        table(
            ("Due", "Outcome", "By", "Why", "Run"),
            [_cells(firing) for firing in history],
            "History",
            "It has not fired yet.",
        )


def _cells(firing: Firing) -> list[Any]:
    def run() -> None:
        if firing.run_id is not None:
            link(f"run {firing.run_id}", f"/runs/{firing.run_id}")

    return [
        short_time(firing.due_time),
        lambda: badge(firing.outcome, tone_of(_OUTCOMES[firing.outcome])),
        _CAUSES[firing.cause],
        firing.reason or "",
        run,
    ]
