"""The pace of a disk in a copy, and which of its segments others take over."""

import random

import pytest

from fsd.config import DiskConfig
from fsd.copy_lane import Lane, Task
from fsd.disks import Disk


def lane_of(*costs: float) -> Lane:
    made = Lane(Disk(DiskConfig(disk_id="ab" * 16, name="d1", path="/d1"), "/d1"))
    for cost_s in costs:
        made.put(Task("shard", cost_s))
    return made


def send(lane: Lane, now_s: float) -> Task:
    task = lane.queue[0]
    lane.remove(task)
    lane.begin(task, now_s)
    return task


def test_a_lane_that_keeps_the_plan():
    lane = lane_of(2, 2, 4)
    assert (lane.pace(0), lane.remaining_s(0)) == (1, 8)
    first = send(lane, 10)
    send(lane, 10)
    assert lane.remaining_s(11) == 7
    lane.end(first, 12, done=True)
    assert (lane.pace(12), lane.remaining_s(12)) == (1, 6)
    assert (lane.planned_s, lane.busy_s) == (2, 2)


def test_the_time_between_two_tasks_is_not_the_disks():
    lane = lane_of(2, 2)
    lane.end(send(lane, 0), 2, done=True)
    second = send(lane, 100)
    assert lane.remaining_s(101) == 1
    lane.end(second, 102, done=True)
    assert (lane.planned_s, lane.busy_s, lane.remaining_s(200)) == (4, 4, 0)


def test_a_slow_disk_is_expected_to_stay_slow():
    lane = lane_of(1, 1, 1)
    lane.end(send(lane, 0), 5, done=True)
    assert (lane.pace(5), lane.remaining_s(5)) == (5, 10)
    # What ended in an error took its time, and did nothing.
    lane.end(send(lane, 5), 10, done=False)
    assert (lane.pace(10), lane.remaining_s(10)) == (10, 10)


def test_a_late_task_makes_its_disk_slower_by_the_second():
    lane = lane_of(1, 1)
    send(lane, 0)
    assert lane.remaining_s(1) == pytest.approx(1)
    waits = [lane.remaining_s(now) for now in (2, 4, 8)]
    assert waits == [pytest.approx(2), pytest.approx(4), pytest.approx(8)]


def test_a_disk_beyond_belief_is_not_believed():
    lane = lane_of(10, 10)
    lane.end(send(lane, 0), 0.001, done=True)
    assert lane.pace(1) == 0.25


def test_only_what_ends_sooner_is_taken_over():
    owner, idle = lane_of(1, 1, 1), lane_of()
    assert idle.takes_over_s(owner, 0) == 3
    busy = lane_of(2)
    send(busy, 0)
    assert busy.takes_over_s(owner, 0) == 1
    assert owner.takes_over_s(busy, 0) == -1
    # A disk that takes twice its time takes over half as much.
    busy.end(busy.outs[0], 4, done=True)
    assert busy.takes_over_s(owner, 4) == 1.5


def test_a_hanging_disk_loses_all_that_waits():
    owner, idle = lane_of(1, 1, 1, 1), lane_of()
    send(owner, 0)
    taken = 0
    for now in range(60):
        while owner.queue and idle.takes_over_s(owner, now) > 5:
            owner.remove(owner.queue[-1])
            taken += 1
    assert taken == 3
    assert owner.queued_s == 0


@pytest.mark.parametrize("seed", range(20))
def test_stealing_never_makes_a_plan_longer(seed: int):
    """Disks that keep the plan, run by the clock of the plan: nobody ends after its maximum."""
    chance = random.Random(seed)
    lanes = [lane_of(*(chance.uniform(0.1, 2) for _ in range(10))) for _ in range(4)]
    slower = [[1.0 if a is b else chance.uniform(0.5, 2) for b in lanes] for a in lanes]
    planned = max(lane.queued_s for lane in lanes)
    assert simulate(lanes, slower, [1.0] * 4) <= planned + 1e-9


@pytest.mark.parametrize("seed", range(20))
def test_a_disk_that_became_slow_does_not_take_everybodys_time(seed: int):
    chance = random.Random(seed)
    costs = [[chance.uniform(0.1, 0.4) for _ in range(50)] for _ in range(4)]
    lanes = [lane_of(*row) for row in costs]
    planned = max(lane.queued_s for lane in lanes)
    took = simulate(lanes, [[1.0] * 4] * 4, [5.0, 1, 1, 1])
    # All of it at the pace that is left (3.2 of 4 disks), and what the slow one had begun.
    assert took <= planned * 4 / 3.2 * 1.05 + 2 * 5 * 0.4


def simulate(lanes: list[Lane], slower: list[list[float]], paces: list[float]) -> float:
    """Run lanes whose disks take `paces` times their costs, with two tasks out; returns the end."""
    now = 0.0
    ends: list[float] = [0.0] * len(lanes)
    while any(lane.queue or lane.outs for lane in lanes):
        for number, lane in enumerate(lanes):
            while len(lane.outs) < 2 and dispatch(lanes, number, slower, now):
                if len(lane.outs) == 1:
                    ends[number] = now + lane.outs[0].cost_s * paces[number]
        number = min((n for n, lane in enumerate(lanes) if lane.outs), key=lambda n: ends[n])
        now, lane = ends[number], lanes[number]
        lane.end(lane.outs[0], now, done=True)
        if lane.outs:
            ends[number] = now + lane.outs[0].cost_s * paces[number]
    return now


def dispatch(lanes: list[Lane], number: int, slower: list[list[float]], now: float) -> bool:
    lane = lanes[number]
    if lane.queue:
        send(lane, now)
        return True
    owners = [other for other in range(len(lanes)) if lanes[other].queue]
    for owner in sorted(owners, key=lambda other: -lanes[other].remaining_s(now)):
        limit = lane.takes_over_s(lanes[owner], now)
        for task in reversed(lanes[owner].queue):
            if task.cost_s * slower[number][owner] < limit:
                lanes[owner].remove(task)
                task.cost_s *= slower[number][owner]
                lane.begin(task, now)
                return True
    return False
