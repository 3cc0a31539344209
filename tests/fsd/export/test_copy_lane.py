"""The pace of a disk in a copy, and which of its segments others take."""

import itertools
import random

import pytest

from fsd.disks.config import DiskConfig
from fsd.disks.disks import Disk
from fsd.export.copy_lane import Lane, Task, even_out

_numbers = itertools.count()


def lane_of(*costs: float) -> Lane:
    name = f"d{next(_numbers)}"
    made = Lane(Disk(DiskConfig(disk_id="ab" * 16, name=name, path="/d"), "/d"))
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


def even(lanes: list[Lane], now_s: float, slower: list[list[float]] | None = None) -> list[int]:
    """Let them even out; returns how many tasks each has then."""

    def factor(disk: Disk, than: Disk) -> float:
        of = [lane.disk for lane in lanes]
        return slower[of.index(disk)][of.index(than)] if slower else 1.0

    even_out(lanes, now_s, lambda task, disk: disk.name not in task.tried, factor)
    return [len(lane.queue) for lane in lanes]


def test_only_what_ends_sooner_goes_elsewhere():
    lanes = [lane_of(1, 1, 1, 1), lane_of()]
    assert even(lanes, 0) == [2, 2]
    assert [lane.remaining_s(0) for lane in lanes] == [2, 2]
    # Where it takes three times as long it would end later than here.
    lanes = [lane_of(1, 1, 1, 1), lane_of()]
    assert even(lanes, 0, [[1, 1], [3, 1]]) == [3, 1]
    assert lanes[1].remaining_s(0) == 3
    # A disk that takes twice its time is given half as much.
    lanes = [lane_of(1, 1, 1, 1, 1, 1), lane_of(2)]
    send(lanes[1], 0)
    lanes[1].end(lanes[1].outs[0], 4, done=True)
    assert even(lanes, 4) == [4, 2]


def test_what_another_disk_cannot_read_stays():
    lanes = [lane_of(1, 1, 1, 1), lane_of(), lane_of()]
    for task in lanes[0].queue:
        task.tried.add(lanes[1].disk.name)
    lanes[0].queue[0].tried.add(lanes[2].disk.name)
    assert even(lanes, 0) == [2, 0, 2]


def test_of_a_chain_each_gives_to_the_next():
    lanes = [lane_of(*[1] * 6), lane_of(*[1] * 6), lane_of()]
    for task in lanes[0].queue:
        task.tried.add(lanes[2].disk.name)
    even(lanes, 0)
    assert max(lane.remaining_s(0) for lane in lanes) <= 5
    assert lanes[2].queue


def test_moved_segments_keep_the_sweep():
    owner, taker = lane_of(1, 1, 1, 1, 1, 1), lane_of(1)
    for number, task in enumerate(owner.queue):
        task.segment = number
    taker.queue[0].segment = 4
    even([owner, taker], 0)
    assert [task.segment for task in taker.queue] == sorted(task.segment for task in taker.queue)
    assert len(taker.queue) > 2


def test_a_hanging_disk_loses_all_that_waits():
    owner, other = lane_of(1, 1, 1, 1), lane_of(1)
    send(owner, 0)
    send(other, 0)
    for now in range(60):
        even([owner, other], now)
        if other.outs:
            other.end(other.outs[0], now, done=True)
        elif other.queue:
            send(other, now)
    assert not owner.queue
    assert owner.queued_s == 0


@pytest.mark.parametrize("seed", range(20))
def test_moving_never_makes_a_plan_longer(seed: int):
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
        even(lanes, now, slower)
        for number, lane in enumerate(lanes):
            while len(lane.outs) < 2 and lane.queue:
                send(lane, now)
                if len(lane.outs) == 1:
                    ends[number] = now + lane.outs[0].cost_s * paces[number]
        number = min((n for n, lane in enumerate(lanes) if lane.outs), key=lambda n: ends[n])
        now, lane = ends[number], lanes[number]
        lane.end(lane.outs[0], now, done=True)
        if lane.outs:
            ends[number] = now + lane.outs[0].cost_s * paces[number]
    return now
