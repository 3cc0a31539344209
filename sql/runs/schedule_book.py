"""Schedules and their firings: it owns their rows, and that a time fires once.

It knows no calendar: whoever decides tells the next time. A decision, its runs and the next time
are one transaction, which counts only while the schedule still waits for the time that was decided
about; so of two schedulers one is heard, and a crash leaves all of a decision or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from base.errors import UsageError
from sql.core.clean_text import clean_text
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, rows_of, value_of
from sql.core.statements import statements
from sql.runs.run_models import PRIORITY_FIRST, PRIORITY_LOW
from sql.runs.run_requests import start
from sql.runs.schedule_models import (
    Firing,
    FiringCause,
    FiringDecision,
    NewSchedule,
    RunRequest,
    Schedule,
)

if TYPE_CHECKING:
    import psycopg

HISTORY_ROWS_MAX = 10_000
"""So many firings of a schedule are remembered: a week of one that fires every minute."""

_SQL = statements("schedule")


class ScheduleBook(Repository):
    """Schedules and their history."""

    # ---- Schedules -------------------------------------------------------------------------------

    def add(self, new: NewSchedule, next_time: datetime | None) -> Schedule:
        """Add a schedule; UsageError when its name is taken."""
        if not self.ensure(new, next_time):
            raise UsageError(f"there is a schedule {new.name} already; give another name")
        return self.schedule(new.name)

    def ensure(self, new: NewSchedule, next_time: datetime | None) -> bool:
        """Add a schedule unless there is one of its name, which stays as it is; True when added."""
        return self._change(_SQL["add"], _row_of(new, next_time)) == 1

    def change(self, new: NewSchedule, next_time: datetime | None) -> Schedule:
        """Give the schedule of that name other settings; NotFoundError when there is none."""
        if not self._change(_SQL["change"], _row_of(new, next_time)):
            raise _unknown(new.name)
        return self.schedule(new.name)

    def schedules(self) -> list[Schedule]:
        """Return all schedules, by name."""
        return self._all(Schedule, _SQL["schedules"])

    def schedule(self, name: str) -> Schedule:
        """Return one schedule; NotFoundError when there is none of this name."""
        found = self._first(Schedule, _SQL["schedule"], [clean_text(name)])
        if found is None:
            raise _unknown(name)
        return found

    def set_enabled(self, name: str, next_time: datetime | None, *, enabled: bool) -> Schedule:
        """Let it fire by the clock, from `next_time` on, or no longer; then `next_time` is None."""
        given = {"name": clean_text(name), "next_time": next_time, "enabled": enabled}
        if not self._change(_SQL["enable"], given):
            raise _unknown(name)
        return self.schedule(name)

    def remove(self, name: str) -> None:
        """Remove a schedule with its history; its runs stay. UsageError for a built-in one."""
        if self.schedule(name).built_in:
            raise UsageError(
                f"{name} is one of Drystone's own schedules; `drystone schedule disable {name}` "
                "keeps it from firing"
            )
        self._change(_SQL["remove"], [clean_text(name)])

    # ---- Firing ----------------------------------------------------------------------------------

    def due(self, now: datetime) -> list[Schedule]:
        """Return the enabled schedules whose time has come, the earliest first."""
        return self._all(Schedule, _SQL["due"], [now])

    def decide(
        self, schedule: Schedule, decisions: Sequence[FiringDecision], next_time: datetime | None
    ) -> list[Firing] | None:
        """Fire and skip what is due, and move the schedule on; None when somebody else has.

        `schedule` is as `due` returned it. Without `overlap` nothing fires while a run of the
        schedule goes on that was started before.
        """
        with self._database.connection() as connection:
            given = {"schedule_id": schedule.schedule_id, "next_time": schedule.next_time}
            if connection.execute(_SQL["take"], given).fetchone() is None:
                return None
            made = _carry_out(connection, schedule, decisions, "clock")
            failed = [firing.reason for firing in made if firing.outcome == "failed"]
            connection.execute(
                _SQL["move_on"],
                {**given, "next_time": next_time, "problem": failed[-1] if failed else None},
            )
            connection.execute(_SQL["forget"], {**given, "kept": HISTORY_ROWS_MAX - 1})
        return made

    def fire(
        self, schedule: Schedule, decisions: Sequence[FiringDecision], cause: FiringCause
    ) -> list[Firing]:
        """Fire by hand, or make up for times that have passed; what has fired does not again."""
        with self._database.connection() as connection:
            if connection.execute(_SQL["hold"], [schedule.schedule_id]).fetchone() is None:
                raise _unknown(schedule.name)
            return _carry_out(connection, schedule, decisions, cause)

    def history(self, name: str, limit: int = 50, before: datetime | None = None) -> list[Firing]:
        """Return what was decided about the times of a schedule, the latest first."""
        given = {"schedule_id": self.schedule(name).schedule_id, "limit": limit, "before": before}
        return self._all(Firing, _SQL["history"], given)


def _carry_out(
    connection: psycopg.Connection[Any],
    schedule: Schedule,
    decisions: Sequence[FiringDecision],
    cause: FiringCause,
) -> list[Firing]:
    """Start the runs and write the firings; those that had fired already are left out."""
    active = None
    if not schedule.overlap:
        active = value_of(connection, _SQL["active_run"], [schedule.schedule_id])
    made: list[Firing] = []
    for decision in decisions:
        given: dict[str, Any] = {
            "schedule_id": schedule.schedule_id,
            "due_time": decision.due_time,
            "cause": cause,
            "outcome": decision.outcome,
            "reason": clean_text(decision.reason) or None,
            "run_id": None,
        }
        if value_of(connection, _SQL["has_fired"], given):
            continue
        if decision.request is not None and active is not None:
            given["outcome"], given["reason"] = "skipped", f"run {active} is still going on"
        elif decision.request is not None:
            least = PRIORITY_LOW if cause == "backfill" else PRIORITY_FIRST
            run_id, is_new = _start(connection, decision.request, least)
            given["outcome"] = "fired" if is_new else "skipped"
            given["reason"] = None if is_new else f"run {run_id} of the same request is there"
            given["run_id"] = run_id
        made += rows_of(connection, Firing, _SQL["add_firing"], given)
    return made


def _start(
    connection: psycopg.Connection[Any], request: RunRequest, least: int
) -> tuple[int, bool]:
    return start(
        connection,
        request.workflow,
        request.parameters,
        request.first_task,
        run_key=request.run_key,
        once=request.once,
        priority=max(request.priority, least),
        is_by_size=request.is_by_size and least == PRIORITY_FIRST,
        requested_by=request.requested_by,
    )


def _row_of(new: NewSchedule, next_time: datetime | None) -> dict[str, Any]:
    given = new.model_dump(include=set(NewSchedule.model_fields))
    return {
        **given,
        "created_by": clean_text(new.created_by),
        "parameters": json.dumps(new.parameters),
        "next_time": next_time if new.enabled else None,
    }


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"there is no schedule {name!a}; see `drystone schedule list`")
