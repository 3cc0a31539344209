"""Schedules at work: it owns making and changing them, and firing what is due.

The calendar is `schedules_cron`'s, the policy `schedules_plan`'s, the rows are the database's; here
they meet. Any number of schedulers may call `fire_due`: the database hears one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from base.errors import UsageError
from jobs.runs.control import make_request
from jobs.scheduler.schedules_cron import (
    describe_cron,
    firings,
    next_firing,
    next_firings,
    parse_cron,
)
from jobs.scheduler.schedules_plan import make_plan
from sql import (
    Database,
    DatabaseUnavailableError,
    Firing,
    FiringDecision,
    NewSchedule,
    RunRequest,
    Schedule,
)

BACKFILL_MAX = 200
"""So many times are made up for at once; a longer range is given in parts."""
YEAR_MIN = 1900
SHOWN_FIRINGS = 5

Request = Callable[[str, dict[str, Any], str], RunRequest]
"""Make the request of a run (workflow, parameters, who asks); raises UsageError for wrong ones."""

BUILT_IN = (
    NewSchedule(
        name="backup", workflow="backup", cron="30 3 * * *", zone="UTC", built_in=True
    ),
    NewSchedule(name="scrub", workflow="scrub", cron="0 5 * * *", zone="UTC", built_in=True),
    NewSchedule(name="audit", workflow="audit", cron="0 6 * * sun", zone="UTC", built_in=True),
)  # fmt: skip


def request_at(config_path: str) -> Request:
    """Return what makes requests for the store of a drystone.toml."""

    def request(workflow: str, parameters: dict[str, Any], by: str) -> RunRequest:
        return make_request(config_path, workflow, parameters, by)

    return request


def new_schedule(**fields: Any) -> NewSchedule:
    """Check the fields of a schedule; UsageError with a line for each that is wrong."""
    try:
        return NewSchedule.model_validate(fields)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise UsageError("the schedule is refused:\n  " + "\n  ".join(lines)) from None


def try_schedule(new: NewSchedule, request: Request, now: datetime | None = None) -> list[datetime]:
    """Check a schedule that is not there yet; returns its next times."""
    now = now or datetime.now(UTC)
    _checked(new, request, now)
    return next_firings(parse_cron(new.cron, new.zone), now, SHOWN_FIRINGS)


def described(schedule: Schedule) -> tuple[str, list[datetime]]:
    """Return a schedule in words, and its next times."""
    try:
        return describe_cron(parse_cron(schedule.cron, schedule.zone)), upcoming(schedule)
    except UsageError as error:
        # A zone that this machine does not know any more.
        return str(error), []


def add_schedule(
    database: Database, new: NewSchedule, request: Request, now: datetime | None = None
) -> Schedule:
    """Add a schedule; UsageError when cron, zone, workflow or parameters are wrong."""
    return database.schedules.add(new, _checked(new, request, now))


def change_schedule(
    database: Database,
    name: str,
    fields: Mapping[str, Any],
    request: Request,
    now: datetime | None = None,
) -> Schedule:
    """Change fields of a schedule; it goes on with its next time, what it missed is forgotten."""
    former = database.schedules.schedule(name)
    given = former.model_dump(include=set(NewSchedule.model_fields))
    new = new_schedule(**{**given, **fields, "name": name, "built_in": former.built_in})
    return database.schedules.change(new, _checked(new, request, now))


def enable_schedule(
    database: Database, name: str, *, enabled: bool, now: datetime | None = None
) -> Schedule:
    """Let a schedule fire by the clock, or no longer; times in between are not made up for."""
    schedule = database.schedules.schedule(name)
    if enabled == schedule.enabled:
        return schedule
    cron = parse_cron(schedule.cron, schedule.zone)
    next_time = next_firing(cron, now or datetime.now(UTC)) if enabled else None
    return database.schedules.set_enabled(name, next_time, enabled=enabled)


def add_built_in(database: Database, now: datetime | None = None) -> list[str]:
    """Make Drystone's own schedules where they are missing; returns the names of the new ones."""
    now = now or datetime.now(UTC)
    return [
        new.name
        for new in BUILT_IN
        if database.schedules.ensure(new, next_firing(parse_cron(new.cron, new.zone), now))
    ]


def upcoming(schedule: Schedule, now: datetime | None = None) -> list[datetime]:
    """Return the next times of a schedule, five of them; none when it is disabled."""
    if not schedule.enabled or schedule.next_time is None:
        return []
    cron = parse_cron(schedule.cron, schedule.zone)
    now = now or datetime.now(UTC)
    if schedule.next_time > now:
        return [schedule.next_time, *next_firings(cron, schedule.next_time, SHOWN_FIRINGS - 1)]
    return next_firings(cron, now, SHOWN_FIRINGS)


# ---- Firing --------------------------------------------------------------------------------------


