"""Lanes: which tasks are delivered next when many wait, and that none waits for ever."""

from __future__ import annotations

from collections import Counter, deque

import psycopg
import pytest
from run_steps import end, parts, start, take, task_ids

from sql import Database, NewTask, Outcome
from sql.core.errors import StatementError
from sql.core.statements import statements

QUEUES = ("io",)
HIGH, NORMAL, LOW = 2, 5, 9


def waiting(database: Database, priority: int, count: int) -> None:
    """Let so many tasks of a priority wait, each after the one before."""
    run_id = start(database, key=f"many {priority} {count}", priority=priority)
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO run_task (run_id, step, part, queue, priority, state, spec) "
            "SELECT run_id, 'more', n, 'io', priority, 'queued', '{}' FROM run, "
            "generate_series(1, %s) AS n WHERE run_id = %s",
            [count - 1, run_id],
        )


class Redis:
    """The order in which workers get what is delivered."""

    def __init__(self, database: Database, depth: int) -> None:
        self.database = database
        self.depth = depth
        self.line: deque[int] = deque()

    def refill(self) -> None:
        due = self.database.runs.due_tasks(QUEUES, depth=self.depth)
        self.line.extendleft(task.task_id for task in reversed(due) if task.is_first)
        self.line.extend(task.task_id for task in due if not task.is_first)

    def next(self) -> int:
        """Let a worker do the next task; returns its priority."""
        claim = self.database.runs.claim(self.line.popleft(), "w")
        assert claim is not None
        end(self.database, claim)
        with self.database.connection() as connection:
            row = connection.execute(
                "SELECT priority FROM run_task WHERE task_id = %s", [claim.task_id]
            ).fetchone()
        assert row is not None
        return row[0]


def test_high_ones_start_at_once_behind_100_000_low_ones(database: Database):
    waiting(database, LOW, 100_000)
    redis = Redis(database, depth=64)
    redis.refill()
    assert len(redis.line) == 64
    first = task_ids(database, start(database, key="first", priority=HIGH))["plan", 0]
    redis.refill()
    assert redis.line[0] == first and len(redis.line) == 65
    assert redis.next() == HIGH and redis.next() == LOW
    with database.connection() as connection:
        plan = connection.execute("SELECT count(*) FROM run_task WHERE state = 'queued'").fetchone()
    assert plan == (100_000 - 1,)


def test_a_plan_that_was_made_while_little_waited_reads_little_of_much(database: Database):
    given = {"queues": list(QUEUES), "depth": 64, "first": 8}
    due = statements("run_task")["due"]
    read = (
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables "
        "WHERE relname = 'run_task'"
    )
    with database.connection() as connection:
        dsn = connection.info.dsn
    with psycopg.connect(dsn) as connection:
        for number in range(8):  # So often that the server keeps one plan for all.
            start(database, key=f"before {number}", priority=LOW)
            connection.execute(due, given, prepare=True)
            connection.commit()
        waiting(database, LOW, 10_000)
        found = connection.execute(due, given, prepare=True).fetchall()
        row = connection.execute(read).fetchone()
    assert len(found) == 64 - 8 and row is not None
    assert row[0] < 2_000, "of 10,000"


def test_lanes_that_all_wait_share_by_their_weights(database: Database):
    for priority in (HIGH, NORMAL, LOW):
        waiting(database, priority, 80)
    redis = Redis(database, depth=18)
    redis.refill()
    done: Counter[int] = Counter()
    for _ in range(90):
        done[redis.next()] += 1
        redis.refill()
    assert done[LOW] >= 9, "a tenth"
    assert done[NORMAL] > done[HIGH] > done[LOW], done


def test_one_place_of_a_limited_queue_is_for_high_ones(database: Database):
    database.runs.limit_queue("io", 3)
    waiting(database, LOW, 5)
    low = database.runs.due_tasks(QUEUES)
    assert len(low) == 2
    for task in low:
        assert database.runs.claim(task.task_id, "w") is not None
    assert database.runs.due_tasks(QUEUES) == []
    high = task_ids(database, start(database, key="high", priority=HIGH))["plan", 0]
    (found,) = database.runs.due_tasks(QUEUES)
    assert (found.task_id, found.is_first) == (high, True)
    assert database.runs.claim(high, "w") is not None
    assert database.runs.due_tasks(QUEUES) == []
    # Where there are few, they are everybody's.
    database.runs.limit_queue("other", 2)
    with database.connection() as connection:
        connection.execute("UPDATE run_task SET queue = 'other' WHERE state = 'queued'")
    assert len(database.runs.due_tasks(("other",))) == 2


