"""Gates, queues, deliveries, lists and events of runs in a real database."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from run_steps import (
    PLAN,
    QUEUES,
    end,
    events,
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
from sql import DatabaseUnavailableError, DueTask, NewTask, Outcome, RunFilter
from sql.core.statements import statements
from sql.runs.run_requests import insert_tasks

# ---- Waiting and gates -------------------------------------------------------------------------


def test_a_task_behind_the_gpu_gate_waits_and_is_queued_when_it_opens(database):
    run_id = start(database, NewTask(step="infer", queue="gpu", gate="gpu"))
    assert run_state(database, run_id) == "waiting"
    assert events(database) == ["processing.waiting"]
    assert database.runs.due_tasks(QUEUES) == []
    assert database.runs.gpu_wanted() == (1, 0)
    assert database.runs.set_gpu("tower", "ready", "by hand") == 1
    assert [task.queue for task in database.runs.due_tasks(QUEUES)] == ["gpu"]
    assert database.runs.set_gpu("tower", "asleep") == 1
    assert states(database, run_id) == {("infer", 0): "waiting_gpu_ready"}
    database.runs.set_gpu("other", "ready")
    claim = take(database, run_id, "infer")
    database.runs.set_gpu("other", "asleep")
    end(database, claim)
    assert run_state(database, run_id) == "done"
    assert [(gpu.host, gpu.state) for gpu in database.runs.gpus()] == [
        ("other", "asleep"), ("tower", "asleep"),
    ]  # fmt: skip


def test_an_approval_is_given_once(database):
    run_id = start(database, NewTask(step="apply", gate="approval"))
    task_id = task_ids(database, run_id)["apply", 0]
    assert database.runs.claim(task_id, "w") is None
    assert database.runs.approve(run_id) == 1
    with pytest.raises(UsageError, match="nothing of run"):
        database.runs.approve(run_id)
    # A failure of what was approved needs no second approval.
    end(database, take(database, run_id, "apply"), Outcome(state="failed", error="x", retry=False))
    database.runs.retry_run(run_id)
    assert states(database, run_id) == {("apply", 0): "queued"}


def test_waiting_for_space_holds_no_worker_and_counts_as_no_failure(database):
    run_id = start(database)
    full = Outcome(state="waiting_space", error="3c is full", retry_in_s=1000)
    end(database, take(database, run_id, "plan"), full)
    task = database.runs.show(run_id).tasks[0]
    assert (task.state, task.failures, task.error) == ("waiting_space", 0, "3c is full")
    assert run_state(database, run_id) == "waiting"
    assert database.runs.look_for_space() == 0
    sql(database, "UPDATE run_task SET not_before = now()")
    assert database.runs.look_for_space() == 1
    assert run_state(database, run_id) == "running"


def test_of_many_that_wait_for_space_only_some_look_at_a_time(database):
    full = Outcome(state="waiting_space", error="3c is full", retry_in_s=0)
    run_ids = [start(database, key=f"k{number}") for number in range(9)]
    for run_id in run_ids:
        end(database, take(database, run_id, "plan"), full)
    assert database.runs.look_for_space() == 4
    # However slow the workers are: those have to look before others do.
    assert database.runs.look_for_space() == 0
    waiting = [run_id for run_id in run_ids if run_state(database, run_id) == "waiting"]
    assert len(waiting) == 5
    for run_id in set(run_ids) - set(waiting):
        end(database, take(database, run_id, "plan"))
    assert database.runs.look_for_space() == 4


def test_others_in_the_queue_keep_nobody_from_looking(database):
    full = Outcome(state="waiting_space", error="3c is full", retry_in_s=0)
    failed = Outcome(state="failed", error="x", retry_in_s=0)
    others = [start(database, key=f"other{number}") for number in range(9)]
    for run_id in others[:5]:
        # Who failed and is tried again has an error too, and does not look.
        end(database, take(database, run_id, "plan"), failed)
    run_ids = [start(database, key=f"k{number}") for number in range(5)]
    for run_id in run_ids:
        end(database, take(database, run_id, "plan"), full)
    assert database.runs.look_for_space() == 4
    assert database.runs.look_for_space() == 0
    # Who looked in vain makes room for one who waits longer.
    end(database, take(database, run_ids[0], "plan"), full)
    assert database.runs.look_for_space() == 1
    assert [run_state(database, one) for one in run_ids] == ["waiting"] + ["running"] * 4


def test_the_more_important_look_for_space_first_and_one_of_the_others_beside(database):
    full = Outcome(state="waiting_space", error="3c is full", retry_in_s=0)

    def waiting(count: int, priority: int) -> list[int]:
        found = [
            start(database, key=f"{priority}/{number}", priority=priority)
            for number in range(count)
        ]
        for run_id in found:
            end(database, take(database, run_id, "plan"), full)
        return found

    def looking(run_ids: list[int]) -> int:
        return sum(run_state(database, run_id) == "running" for run_id in run_ids)

    low = waiting(6, 9)
    assert database.runs.look_for_space() == 4
    # Those wait behind others: no reason that the more important ones do not look.
    high = waiting(6, 2)
    assert database.runs.look_for_space() == 4
    assert (looking(high), looking(low)) == (4, 4)
    assert database.runs.look_for_space() == 0
    for run_id in low:
        if looking([run_id]):
            end(database, take(database, run_id, "plan"), full)
    # However many of the more important ones wait, somebody else may find what it needs.
    for _ in range(2):
        assert database.runs.look_for_space() == 1
        (other,) = (run_id for run_id in low if looking([run_id]))
        assert database.runs.look_for_space() == 0
        end(database, take(database, other, "plan"), full)


# ---- Queues ------------------------------------------------------------------------------------


def ids(tasks: list[DueTask]) -> list[int]:
    return [task.task_id for task in tasks]


def test_deliveries_are_bounded_and_the_more_important_come_first(database):
    run_ids = [start(database, key=f"k{n}", priority=6 - n % 3) for n in range(9)]
    by_task = {task_ids(database, run_id)["plan", 0]: run_id for run_id in run_ids}
    first = ids(database.runs.due_tasks(QUEUES, depth=4))
    assert [(by_task[task] - run_ids[0]) % 3 for task in first] == [2, 2, 2, 1]
    assert database.runs.due_tasks(QUEUES, depth=4) == []
    database.runs.claim(first[0], "w")
    assert len(database.runs.due_tasks(QUEUES, depth=4)) == 1


def test_a_paused_queue_begins_nothing_and_a_draining_one_nothing_new(database):
    begun = planned(database, 2)
    other = start(database, key="other")
    database.runs.set_queue("io", draining=True)
    database.runs.set_queue("default", draining=True)
    assert database.runs.claim(task_ids(database, other)["plan", 0], "w") is None
    assert ids(database.runs.due_tasks(QUEUES)) == [
        task_ids(database, begun)["work", part] for part in (1, 2)
    ]
    database.runs.set_queue("default", paused=True)
    assert database.runs.claim(task_ids(database, begun)["work", 1], "w") is None
    state = {queue.queue: queue for queue in database.runs.queues(QUEUES)}
    assert (state["default"].paused, state["default"].draining, state["default"].queued) == (
        True, True, 2,
    )  # fmt: skip
    database.runs.set_queue("default", paused=False, draining=False)
    # It was refused, so it has to be delivered again; the other one still lies in Redis.
    assert len(database.runs.due_tasks(QUEUES)) == 1
    take(database, begun, "work", 1)


def test_no_more_tasks_of_a_queue_run_than_its_limit(database):
    run_id = planned(database, 6)
    database.runs.limit_queue("default", 2)
    tasks = [task_ids(database, run_id)["work", part] for part in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda task: database.runs.claim(task, "w"), tasks))
    taken = [claim for claim in claims if claim is not None]
    assert len(taken) == 2
    assert database.runs.due_tasks(QUEUES) == []
    end(database, taken[0], following=parts(0))
    assert len(database.runs.due_tasks(QUEUES)) == 1
    database.runs.limit_queue("default", None)
    assert len(database.runs.due_tasks(QUEUES)) == 3


def test_what_redis_lost_is_delivered_again(database):
    run_id = planned(database, 3)
    due = database.runs.due_tasks(QUEUES)
    assert database.runs.delivered_tasks(QUEUES, 60) == []
    assert len(database.runs.delivered_tasks(QUEUES, 0)) == 3
    take(database, run_id, "work", 1)
    assert database.runs.undeliver(due, 0) == 2
    assert ids(database.runs.due_tasks(QUEUES)) == ids(due)[1:]


def test_one_scheduler_has_the_turn(database):
    with database.runs.sole_turn("x") as mine, database.runs.sole_turn("x") as other:
        assert (mine, other) == (True, False)
        with database.runs.sole_turn("y") as another:
            assert another
    with database.runs.sole_turn("x") as mine:
        assert mine


def test_a_scheduler_that_is_frozen_loses_its_turn(database):
    with (
        pytest.raises(DatabaseUnavailableError, match="idle-in-transaction"),
        database.runs.sole_turn("x", 0.2) as frozen,
    ):
        assert frozen
        deadline = time.monotonic() + 60
        gone = False
        while not gone:
            with database.runs.sole_turn("x") as gone:
                assert time.monotonic() < deadline
    with database.runs.sole_turn("x") as mine:
        assert mine


def test_what_was_delivered_in_a_time_to_come_is_looked_for(database):
    """The clock was set back after the delivery."""
    planned(database, 3)
    due = database.runs.due_tasks(QUEUES)
    sql(database, "UPDATE run_task SET delivered_time = delivered_time + interval '1 hour'")
    assert len(database.runs.delivered_tasks(QUEUES, 60)) == 3
    assert database.runs.undeliver(due, 60) == 3


# ---- Looking -----------------------------------------------------------------------------------


def test_runs_are_listed_in_pages_and_found(database):
    for number in range(5):
        name = "a" if number % 2 else "b"
        database.runs.start_run(name, {"n": number}, PLAN, run_key=str(number))
    page = database.runs.list_runs(limit=2)
    assert [run.parameters["n"] for run in page.runs] == [4, 3]
    page = database.runs.list_runs(limit=3, before=page.next_before)
    assert ([run.parameters["n"] for run in page.runs], page.next_before) == ([2, 1, 0], None)
    found = database.runs.list_runs(RunFilter(workflow="a", states=("queued",), text='"N": 3'))
    assert [run.parameters["n"] for run in found.runs] == [3]
    assert database.runs.run_counts() == {"queued": 5}
    late = page.runs[0].create_time
    assert database.runs.list_runs(RunFilter(until=late)).runs == page.runs[1:]


def test_the_last_run_of_a_key_is_found_without_reading_the_others(database):
    given = {"run_key": "ua_1:b"}
    assert database.runs.last_of_key("ua_1:b") is None
    failed = start(database, key="ua_1:b")
    end(database, take(database, failed, "plan"), Outcome(state="failed", error="x", retry=False))
    start(database, key="ua_1:b2")
    found = database.runs.last_of_key("ua_1:b")
    assert found is not None and (found.run_id, found.state) == (failed, "failed")
    again = start(database, key="ua_1:b")
    found = database.runs.last_of_key("ua_1:b")
    assert found is not None and (found.run_id, found.state) == (again, "queued")
    with database.connection() as connection:
        # A few rows are read one by one whatever there is.
        connection.execute("SET LOCAL enable_seqscan = off")
        explain = b"EXPLAIN " + statements("run")["last_of_key"]
        plan = str(connection.execute(explain, given).fetchall())
    assert "run_active_key" in plan and "run_in_vain" in plan, plan


def test_events_are_planned_and_delivered_once(database):
    assert database.events.add("disk_full", "3c", {"n": 1}, once_key="3c today") is not None
    assert database.events.add("disk_full", "3c", {"n": 2}, once_key="3c today") is None
    database.events.add("other", "x", {})
    assert database.events.plan(lambda kind: ["mail", "hook"] if kind == "disk_full" else []) == 2
    assert database.events.plan(lambda kind: ["mail"]) == 0
    taken = database.events.take()
    assert sorted(due.channel for due in taken) == ["hook", "mail"]
    assert taken[0].event.document == {"n": 1} and database.events.take() == []
    database.events.delivered(taken[0])
    database.events.postpone(taken[1], "no answer", 0)
    again = database.events.take()
    assert [(due.channel, due.attempt) for due in again] == [(taken[1].channel, 2)]
    database.events.delivered(taken[1])  # Late, from an attempt that is over.
    database.events.give_up(again[0], "never")
    assert sorted(one.state for one in database.events.deliveries()) == ["done", "failed"]


def test_several_tasks_are_locked_by_their_number_whoever_changes_them(database):
    """So that nobody holds one for which the other waits; the first is held here meanwhile."""
    database.runs.set_gpu("tower", "ready")
    first = NewTask(step="z", queue="gpu", gate="gpu")
    run_id = start(database, first)
    others = [NewTask(step=step, queue="gpu", gate="gpu") for step in "abc"]
    with database.connection() as connection:
        insert_tasks(connection, run_id, others)
    held, *rest = sorted(task_ids(database, run_id).values())
    due = database.runs.due_tasks(QUEUES)
    # The first lies behind the others, as after any change of it.
    sql(database, "UPDATE run_task SET progress = '{}' WHERE task_id = %s", held)
    changes = (
        lambda: database.runs.undeliver(due[::-1], -1.0),
        lambda: database.runs.set_gpu("tower", "asleep"),
        lambda: database.runs.continue_waiting(run_id, "waiting_gpu_ready"),
        lambda: database.runs.cancel_run(run_id),
    )
    for change in changes:
        with ThreadPoolExecutor(1) as pool, database.connection() as connection:
            connection.execute("SELECT FROM run_task WHERE task_id = %s FOR UPDATE", [held])
            changed = pool.submit(change)
            while not connection.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall():
                assert not changed.done(), "it had nothing to change"
                time.sleep(0.01)
            free = "SELECT task_id FROM run_task WHERE task_id = ANY(%s) FOR UPDATE SKIP LOCKED"
            found = {task_id for (task_id,) in connection.execute(free, [rest])}
            connection.commit()
        changed.result()
        assert found == set(rest)