def fire_due(database: Database, request: Request, now: datetime | None = None) -> list[Firing]:
    """Decide about all times that have come; returns what was decided, by whoever's turn it is."""
    now = now or datetime.now(UTC)
    made: list[Firing] = []
    with database.runs.sole_turn("schedules") as mine:
        if mine:
            for schedule in database.schedules.due(now):
                made += _fire_due(database, schedule, request, now)
    return made


def _fire_due(
    database: Database, schedule: Schedule, request: Request, now: datetime
) -> list[Firing]:
    assert schedule.next_time is not None
    try:
        cron = parse_cron(schedule.cron, schedule.zone)
    except UsageError as error:
        # A zone that an update of the system took away: said once, and it does not fire any more.
        refused = _failed(schedule.next_time, error)
        return _told(database, schedule, database.schedules.decide(schedule, [refused], None))
    plan = make_plan(cron, schedule.next_time, now, schedule.catch_up, schedule.catch_up_max)
    decisions = [
        _decision(schedule, firing.due_time, request)
        if firing.fires
        else FiringDecision(due_time=firing.due_time, reason=firing.reason)
        for firing in plan.firings
    ]
    made = database.schedules.decide(schedule, decisions, plan.next_time)
    return _told(database, schedule, made)


def fire_now(
    database: Database, name: str, request: Request, by: str = "", now: datetime | None = None
) -> Firing:
    """Fire a schedule by hand, enabled or not; the firing says whether a run came of it."""
    schedule = database.schedules.schedule(name)
    now = now or datetime.now(UTC)
    # Refused in front of the person who asks, not in the history.
    decision = FiringDecision(due_time=now, request=_request(schedule, now, request, by))
    made = database.schedules.fire(schedule, [decision], "hand")
    if not made:
        raise UsageError(f"schedule {name} has fired at this very moment; look at its history")
    return made[0]


def backfill_times(
    schedule: Schedule, since: datetime, until: datetime, now: datetime | None = None
) -> list[datetime]:
    """Return the times from `since` up to and without `until` that a backfill makes up for.

    Those that have not come yet are the clock's.
    """
    if until <= since:
        raise UsageError("the time since when has to be before the time until when")
    if since.year < YEAR_MIN:
        raise UsageError(f"nothing is made up for before the year {YEAR_MIN}; give a later time")
    now = now or datetime.now(UTC)
    cron = parse_cron(schedule.cron, schedule.zone)
    times: list[datetime] = []
    for moment in firings(cron, since - timedelta(microseconds=1)):
        if moment >= until or moment > now:
            break
        if len(times) == BACKFILL_MAX:
            raise UsageError(
                f"that are more than {BACKFILL_MAX} times; make up for a shorter range"
            )
        times.append(moment)
    return times


def backfill(
    database: Database, name: str, times: Sequence[datetime], request: Request, by: str = ""
) -> list[Firing]:
    """Make up for times that have passed and did not fire; returns those that did not before.

    Each is a run of its own, also when the schedule does not overlap.
    """
    schedule = database.schedules.schedule(name)
    free = schedule.model_copy(update={"overlap": True})
    decisions = [
        FiringDecision(due_time=time, request=_request(free, time, request, by)) for time in times
    ]
    return database.schedules.fire(free, decisions, "backfill")


def _decision(schedule: Schedule, due_time: datetime, request: Request) -> FiringDecision:
    try:
        return FiringDecision(due_time=due_time, request=_request(schedule, due_time, request))
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        # What a workflow prepares may fail in any way; the other schedules go on.
        return _failed(due_time, error)


def _request(schedule: Schedule, due_time: datetime, request: Request, by: str = "") -> RunRequest:
    """Return the run of a firing.

    A schedule that overlaps, catches up with all, or asks for what is done once only, has a run of
    its own for every time; else the same request of somebody else is the same run.
    """
    asked = request(schedule.workflow, schedule.parameters, by or f"schedule {schedule.name}")
    if schedule.overlap or schedule.catch_up == "all" or asked.once:
        key = f"{asked.run_key} at {due_time.astimezone(UTC).isoformat()}"
        return asked.model_copy(update={"run_key": key})
    return asked


def _failed(due_time: datetime, error: Exception) -> FiringDecision:
    return FiringDecision(due_time=due_time, outcome="failed", reason=str(error))


def _told(database: Database, schedule: Schedule, made: list[Firing] | None) -> list[Firing]:
    for firing in made or []:
        if firing.outcome == "failed":
            document = {
                "schedule": schedule.name,
                "workflow": schedule.workflow,
                "due_time": firing.due_time.isoformat(),
                "reason": firing.reason,
            }
            key = f"schedule {schedule.schedule_id} {firing.due_time.isoformat()}"
            database.events.add("schedule.failed", f"schedule {schedule.name}", document, key)
    return made or []


def _checked(new: NewSchedule, request: Request, now: datetime | None) -> datetime | None:
    """Check everything that a firing will need; returns the next time."""
    cron = parse_cron(new.cron, new.zone)
    request(new.workflow, new.parameters, "")
    return next_firing(cron, now or datetime.now(UTC))
