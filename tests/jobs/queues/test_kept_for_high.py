"""The slot that is kept for the high lane: who is offered what, and who begins it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter

import pytest
from jobs_harness import Yard, until

from jobs.queues.queues import DEPTH, HIGH, Deliverer
from jobs.queues.redis_server import connect
from sql import PRIORITY_HIGH, PRIORITY_LOW

LOW_TASKS, LOW_TASKS_SHORT = 100_000, 2_000
START_S_MAX = 5.0
LOW_SHARE_MIN = 0.1


class Lists:
    """What lies in Redis for a queue, and for those who are kept free for its high lane."""

    def __init__(self, yard: Yard) -> None:
        self.deliverer = Deliverer(connect(yard.config), yard.config.queues)

    def of(self, name: str) -> list[str]:
        return self.deliverer.queue(name).get_job_ids()


def held(yard: Yard, queue_worker: str) -> int:
    """Let a worker be busy with a low run that ends when it may; returns the run."""
    folder = os.path.join(yard.root, "traces")
    os.makedirs(folder, exist_ok=True)
    run, _ = yard.control.start("stubborn", {"folder": folder}, priority=PRIORITY_LOW)
    until(lambda: yard.traces("stubborn"), lambda: yard.story(run.run_id))
    assert yard.horses(queue_worker)
    return run.run_id


def test_a_high_run_begins_in_the_kept_slot_while_all_others_are_busy(yard: Yard):
    yard.start_worker("one", "default")
    yard.start_worker("kept", "default" + HIGH)
    yard.start_scheduler()
    low = held(yard, "one")
    folder = {"folder": os.path.join(yard.root, "traces")}
    normal, _ = yard.control.start("nothing", folder)
    high = [
        yard.control.start("nothing", {**folder, "tag": str(number)}, priority=PRIORITY_HIGH)[0]
        for number in range(20)  # More than come before all others at once.
    ]
    for run in high:
        yard.wait(run.run_id)
        (attempt,) = yard.database.runs.show(run.run_id).attempts
        assert "-kept-" in attempt.worker
    assert (yard.state(low), yard.state(normal.run_id)) == ("running", "queued")
    yard.touch("go")
    for run_id in (low, normal.run_id):
        yard.wait(run_id)
        (attempt,) = yard.database.runs.show(run_id).attempts
        assert "-one-" in attempt.worker, "the kept slot takes nothing else"
    lists = Lists(yard)
    until(lambda: not lists.of("default") and not lists.of("default" + HIGH))


def test_high_tasks_are_offered_only_where_somebody_listens(yard: Yard):
    lists = Lists(yard)
    folder = {"folder": yard.root}
    first, _ = yard.control.start("nothing", folder, priority=PRIORITY_HIGH)
    assert len(lists.of("default")) == 1 and lists.of("default" + HIGH) == []
    # One who begins later is told by the next look.
    yard.start_worker("kept", "default" + HIGH)
    yard.start_scheduler()
    yard.wait(first.run_id)


def test_what_is_offered_twice_is_there_once_and_at_most_so_much(yard: Yard):
    redis = connect(yard.config)
    redis.sadd(f"rq:workers:default{HIGH}", "somebody")  # One that takes nothing now.
    lists, folder = Lists(yard), {"folder": yard.root}
    for number in range(DEPTH + 10):
        tagged = {**folder, "tag": str(number)}
        yard.control.start("nothing", tagged, priority=PRIORITY_HIGH)
    yard.control.start("nothing", folder)
    offered = lists.of("default" + HIGH)
    assert len(offered) == len(set(offered)) == DEPTH
    there = yard.database.runs.delivered_tasks(["default"], 0.0)
    lists.deliverer.offer(there)
    assert lists.of("default" + HIGH) == offered
    redis.delete(f"rq:queue:default{HIGH}")
    lists.deliverer.offer(there[:3])
    assert len(lists.of("default" + HIGH)) == len([one for one in there[:3] if one.is_high])


@pytest.mark.fault
@pytest.mark.seconds(15)
def test_high_ones_begin_soon_and_low_ones_go_on_with_100_000_waiting(
    yard: Yard, pytestconfig: pytest.Config
):
    """`--lanes-seconds` says how long it watches; only `--slow` looks at the clock."""
    is_long = pytestconfig.getoption("--slow")
    folder = os.path.join(yard.root, "traces")
    os.makedirs(folder)
    seed, _ = yard.control.start("short", {"folder": folder}, priority=PRIORITY_LOW)
    with yard.database.connection() as connection:
        connection.execute(
            "INSERT INTO run_task (run_id, step, part, queue, priority, state, spec) "
            "SELECT run_id, step, number, queue, priority, 'queued', spec FROM run_task, "
            "generate_series(1, %s) AS number WHERE run_id = %s",
            [LOW_TASKS if is_long else LOW_TASKS_SHORT, seed.run_id],
        )
    for name in ("one", "two"):
        yard.start_worker(name, "default")
    yard.start_worker("kept", "default" + HIGH)
    yard.start_scheduler()
    stop = threading.Event()

    def normal_ones() -> None:
        number = 0
        while not stop.wait(0.05):
            tagged = {"folder": folder, "tag": f"n{number}"}
            yard.control.start("short", tagged)
            number += 1

    beside = threading.Thread(target=normal_ones)
    beside.start()
    try:
        ends_s, number = time.monotonic() + pytestconfig.getoption("--lanes-seconds"), 0
        while time.monotonic() < ends_s:
            tagged = {"folder": folder, "tag": f"h{number}"}
            yard.control.start("short", tagged, priority=PRIORITY_HIGH)
            number += 1
            time.sleep(1.0)
    finally:
        stop.set()
        beside.join()
    with yard.database.connection() as connection:
        waits = connection.execute(
            "SELECT run_lane(priority), wait_s FROM run_attempt JOIN run_task USING (task_id)"
        ).fetchall()
    begun = Counter(lane for lane, _ in waits)
    high = [wait_s for lane, wait_s in waits if lane == "high"]
    print(f"begun {dict(begun)}, the longest wait of a high one {max(high):.2f} s")
    assert high and (not is_long or (len(high) >= number - 5 and max(high) <= START_S_MAX))
    assert begun["low"] >= LOW_SHARE_MIN * begun.total(), begun