def test_who_waits_ages_within_its_lane(database: Database):
    old = task_ids(database, start(database, key="old", priority=7))["plan", 0]
    young = task_ids(database, start(database, key="young", priority=4))["plan", 0]
    with database.connection() as connection:
        age = "UPDATE run_task SET create_time = now() - interval '31 minutes' WHERE task_id = %s"
        connection.execute(age, [old])
    assert [task.task_id for task in database.runs.due_tasks(QUEUES)] == [old, young]


@pytest.mark.parametrize("priority", [0, 11])
def test_a_priority_is_from_1_to_10(database: Database, priority: int):
    with (
        pytest.raises(StatementError, match="run_priority"),
        database.connection() as connection,
    ):
        connection.execute(
            "INSERT INTO run (workflow, run_key, parameters, priority) VALUES ('x', 'x', '{}', %s)",
            [priority],
        )


def set_back(database: Database, task_id: int, seconds: int) -> None:
    with database.connection() as connection:
        change = (
            "UPDATE run_task SET queued_time = now() - make_interval(secs => %s) WHERE task_id = %s"
        )
        connection.execute(change, [seconds, task_id])


def test_waits_and_work_are_told_by_queue_and_lane(database: Database):
    assert database.runs.lane_times(QUEUES) == []
    for number in range(20):
        run_id = start(database, key=f"quick {number}", priority=HIGH)
        set_back(database, task_ids(database, run_id)["plan", 0], number)
        end(database, take(database, run_id, "plan"))
    with database.connection() as connection:
        connection.execute("UPDATE run_attempt SET end_time = start_time + interval '3 seconds'")
    set_back(
        database, task_ids(database, start(database, key="slow", priority=LOW))["plan", 0], 900
    )
    high, low = database.runs.lane_times(QUEUES)
    assert (high.queue, high.lane, high.begun, high.waits_s) == ("io", "high", 20, 0)
    assert high.wait_p95_s == pytest.approx(18.05, abs=1) and high.work_p95_s == 3
    # Who has not begun is in no figure of those that have, and is seen all the same.
    assert (low.lane, low.begun, low.wait_p95_s, low.work_p95_s) == ("low", 0, None, None)
    assert low.waits_s == pytest.approx(900, abs=60)
    with database.connection() as connection:
        connection.execute("UPDATE run_attempt SET start_time = now() - interval '61 minutes'")
    assert [one.lane for one in database.runs.lane_times(QUEUES)] == ["low"]


def test_a_wait_begins_when_a_task_may_be_begun(database: Database):
    approved = NewTask(step="plan", queue="io", gate="approval")
    run_id = start(database, approved)
    task_id = task_ids(database, run_id)["plan", 0]

    def queued_s() -> float | None:
        with database.connection() as connection:
            row = connection.execute(
                "SELECT extract(epoch FROM queued_time - now())::double precision FROM run_task "
                "WHERE task_id = %s",
                [task_id],
            ).fetchone()
        assert row is not None
        return row[0]

    assert queued_s() is None
    database.runs.approve(run_id)
    assert queued_s() is not None
    set_back(database, task_id, 500)
    again = Outcome(state="failed", error="x", retry_in_s=1_000)
    end(database, take(database, run_id, "plan"), again)
    assert (queued_s() or 0) > 0, "a pause before another try is no wait for a worker"


def test_what_follows_is_in_the_lane_of_its_size_where_nobody_said_another(database: Database):
    for key, options, size_bytes, priority in (
        ("small", {"is_by_size": True}, 9_999_999, 3),
        ("middle", {"is_by_size": True}, 10_000_000, 5),
        ("large", {"is_by_size": True}, 100_000_000, 8),
        ("said", {"priority": 7}, 1, 7),
    ):
        run_id = start(database, key=key, **options)
        claim = take(database, run_id, "plan")
        database.runs.set_size(run_id, size_bytes)
        end(database, claim, following=parts(1))
        assert database.runs.run(run_id).priority == priority
        with database.connection() as connection:
            row = connection.execute(
                "SELECT priority FROM run_task WHERE run_id = %s AND step = 'work'", [run_id]
            ).fetchone()
        assert row == (priority,)
