"""Operations on schedules: add, change, list, show, switch, remove, fire, make up for."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, Field

from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, operation
from base.output import say, write_line, write_table
from base.text import time_text
from jobs.runs.session import Session, opened
from sql import Firing, Schedule

if TYPE_CHECKING:
    from jobs.scheduler.schedules import Request

__all__ = ["opened"]

HISTORY_MAX = 10_000
_SCHEDULE = {"name": "NAME"}

Name = Annotated[str, Field(min_length=1, max_length=100, description="Its name.")]


class OneSchedule(Document):
    """Which schedule."""

    name: Name


class AddRequest(OneSchedule):
    """A schedule that is not there yet."""

    workflow: Annotated[
        str, Field(min_length=1, max_length=200, description="`run workflows` names them.")
    ]
    cron: Annotated[str, Field(max_length=200, description="Five fields, or @daily and the like.")]
    zone: Annotated[str, Field(max_length=100, description="As Europe/Berlin.")] = "UTC"
    parameters: Annotated[
        dict[str, Any], Field(description="A parameter; JSON, or else text. Again.")
    ] = {}  # noqa: RUF012 (pydantic copies it)
    catch_up: Annotated[
        str, Field(max_length=20, description="Of what was missed: skip, once or all.")
    ] = "once"
    catch_up_max: Annotated[int, Field(ge=1, le=200, description="With all: the last so many.")] = (
        10
    )
    overlap: Annotated[bool, Field(description="Also while a run of it is going on.")] = False
    enabled: Annotated[bool, Field(description="Whether the clock fires it.")] = True


class ChangeRequest(OneSchedule):
    """Fields of a schedule that become something else; what is null stays."""

    workflow: Annotated[str | None, Field(max_length=200)] = None
    cron: Annotated[
        str | None, Field(max_length=200, description="Five fields, or @daily and the like.")
    ] = None
    zone: Annotated[str | None, Field(max_length=100, description="As Europe/Berlin.")] = None
    parameters: Annotated[
        dict[str, Any] | None, Field(description="They replace all of the former. Again.")
    ] = None
    catch_up: Annotated[
        str | None, Field(max_length=20, description="Of what was missed: skip, once or all.")
    ] = None
    catch_up_max: Annotated[
        int | None, Field(ge=1, le=200, description="With all: the last so many.")
    ] = None
    overlap: Annotated[bool | None, Field(description="Also while a run of it is going on.")] = None


class DescribedSchedule(Schedule):
    """A schedule, in words and with its next five times."""

    text: str
    upcoming: tuple[AwareDatetime, ...]


# ---- How they look in the shell ------------------------------------------------------------------


def _show(one: DescribedSchedule, _asked: Any) -> None:
    write_line(f"schedule  {one.name}{'' if one.enabled else '  (off)'}")
    write_line(f"workflow  {one.workflow} {json.dumps(one.parameters)}")
    write_line(f"when      {one.text}")
    missed = f"the last {one.catch_up_max}" if one.catch_up == "all" else one.catch_up
    write_line(f"missed    {missed}{', runs may overlap' if one.overlap else ''}")
    for moment in one.upcoming:
        write_line(f"next      {time_text(moment)}")
    if one.problem:
        write_line(f"problem   {one.problem}")


def _show_all(found: list[DescribedSchedule], _asked: NoRequest) -> None:
    rows = [
        (
            one.name,
            one.workflow,
            one.cron,
            one.zone,
            "on" if one.enabled else "off",
            time_text(one.next_time),
            one.problem or "",
        )
        for one in found
    ]
    write_table(("schedule", "workflow", "cron", "zone", "state", "next", "problem"), rows)


def _show_times(times: list[datetime], _asked: Any) -> None:
    for moment in times:
        write_line(time_text(moment))


def _show_firings(found: list[Firing], _asked: Any) -> None:
    rows = [
        (
            time_text(one.due_time),
            one.outcome,
            one.cause,
            "" if one.run_id is None else str(one.run_id),
            one.reason or "",
        )
        for one in found
    ]
    write_table(("time", "outcome", "by", ">run", "why"), rows)


def _described(schedule: Schedule) -> DescribedSchedule:
    from jobs.scheduler import schedules

    text, upcoming = schedules.described(schedule)
    return DescribedSchedule(**schedule.model_dump(), text=text, upcoming=tuple(upcoming))


def _request(session: Session) -> Request:
    from jobs.scheduler import schedules

    return schedules.request_at(session.config_path)


# ---- The operations ------------------------------------------------------------------------------


@operation(
    "schedule.plan",
    role="operator",
    kind="question",
    route="POST /schedules/plan",
    cli=Cli(command="schedule add", show=_show_times, is_shown=False),
)
def plan(session: Session, caller: Caller, asked: AddRequest) -> list[datetime]:
    """Check a schedule that is not there yet, and tell when it would fire next."""
    from jobs.scheduler import schedules

    new = schedules.new_schedule(created_by=caller.name, **asked.model_dump())
    return schedules.try_schedule(new, _request(session))


@operation(
    "schedule.add",
    role="operator",
    kind="change",
    route="POST /schedules",
    cli=Cli(
        positional=("name", "workflow"),
        options={
            "parameters": ("--parameter", "-p"),
            "overlap": ("--overlap/--no-overlap",),
            "enabled": ("--enabled/--disabled",),
        },
        metavars={
            **_SCHEDULE, "workflow": "WORKFLOW", "cron": "EXPRESSION", "zone": "ZONE",
            "parameters": "NAME=VALUE", "catch_up": "POLICY", "catch_up_max": "COUNT",
        },
        pairs=("parameters",),
        files={"parameters": "--parameters"},
        dry_run=plan,
        show=_show,
    ),
)  # fmt: skip
def add(session: Session, caller: Caller, asked: AddRequest) -> DescribedSchedule:
    """Add a schedule, and show when it fires next.

    A time that the clock leaves out in spring fires at the jump; one that it shows twice in autumn
    fires the first time. An expression for every hour goes on by real time.
    """
    from jobs.scheduler import schedules

    new = schedules.new_schedule(created_by=caller.name, **asked.model_dump())
    return _described(schedules.add_schedule(session.database, new, _request(session)))


@operation(
    "schedule.set",
    role="operator",
    kind="change",
    route="PATCH /schedules/{name}",
    cli=Cli(
        positional=("name",),
        options={
            "parameters": ("--parameter", "-p"),
            "overlap": ("--overlap/--no-overlap",),
        },
        metavars={
            **_SCHEDULE, "workflow": "WORKFLOW", "cron": "EXPRESSION", "zone": "ZONE",
            "parameters": "NAME=VALUE", "catch_up": "POLICY", "catch_up_max": "COUNT",
        },
        pairs=("parameters",),
        files={"parameters": "--parameters"},
        show=_show,
    ),
)  # fmt: skip
def change(session: Session, _caller: Caller, asked: ChangeRequest) -> DescribedSchedule:
    """Change a schedule; what is not named stays. Given parameters replace all of the former.

    A file that holds {} takes them all away.
    """
    from jobs.scheduler import schedules

    fields = asked.model_dump(exclude_none=True, exclude={"name"})
    changed = schedules.change_schedule(session.database, asked.name, fields, _request(session))
    return _described(changed)


@operation(
    "schedule.list",
    role="viewer",
    kind="question",
    route="GET /schedules",
    cli=Cli(show=_show_all),
)
def list_schedules(session: Session, _caller: Caller, _asked: NoRequest) -> list[DescribedSchedule]:
    """List the schedules with their next times."""
    return [_described(one) for one in session.database.schedules.schedules()]


@operation(
    "schedule.show",
    role="viewer",
    kind="question",
    route="GET /schedules/{name}",
    cli=Cli(positional=("name",), metavars=_SCHEDULE, show=_show),
)
def show(session: Session, _caller: Caller, asked: OneSchedule) -> DescribedSchedule:
    """Show a schedule in words, with its next five times."""
    return _described(session.database.schedules.schedule(asked.name))


@operation(
    "schedule.enable",
    role="operator",
    kind="change",
    route="POST /schedules/{name}/enable",
    cli=Cli(positional=("name",), metavars=_SCHEDULE, show=_show),
)
def enable(session: Session, _caller: Caller, asked: OneSchedule) -> DescribedSchedule:
    """Let a schedule fire by the clock from now on; nothing is made up for."""
    from jobs.scheduler import schedules

    return _described(schedules.enable_schedule(session.database, asked.name, enabled=True))


@operation(
    "schedule.disable",
    role="operator",
    kind="change",
    route="POST /schedules/{name}/disable",
    cli=Cli(positional=("name",), metavars=_SCHEDULE, show=_show),
)
def disable(session: Session, _caller: Caller, asked: OneSchedule) -> DescribedSchedule:
    """Let a schedule fire by hand only."""
    from jobs.scheduler import schedules

    return _described(schedules.enable_schedule(session.database, asked.name, enabled=False))


class RemovedSchedule(Document):
    """The name of the schedule that is no more."""

    removed: str


@operation(
    "schedule.remove",
    role="operator",
    kind="change",
    route="DELETE /schedules/{name}",
    cli=Cli(
        positional=("name",),
        metavars=_SCHEDULE,
        show=lambda answer, _: say(f"schedule {answer.removed} is removed; its runs stay"),
    ),
)
def remove(session: Session, _caller: Caller, asked: OneSchedule) -> RemovedSchedule:
    """Remove a schedule with its history; the runs stay."""
    session.database.schedules.remove(asked.name)
    return RemovedSchedule(removed=asked.name)


class HistoryRequest(OneSchedule):
    """Which schedule, and how much of its history."""

    limit: Annotated[int, Field(ge=1, le=HISTORY_MAX)] = 20
    before: Annotated[AwareDatetime | None, Field(description="Only times before this one.")] = None


@operation(
    "schedule.history",
    role="viewer",
    kind="question",
    route="GET /schedules/{name}/history",
    cli=Cli(positional=("name",), metavars=_SCHEDULE, show=_show_firings),
)
def history(session: Session, _caller: Caller, asked: HistoryRequest) -> list[Firing]:
    """List what became of the times of a schedule, the latest first, with why it was skipped."""
    return session.database.schedules.history(asked.name, asked.limit, asked.before)


@operation(
    "schedule.fire",
    role="operator",
    kind="change",
    route="POST /schedules/{name}/fire",
    cli=Cli(
        positional=("name",),
        metavars=_SCHEDULE,
        show=_show_firings,
        exit_code=lambda made, _: 0 if made[0].outcome == "fired" else 1,
    ),
)
def fire(session: Session, caller: Caller, asked: OneSchedule) -> list[Firing]:
    """Fire a schedule now; the command ends with 1 when no run came of it, as one is going on."""
    from jobs.scheduler import schedules

    firing = schedules.fire_now(session.database, asked.name, _request(session), caller.name)
    session.control.push()
    return [firing]


class BackfillRequest(OneSchedule):
    """The times to make up for, from `since` up to and without `until`.

    A time without an offset is one of the schedule's zone.
    """

    since: Annotated[datetime, Field(description="As 2026-11-01T00:00.")]
    until: Annotated[datetime, Field(description="Without this one.")]


def _times(session: Session, asked: BackfillRequest) -> list[datetime]:
    from jobs.scheduler import schedules
    from jobs.scheduler.schedules_cron import find_zone

    schedule = session.database.schedules.schedule(asked.name)
    since, until = (
        moment if moment.tzinfo else moment.replace(tzinfo=find_zone(schedule.zone))
        for moment in (asked.since, asked.until)
    )
    return schedules.backfill_times(schedule, since, until)


@operation(
    "schedule.backfill_plan",
    role="operator",
    kind="question",
    route="POST /schedules/{name}/backfill/plan",
    cli=Cli(command="schedule backfill", show=_show_times, is_shown=False),
)
def backfill_plan(session: Session, _caller: Caller, asked: BackfillRequest) -> list[datetime]:
    """List the times that a backfill would make up for."""
    return _times(session, asked)


@operation(
    "schedule.backfill",
    role="operator",
    kind="change",
    route="POST /schedules/{name}/backfill",
    cli=Cli(
        positional=("name",),
        metavars={**_SCHEDULE, "since": "TIME", "until": "TIME"},
        dry_run=backfill_plan,
        show=_show_firings,
    ),
)
def backfill(session: Session, caller: Caller, asked: BackfillRequest) -> list[Firing]:
    """Make up for times that have passed and did not fire; a run for each.

    A time without an offset is one of the schedule's zone.
    """
    from jobs.scheduler import schedules

    times = _times(session, asked)
    request = _request(session)
    made = schedules.backfill(session.database, asked.name, times, request, caller.name)
    session.control.push()
    return made
