"""Schedules at work on a real database: firing, catching up, two schedulers, changes, backfill."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from base.errors import UsageError
from jobs.scheduler import schedules
from sql import Database, NewTask, NotFoundError, RunRequest, Schedule

NOW = datetime(2026, 11, 21, 8, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def request(workflow: str, parameters: dict[str, Any], by: str) -> RunRequest:
    """Make requests of a workflow `report`, and of `once`, which is done once for ever."""
    if workflow not in ("report", "once", "backup", "scrub", "audit"):
        raise UsageError(f"there is no workflow {workflow}")
    if parameters.get("wrong"):
        raise UsageError("wrong is wrong")
    return RunRequest(
        workflow=workflow,
        run_key=f"{workflow} {sorted(parameters.items())}",
        parameters=parameters,
        first_task=NewTask(step="only"),
        requested_by=by,
        once=workflow == "once",
    )


def add(database: Database, name: str = "hourly", now: datetime = NOW, **fields: Any) -> Schedule:
    given = {"workflow": "report", "cron": "0 * * * *", "zone": "UTC", **fields}
    new = schedules.new_schedule(name=name, **given)
    return schedules.add_schedule(database, new, request, now)


def fire(database: Database, now: datetime) -> list[tuple[int, str]]:
    made = schedules.fire_due(database, request, now)
    return [(firing.due_time.hour, firing.outcome) for firing in made]


def end_runs(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE run_task SET state = 'done'")
        connection.execute("UPDATE run SET state = 'done'")


def test_it_fires_when_its_time_has_come(database: Database):
    add(database, parameters={"a": 1})
    assert fire(database, NOW) == []
    assert fire(database, NOW + HOUR) == [(9, "fired")]
    assert fire(database, NOW + HOUR) == []
    (run,) = database.runs.list_runs().runs
    assert (run.workflow, run.parameters, run.state) == ("report", {"a": 1}, "queued")
    assert run.requested_by == "schedule hourly"
    (firing,) = database.schedules.history("hourly")
    assert (firing.run_id, firing.cause) == (run.run_id, "clock")
    assert database.schedules.schedule("hourly").next_time == NOW.replace(second=0) + 2 * HOUR


@pytest.mark.parametrize(("catch_up", "fired"), [("skip", []), ("once", [13]), ("all", [12, 13])])
def test_what_was_missed_follows_the_policy(database: Database, catch_up: str, fired: list[int]):
    add(database, catch_up=catch_up, catch_up_max=2)
    late = NOW + 5 * HOUR + timedelta(minutes=30)
    made = fire(database, late)
    assert [hour for hour, outcome in made if outcome == "fired"] == fired
    assert [hour for hour, _ in made] == [9, 10, 11, 12, 13]
    history = database.schedules.history("hourly")
    assert all(one.reason for one in history if one.outcome == "skipped")
    assert len(database.runs.list_runs().runs) == len(fired)
    end_runs(database)
    assert fire(database, late + HOUR) == (
        [(14, "skipped")] if catch_up == "skip" else [(14, "fired")]
    )


def test_two_schedulers_fire_once(database: Database, database_url: str):
    for number in range(5):
        add(database, f"s{number}", overlap=True, parameters={"n": number})
    together = threading.Barrier(4)

    def scheduler(_: int) -> int:
        with Database.connect(database_url) as own:
            together.wait()
            return sum(len(schedules.fire_due(own, request, NOW + HOUR)) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(scheduler, range(4))) == 5
    assert len(database.runs.list_runs().runs) == 5


def test_the_same_request_of_somebody_else_is_the_same_run(database: Database):
    add(database)
    asked = request("report", {}, "ann")
    run, _ = database.runs.start_run(
        asked.workflow, {}, asked.first_task, run_key=asked.run_key, requested_by="ann"
    )
    assert fire(database, NOW + HOUR) == [(9, "skipped")]
    (firing,) = database.schedules.history("hourly")
    assert firing.reason == f"run {run.run_id} of the same request is there"


def test_what_is_done_once_is_asked_anew_every_time(database: Database):
    add(database, "nodes", workflow="once")
    assert fire(database, NOW + HOUR) == [(9, "fired")]
    end_runs(database)
    assert fire(database, NOW + 2 * HOUR) == [(10, "fired")]


def test_a_request_that_fails_is_told_and_keeps_nobody_waiting(database: Database):
    add(database, "a-bad")
    add(database, "good")
    with database.connection() as connection:
        connection.execute(
            """UPDATE schedule SET parameters = '{"wrong": 1}' WHERE name = 'a-bad'"""
        )
    assert sorted(fire(database, NOW + HOUR)) == [(9, "failed"), (9, "fired")]
    assert database.schedules.schedule("a-bad").problem == "wrong is wrong"
    (event,) = database.events.events("schedule.failed")
    assert event.document["reason"] == "wrong is wrong"
    assert fire(database, NOW + HOUR) == []


def test_a_zone_that_is_gone_is_a_problem_not_a_loop(database: Database):
    add(database)
    with database.connection() as connection:
        connection.execute("UPDATE schedule SET zone = 'Mars/Base'")
    assert fire(database, NOW + HOUR) == [(9, "failed")]
    assert fire(database, NOW + 2 * HOUR) == []
    schedule = database.schedules.schedule("hourly")
    assert schedule.next_time is None
    assert "Mars/Base" in (schedule.problem or "")


def test_disabled_and_enabled_again_it_makes_up_for_nothing(database: Database):
    add(database, catch_up="all")
    schedules.enable_schedule(database, "hourly", enabled=False, now=NOW)
    assert fire(database, NOW + 5 * HOUR) == []
    again = schedules.enable_schedule(database, "hourly", enabled=True, now=NOW + 5 * HOUR)
    assert again.next_time == NOW.replace(second=0) + 6 * HOUR
    assert schedules.enable_schedule(database, "hourly", enabled=True, now=NOW + 9 * HOUR) == again
    assert fire(database, NOW + 6 * HOUR) == [(14, "fired")]


def test_changing_keeps_what_is_not_named(database: Database):
    add(database, parameters={"a": 1}, zone="Europe/Berlin")
    changed = schedules.change_schedule(database, "hourly", {"cron": "30 7 * * *"}, request, NOW)
    assert (changed.zone, changed.parameters) == ("Europe/Berlin", {"a": 1})
    assert changed.next_time == datetime(2026, 11, 22, 6, 30, tzinfo=UTC)
    for wrong in (
        {"cron": "61 * * * *"}, {"zone": "x"}, {"workflow": "nothing"},
        {"parameters": {"wrong": 1}}, {"catch_up": "never"}, {"catch_up_max": 0},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            schedules.change_schedule(database, "hourly", wrong, request, NOW)
    assert database.schedules.schedule("hourly") == changed


def test_what_is_wrong_is_refused_before_it_is_kept(database: Database):
    for wrong in ({"cron": "x"}, {"zone": "x"}, {"workflow": "nothing"}, {"name": "a b"},
                  {"name": "x" * 101}, {"name": ""}, {"name": "a\n"}, {"catch_up_max": 10**9},
                  {"parameters": {"wrong": True}}, {"parameters": "text"}):  # fmt: skip
        with pytest.raises(UsageError):
            add(database, **{"name": "new", **wrong})
    assert database.schedules.schedules() == []


def test_by_hand(database: Database):
    add(database, enabled=False)
    firing = schedules.fire_now(database, "hourly", request, "ann", NOW)
    assert (firing.outcome, firing.cause, firing.due_time) == ("fired", "hand", NOW)
    (run,) = database.runs.list_runs().runs
    assert run.requested_by == "ann"
    again = schedules.fire_now(database, "hourly", request, "ann", NOW + HOUR)
    assert again.outcome == "skipped"
    with pytest.raises(NotFoundError):
        schedules.fire_now(database, "none", request)


def test_backfill(database: Database):
    schedule = add(database, catch_up="skip")
    fire(database, NOW + 4 * HOUR + timedelta(minutes=30))
    midnight = NOW.replace(hour=0, minute=0, second=0)
    span, now = (midnight + 7 * HOUR, midnight + 12 * HOUR), midnight + 400 * HOUR
    times = schedules.backfill_times(schedule, *span, now)
    assert [time.hour for time in times] == [7, 8, 9, 10, 11]
    made = schedules.backfill(database, "hourly", times, request, "ann")
    assert [one.outcome for one in made] == ["fired"] * 5
    assert schedules.backfill(database, "hourly", times, request, "ann") == []
    assert len({run.run_key for run in database.runs.list_runs().runs}) == 5
    assert database.schedules.schedule("hourly").next_time == midnight + 13 * HOUR
    with pytest.raises(UsageError, match="shorter range"):
        schedules.backfill_times(schedule, midnight, midnight + timedelta(days=900), now)
    # What has not come yet is the clock's.
    assert schedules.backfill_times(schedule, *span, midnight + 9 * HOUR) == times[:3]
    assert schedules.backfill_times(schedule, *span, midnight) == []
    for since in (datetime.min, datetime.min.replace(tzinfo=timezone(14 * HOUR))):
        with pytest.raises(UsageError, match="before the year 1900"):
            schedules.backfill_times(schedule, since.replace(tzinfo=since.tzinfo or UTC), now)
    with pytest.raises(UsageError, match="before"):
        schedules.backfill_times(schedule, midnight, midnight)


def test_drystones_own_are_made_once(database: Database):
    assert schedules.add_built_in(database, NOW) == ["backup", "scrub", "audit"]
    schedules.enable_schedule(database, "scrub", enabled=False)
    schedules.change_schedule(database, "audit", {"cron": "@weekly"}, request, NOW)
    assert schedules.add_built_in(database, NOW) == []
    assert database.schedules.schedule("scrub").enabled is False
    assert database.schedules.schedule("audit").cron == "@weekly"


def test_the_next_times(database: Database):
    schedule = add(database)
    assert [time.hour for time in schedules.upcoming(schedule, NOW)] == [9, 10, 11, 12, 13]
    late = schedules.upcoming(schedule, NOW + 3 * HOUR)
    assert [time.hour for time in late] == [12, 13, 14, 15, 16]
    off = schedules.enable_schedule(database, "hourly", enabled=False)
    assert schedules.upcoming(off, NOW) == []
