"""Lanes: which tasks are delivered next when many wait, and that none waits for ever."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from run_steps import end, start, task_ids

from sql import Database
from sql.core.errors import StatementError

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
