"""Schedules in the database: one decision per time, whoever of several schedulers makes it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from base.errors import UsageError
from sql import Database, FiringDecision, NewSchedule, NotFoundError, RunRequest, Schedule
from sql.runs.run_models import NewTask
from sql.runs.schedule_book import HISTORY_ROWS_MAX

DUE = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NEXT = DUE + timedelta(days=1)


def new(name: str = "nightly", **fields: object) -> NewSchedule:
    given = {"workflow": "backup", "cron": "0 3 * * *", "zone": "UTC", **fields}
    return NewSchedule.model_validate({"name": name, **given})


def request(key: str = "one", **fields: object) -> RunRequest:
    task = NewTask(step="only")
    return RunRequest(workflow="backup", run_key=key, parameters={}, first_task=task, **fields)


def fires(due: datetime = DUE, key: str = "one") -> FiringDecision:
    return FiringDecision(due_time=due, request=request(key))


def runs(database: Database) -> list[tuple]:
    with database.connection() as connection:
        query = "SELECT run_id, run_key, state, requested_by FROM run ORDER BY run_id"
        return connection.execute(query).fetchall()


def end_runs(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE run_task SET state = 'done'")
        connection.execute("UPDATE run SET state = 'done'")


@pytest.fixture
def nightly(database: Database) -> Schedule:
    return database.schedules.add(new(parameters={"sample": 3}, created_by="ann"), DUE)


def test_a_schedule_is_kept_as_it_was_given(database: Database, nightly: Schedule):
    book = database.schedules
    assert book.schedule("nightly") == nightly
    assert (nightly.next_time, nightly.parameters, nightly.created_by) == (
        DUE,
        {"sample": 3},
        "ann",
    )
    with pytest.raises(UsageError, match="another name"):
        book.add(new(), NEXT)
    assert book.ensure(new(), NEXT) is False
    assert book.schedule("nightly").next_time == DUE
    changed = book.change(new(cron="0 4 * * *", catch_up="all", catch_up_max=3), NEXT)
    assert (changed.cron, changed.catch_up, changed.catch_up_max) == ("0 4 * * *", "all", 3)
    assert book.set_enabled("nightly", None, enabled=False).next_time is None
    assert book.due(NEXT) == []
    assert book.set_enabled("nightly", NEXT, enabled=True).next_time == NEXT
    assert [one.name for one in book.schedules()] == ["nightly"]
    book.remove("nightly")
    assert book.schedules() == []


def test_nobody_is_a_name(database: Database):
    book = database.schedules
    for name in ("absent", "", "\x00", "\ud800", "x" * 100_000, "'; DROP TABLE schedule; --"):
        for ask in (
            lambda: book.schedule(name),  # noqa: B023
            lambda: book.set_enabled(name, None, enabled=False),  # noqa: B023
            lambda: book.remove(name),  # noqa: B023
            lambda: book.history(name),  # noqa: B023
        ):
            with pytest.raises(NotFoundError):
                ask()
        with pytest.raises(ValidationError):
            new(name if name != "absent" else "no spaces")


def test_what_drystone_made_is_not_removed(database: Database):
    book = database.schedules
    book.add(new("own", built_in=True), DUE)
    with pytest.raises(UsageError, match="disable own"):
        book.remove("own")
    assert book.set_enabled("own", None, enabled=False).enabled is False


def test_a_decision_starts_its_run_and_moves_the_schedule_on(database: Database, nightly: Schedule):
    book = database.schedules
    assert book.due(DUE - timedelta(seconds=1)) == []
    assert book.due(DUE) == [nightly]
    missed = FiringDecision(due_time=DUE - timedelta(days=1), reason="missed")
    made = book.decide(nightly, [missed, fires()], NEXT)
    assert made is not None
    assert [(one.outcome, one.reason) for one in made] == [("skipped", "missed"), ("fired", None)]
    assert [row[0] for row in runs(database)] == [made[1].run_id]
    assert book.schedule("nightly").next_time == NEXT
    assert book.decide(nightly, [fires()], NEXT) is None, "that was decided"
    assert [one.due_time for one in book.history("nightly")] == [DUE, missed.due_time]
    assert [one.due_time for one in book.history("nightly", before=DUE)] == [missed.due_time]
    assert len(book.history("nightly", limit=1)) == 1


def test_of_many_schedulers_one_is_heard(database: Database, nightly: Schedule):
    together = threading.Barrier(6)

    def decide(number: int):
        together.wait()
        return database.schedules.decide(nightly, [fires(key=f"key {number}")], NEXT)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(decide, range(6)))
    assert sum(answer is not None for answer in answers) == 1
    assert len(runs(database)) == 1
    assert len(database.schedules.history("nightly")) == 1


@pytest.mark.parametrize("change", ["disable", "remove", "change"])
def test_what_changed_meanwhile_is_not_decided(database: Database, nightly: Schedule, change: str):
    book = database.schedules
    if change == "disable":
        book.set_enabled("nightly", None, enabled=False)
    elif change == "remove":
        book.remove("nightly")
    else:
        book.change(new(cron="0 5 * * *"), DUE + timedelta(hours=2))
    assert book.decide(nightly, [fires()], NEXT) is None
    assert runs(database) == []


def test_nothing_fires_over_a_run_that_goes_on(database: Database, nightly: Schedule):
    book = database.schedules
    book.decide(nightly, [fires()], NEXT)
    (run,) = runs(database)
    again = book.decide(book.schedule("nightly"), [fires(NEXT, "two")], NEXT + timedelta(days=1))
    assert again is not None
    assert (again[0].outcome, again[0].run_id) == ("skipped", None)
    assert again[0].reason == f"run {run[0]} is still going on"
    by_hand = book.fire(nightly, [fires(NEXT + timedelta(hours=1), "three")], "hand")
    assert [one.outcome for one in by_hand] == ["skipped"]
    end_runs(database)
    later = fires(NEXT + timedelta(hours=2), "three")
    assert [one.outcome for one in book.fire(nightly, [later], "hand")] == ["fired"]
    assert len(runs(database)) == 2


def test_with_overlap_it_does_and_the_same_request_is_the_same_run(database: Database):
    book = database.schedules
    eager = book.add(new("eager", overlap=True), DUE)
    made = book.decide(eager, [fires(DUE, "a"), fires(NEXT, "b"), fires(NEXT, "c")], None)
    assert made is not None
    assert [one.outcome for one in made] == ["fired", "fired"], "a time fires once"
    assert book.schedule("eager").next_time is None
    (same,) = book.fire(eager, [fires(NEXT + timedelta(days=1), "b")], "hand")
    assert (same.outcome, same.run_id) == ("skipped", made[1].run_id)
    assert "same request" in (same.reason or "")


def test_a_refused_request_is_a_problem_until_one_succeeds(database: Database, nightly: Schedule):
    book = database.schedules
    refused = FiringDecision(due_time=DUE, outcome="failed", reason="no \x00 such \ud800 field")
    made = book.decide(nightly, [refused], NEXT)
    assert made is not None
    assert (made[0].outcome, made[0].run_id) == ("failed", None)
    assert book.schedule("nightly").problem == made[0].reason == "no \\0 such \\ud800 field"
    book.decide(book.schedule("nightly"), [fires(NEXT)], NEXT + timedelta(days=1))
    assert book.schedule("nightly").problem is None


def test_backfill_makes_up_for_what_was_skipped_and_nothing_else(
    database: Database, nightly: Schedule
):
    book = database.schedules
    skipped = FiringDecision(due_time=DUE, reason="missed")
    book.decide(nightly, [skipped, fires(NEXT, "two")], NEXT + timedelta(days=1))
    end_runs(database)
    wanted = [fires(DUE, "back one"), fires(NEXT, "back two")]
    made = book.fire(nightly, wanted, "backfill")
    assert [(one.due_time, one.outcome, one.cause) for one in made] == [(DUE, "fired", "backfill")]
    assert book.fire(nightly, wanted, "backfill") == []
    assert [row[1] for row in runs(database)] == ["two", "back one"]
    assert [one.outcome for one in book.history("nightly")] == ["fired", "fired"]


def test_a_removed_schedule_leaves_its_runs_and_a_removed_run_its_firing(
    database: Database, nightly: Schedule
):
    book = database.schedules
    book.decide(nightly, [fires()], NEXT)
    with database.connection() as connection:
        connection.execute("DELETE FROM run")
    assert [one.run_id for one in book.history("nightly")] == [None]
    book.add(new("other"), DUE)
    book.decide(book.schedule("other"), [fires()], NEXT)
    book.remove("other")
    assert len(runs(database)) == 1


def test_the_history_is_finite(database: Database, nightly: Schedule):
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO schedule_firing (schedule_id, due_time, outcome) "
            "SELECT %s, %s::timestamptz - n * interval '1 minute', 'skipped' "
            "FROM generate_series(1, %s) AS n",
            [nightly.schedule_id, DUE, HISTORY_ROWS_MAX + 50],
        )
    database.schedules.decide(nightly, [fires()], NEXT)
    rows = database.schedules.history("nightly", limit=2 * HISTORY_ROWS_MAX)
    assert len(rows) == HISTORY_ROWS_MAX
    assert rows[0].outcome == "fired"


def test_a_crash_between_leaves_all_or_nothing(database: Database, nightly: Schedule):
    class CrashError(Exception):
        pass

    decisions = [fires(), fires(NEXT, "two")]

    class Dying(list):
        def __iter__(self):
            yield decisions[0]
            raise CrashError

    with pytest.raises(CrashError):
        database.schedules.decide(nightly, Dying(), NEXT)
    assert runs(database) == []
    assert database.schedules.history("nightly") == []
    assert database.schedules.due(DUE) == [nightly]
