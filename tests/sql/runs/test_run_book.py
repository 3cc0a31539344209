"""Runs and tasks in a real database: claims, fencing, ends and what follows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from run_steps import (
    DONE,
    FINISH,
    PLAN,
    end,
    events,
    nothing,
    parts,
    planned,
    run_state,
    sql,
    start,
    states,
    take,
    task_ids,
)

from base.errors import UsageError
from sql import NewTask, NotFoundError, Outcome, Progress, StaleAttemptError, Successors

# ---- Starting ----------------------------------------------------------------------------------


def test_a_run_goes_from_queued_over_running_to_done(database):
    run_id = start(database, requested_by="ada")
    assert run_state(database, run_id) == "queued"
    claim = take(database, run_id, "plan")
    assert (claim.token, claim.parameters, claim.requested_by) == (1, {"x": 1}, "ada")
    assert run_state(database, run_id) == "running"
    end(database, claim, Outcome(state="done", result={"count": 3}))
    detail = database.runs.show(run_id)
    assert (detail.run.state, detail.run.reason) == ("done", None)
    assert detail.run.start_time is not None and detail.run.end_time is not None
    assert detail.tasks[0].result == {"count": 3}
    assert [(one.attempt, one.worker, one.outcome) for one in detail.attempts] == [(1, "w", "done")]
    assert events(database) == ["processing.started", "processing.completed"]


def test_the_same_request_is_one_run_however_many_ask(database):
    barrier = threading.Barrier(6)

    def ask(number: int) -> tuple[int, bool]:
        barrier.wait()
        run, created = database.runs.start_run("test", {}, PLAN, run_key="same")
        return run.run_id, created

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert len({run_id for run_id, _ in answers}) == 1
    assert sorted(created for _, created in answers) == [False] * 5 + [True]


@pytest.mark.parametrize("once", [True, False])
def test_a_request_that_was_done(database, once):
    first = start(database)
    end(database, take(database, first, "plan"))
    again, created = database.runs.start_run("test", {}, PLAN, run_key="k", once=once)
    assert (again.run_id == first, created) == (once, not once)


# ---- Claims and fencing ------------------------------------------------------------------------


def test_only_one_of_many_workers_gets_a_task(database):
    run_id = start(database)
    task_id = task_ids(database, run_id)["plan", 0]
    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda n: database.runs.claim(task_id, f"w{n}"), range(6)))
    assert len([claim for claim in claims if claim is not None]) == 1


def test_an_attempt_that_was_taken_back_changes_nothing(database):
    run_id = start(database, NewTask(step="plan", backoff_s=0))
    old = take(database, run_id, "plan")
    assert database.runs.take_back_of("w", "it died", nothing) == 1
    new = take(database, run_id, "plan")
    assert new.token == old.token + 1
    for tell in (
        lambda: database.runs.beat(old.task_id, old.token),
        lambda: end(database, old, Outcome(state="failed", error="late")),
        lambda: end(database, old),
    ):
        with pytest.raises(StaleAttemptError):
            tell()
    assert states(database, run_id) == {("plan", 0): "running"}
    assert database.runs.beat(new.task_id, new.token, Progress(done=1, total=2)) is False
    end(database, new)
    assert run_state(database, run_id) == "done"
    outcomes = [one.outcome for one in database.runs.show(run_id).attempts]
    assert outcomes == ["lost", "done"]


def test_an_end_told_twice_makes_what_follows_once(database):
    run_id = start(database)
    claim = take(database, run_id, "plan")

    def following(claim, outcome):
        return Successors(next_tasks=(NewTask(step="next"),))

    assert end(database, claim, following=following) == 1
    assert end(database, claim, following=following) == 0
    assert list(states(database, run_id)) == [("plan", 0), ("next", 0)]


def test_nobody_claims_what_is_not_there_or_not_due(database):
    assert database.runs.claim(12345, "w") is None
    with pytest.raises(StaleAttemptError):
        database.runs.finish(12345, 1, DONE, nothing)
    run_id = start(database, NewTask(step="plan", backoff_s=60))
    claim = take(database, run_id, "plan")
    end(database, claim, Outcome(state="failed", error="try later"))
    assert states(database, run_id) == {("plan", 0): "queued"}
    assert database.runs.claim(claim.task_id, "w") is None
    with pytest.raises(NotFoundError):
        database.runs.show(999)


def test_silent_workers_lose_their_tasks_and_those_that_beat_do_not(database):
    run_id = start(database)
    claim = take(database, run_id, "plan")
    assert database.runs.take_back(30, 0, nothing) == 0
    sql(database, "UPDATE run_task SET heartbeat = now() - interval '31 s'")
    # The server itself has just been started, so nobody could be heard.
    assert database.runs.take_back(30, 1e9, nothing) == 0
    assert database.runs.take_back(30, 0, nothing) == 1
    detail = database.runs.show(run_id)
    assert (detail.tasks[0].state, detail.tasks[0].failures) == ("queued", 1)
    assert "31" not in (detail.tasks[0].error or "") and "30 s" in (detail.tasks[0].error or "")
    with pytest.raises(StaleAttemptError):
        end(database, claim)


def test_a_clock_that_was_set_back_keeps_no_dead_worker_alive(database):
    run_id = start(database)
    claim = take(database, run_id, "plan")
    sql(database, "UPDATE run_task SET heartbeat = now() + interval '1 hour'")
    assert database.runs.take_back(30, 0, nothing) == 0
    # Its lease is counted from now on; who lives beats again meanwhile.
    sql(database, "UPDATE run_task SET heartbeat = heartbeat - interval '31 s'")
    assert database.runs.take_back(30, 0, nothing) == 1
    with pytest.raises(StaleAttemptError):
        database.runs.beat(claim.task_id, claim.token)


# ---- Failing -----------------------------------------------------------------------------------


def test_failures_are_retried_with_growing_pauses_until_it_is_enough(database):
    run_id = start(database, NewTask(step="plan", attempts_max=3, backoff_s=100))
    pauses = []
    for _ in range(2):
        end(database, take(database, run_id, "plan"), Outcome(state="failed", error="no"))
        with database.connection() as connection:
            row = connection.execute(
                "SELECT extract(epoch FROM not_before - now())::float FROM run_task"
            ).fetchone()
        pauses.append(row[0])
        sql(database, "UPDATE run_task SET not_before = now()")
    assert 70 < pauses[0] < 130 and 145 < pauses[1] < 255
    end(database, take(database, run_id, "plan"), Outcome(state="failed", error="no\0 \udcff"))
    run = database.runs.run(run_id)
    assert (run.state, run.reason) == ("failed", "plan: no\\0 \\udcff")
    assert events(database) == ["processing.started", "processing.failed"]


def test_a_permanent_failure_is_not_tried_again_and_can_be_retried_by_hand(database):
    run_id = start(database)
    claim = take(database, run_id, "plan")
    end(database, claim, Outcome(state="failed", error="bad", retry=False))
    assert run_state(database, run_id) == "failed"
    assert database.runs.retry_run(run_id) == 1
    assert run_state(database, run_id) == "running"
    claim = take(database, run_id, "plan")
    assert (claim.token, claim.round, claim.failures) == (2, 2, 0)
    end(database, claim)
    assert run_state(database, run_id) == "done"
    with pytest.raises(UsageError, match="start another"):
        database.runs.retry_run(run_id)


def test_a_retry_gives_way_to_the_same_request_that_is_going_on(database):
    run_id = start(database)
    end(database, take(database, run_id, "plan"), Outcome(state="failed", error="x", retry=False))
    start(database)
    with pytest.raises(UsageError, match="going on already"):
        database.runs.retry_run(run_id)


# ---- Parts, barriers and rescues ---------------------------------------------------------------


def test_the_barrier_is_made_once_by_whoever_ends_last(database):
    run_id = planned(database, 8)
    claims = [take(database, run_id, "work", part) for part in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda claim: end(database, claim, following=parts(0)), claims))
    assert sorted(made) == [0] * 7 + [1]
    end(database, take(database, run_id, "finish"), following=parts(0))
    assert run_state(database, run_id) == "done"


def test_no_parts_go_straight_to_the_barrier(database):
    run_id = planned(database, 0)
    assert states(database, run_id) == {("plan", 0): "done", ("finish", 0): "queued"}


def test_some_parts_failed_is_partial_and_a_retry_makes_it_whole(database):
    run_id = planned(database)
    end(database, take(database, run_id, "work", 1), following=parts(0))
    bad = Outcome(state="failed", error="broken", retry=False)
    end(database, take(database, run_id, "work", 2), bad, parts(0))
    end(database, take(database, run_id, "finish"), following=parts(0))
    run = database.runs.run(run_id)
    assert (run.state, run.reason) == ("partial", "work of part 2: broken")
    assert database.runs.retry_run(run_id) == 1
    end(database, take(database, run_id, "work", 2), following=parts(0))
    # The last step is done anew, since there is more to put in order.
    end(database, take(database, run_id, "finish"), following=parts(0))
    assert run_state(database, run_id) == "done"


def test_a_part_may_begin_anew_at_an_earlier_step(database):
    run_id = planned(database, 1)

    def following(claim, outcome):
        if claim.step == "work":
            return Successors(next_tasks=(NewTask(step="after", part=1),))
        return Successors()

    end(database, take(database, run_id, "work", 1), following=following)
    bad = Outcome(state="failed", error="x", retry=False)
    end(database, take(database, run_id, "after", 1), bad, following)
    assert run_state(database, run_id) == "failed"
    database.runs.retry_run(run_id, lambda step: "work")
    assert states(database, run_id)["work", 1] == "queued"
    end(database, take(database, run_id, "work", 1), following=following)
    end(database, take(database, run_id, "after", 1), following=following)
    assert run_state(database, run_id) == "done"


# ---- Cancelling --------------------------------------------------------------------------------


def test_cancelling_what_never_began_ends_it_at_once(database):
    run_id = start(database)
    assert database.runs.cancel_run(run_id, "not needed", FINISH) == "cancelled"
    assert states(database, run_id) == {("plan", 0): "cancelled"}
    assert database.runs.run(run_id).reason == "plan: not needed"
    with pytest.raises(UsageError, match="nothing to cancel"):
        database.runs.cancel_run(run_id)
    database.runs.retry_run(run_id)
    assert states(database, run_id) == {("plan", 0): "queued"}


def test_what_runs_is_told_by_its_heartbeat_and_then_things_are_put_in_order(database):
    run_id = planned(database)
    claim = take(database, run_id, "work", 1)
    assert database.runs.cancel_run(run_id, "stop", FINISH) == "running"
    assert database.runs.beat(claim.task_id, claim.token) is True
    end(database, claim, Outcome(state="cancelled", error="stopped"), parts(0))
    assert states(database, run_id)["finish", 0] == "queued"
    end(database, take(database, run_id, "finish"), following=parts(0))
    assert run_state(database, run_id) == "cancelled"
    assert events(database) == ["processing.started", "processing.cancelled"]


def test_a_plan_that_ends_after_the_cancel_is_planned_again_by_a_retry(database):
    run_id = start(database)
    claim = take(database, run_id, "plan")
    database.runs.cancel_run(run_id)
    end(database, claim, following=parts(2))
    assert states(database, run_id) == {("plan", 0): "cancelled", ("finish", 0): "queued"}
    end(database, take(database, run_id, "finish"), following=parts(0))
    assert run_state(database, run_id) == "cancelled"
    database.runs.retry_run(run_id)
    end(database, take(database, run_id, "plan"), following=parts(1))
    assert states(database, run_id)["work", 1] == "queued"
