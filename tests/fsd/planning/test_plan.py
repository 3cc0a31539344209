"""The read planner: its prediction against a walk over every record, its choice against bounds.

The walk and the bounds know the disks' model only; nothing of the planner is reused in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from fsd.planning.plan import DiskModel, ReadPlan, plan_reads

MIB = 1024**2
SEGMENT_BYTES_MAX = 64 * MIB
MAKESPAN_OVER_LP_MAX = 1.05


@dataclass
class Case:
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    replicas: list[list[int]]
    disks: list[DiskModel]

    def plan(self) -> ReadPlan:
        return plan_reads(self.shard, self.offset, self.length, self.replicas, self.disks)


def segments_by_disk(plan: ReadPlan) -> list[list[int]]:
    """Segment ids per disk in issue order: by shard and offset, so that the head sweeps."""
    queues: list[list[int]] = [[] for _ in plan.disk_seconds]
    for index, segment in enumerate(plan.segments):
        queues[segment.disk].append(index)
    return queues


def make_disks(rng: np.random.Generator, count: int) -> list[DiskModel]:
    return [
        DiskModel(rng.uniform(50e6, 160e6), rng.uniform(0.001, 0.004), 0.016, 10**12 * (1 + i))
        for i in range(count)
    ]


def make_case(
    number: int, shards: int, disks: int, records: int, mean_bytes: float, wanted: float
) -> Case:
    """Shards of `records` log-normal records laid end to end, a fraction of them wanted."""
    rng = np.random.default_rng(number)
    lengths = np.maximum(rng.lognormal(np.log(mean_bytes), 1.0, (shards, records)), 1)
    lengths = lengths.astype(np.int64)
    offsets = 4096 + np.cumsum(lengths, axis=1) - lengths
    shard = np.repeat(np.arange(shards, dtype=np.int32), records)
    picked = rng.permutation(np.flatnonzero(rng.random(shards * records) < wanted))
    weights = rng.uniform(0.5, 20, disks)
    replicas = [
        rng.choice(
            disks, int(rng.integers(2, 4)), replace=False, p=weights / weights.sum()
        ).tolist()
        for _ in range(shards)
    ]
    return Case(
        shard[picked],
        offsets.ravel()[picked],
        lengths.ravel()[picked],
        replicas,
        make_disks(rng, disks),
    )


def items(case: Case, plan: ReadPlan, index: int) -> list[tuple[int, int]]:
    """(first byte, end) of a segment's records in order."""
    segment = plan.segments[index]
    chosen = plan.order[segment.first : segment.last]
    assert (case.shard[chosen] == segment.shard).all()
    return [(int(case.offset[i]), int(case.offset[i] + case.length[i])) for i in chosen]


def walk(case: Case, plan: ReadPlan, disk: int, queue: list[int]) -> tuple[float, int, int]:
    """(seconds, bytes, seeks) of a head that reads a queue record by record."""
    model = case.disks[disk]
    seconds, read_bytes, seeks = 0.0, 0, 0
    at_shard, at = -1, 0
    for index in queue:
        for start, end in items(case, plan, index):
            hole = max(start - at, 0)
            through_s = hole / model.bandwidth_bytes_per_s
            reach = (hole / model.span_bytes) ** 0.5
            jump_s = model.seek_min_s + (model.seek_max_s - model.seek_min_s) * reach
            if at_shard != plan.segments[index].shard:
                # The mean of sqrt(|x - y|) over the unit square is 8/15.
                seconds += model.seek_min_s + (model.seek_max_s - model.seek_min_s) * 8 / 15
                seeks += 1
                at = start
            elif through_s <= jump_s:
                seconds += through_s
                read_bytes += hole
            else:
                seconds += jump_s
                seeks += 1
            fresh = max(end - max(start, at), 0)
            seconds += fresh / model.bandwidth_bytes_per_s
            read_bytes += fresh
            at_shard, at = plan.segments[index].shard, max(at, end)
    return seconds, read_bytes, seeks


def fractional_bound_s(costs: np.ndarray, busy_s: Sequence[float] | None = None) -> float:
    """A lower bound on the LP (weak duality): prices that sum to 1, each row where it is cheapest.

    `costs` (segments, disks) is infinite where no replica lies; `busy_s` is queued already.
    """
    rows = np.arange(len(costs))
    prices = np.full(costs.shape[1], 1 / costs.shape[1])
    best = 0.0
    for step in range(400):
        choice = (costs * prices).argmin(axis=1)
        loads = np.bincount(choice, costs[rows, choice], minlength=len(prices))
        loads += 0 if busy_s is None else busy_s
        best = max(best, float(loads @ prices))
        prices = prices * np.exp((loads / loads.mean() - 1) / 2 / (1 + step) ** 0.7)
        prices /= prices.sum()
    return best


def alone_s(case: Case, plan: ReadPlan) -> np.ndarray:
    """Seconds per (segment, disk) with an average seek to reach each, infinite off its replicas."""
    costs = np.full((len(plan.segments), len(case.disks)), np.inf)
    for index, segment in enumerate(plan.segments):
        for disk in case.replicas[segment.shard]:
            costs[index, disk] = walk(case, plan, disk, [index])[0]
    return costs


def check(case: Case, plan: ReadPlan) -> None:
    """What holds for every plan."""
    order = plan.order
    assert sorted([*order.tolist(), *plan.unreadable.tolist()]) == list(range(len(case.shard)))
    keys = [(int(case.shard[i]), int(case.offset[i])) for i in order]
    assert keys == sorted(keys)
    edges = [segment.first for segment in plan.segments] + [len(order)]
    assert edges[0] == 0
    assert [segment.last for segment in plan.segments] == edges[1:]
    for index, segment in enumerate(plan.segments):
        spans = items(case, plan, index)
        assert segment.start == spans[0][0]
        assert segment.end == max(end for _, end in spans)
        assert segment.end - segment.start <= SEGMENT_BYTES_MAX or len(set(spans)) == 1
        assert segment.disk in case.replicas[segment.shard]
        assert segment.runs == walk(case, plan, segment.disk, [index])[2]
    totals = [walk(case, plan, disk, queue) for disk, queue in enumerate(segments_by_disk(plan))]
    assert plan.disk_seconds == pytest.approx([seconds for seconds, _, _ in totals])
    assert plan.seconds == max(plan.disk_seconds)
    assert plan.read_bytes == sum(read for _, read, _ in totals)
    assert plan.seeks == sum(seeks for _, _, seeks in totals)
    assert plan.wanted_bytes == int(case.length[order].sum())
    for disk, queue in enumerate(segments_by_disk(plan)):
        cost_s = sum(plan.segments[index].cost_s for index in queue)
        assert cost_s == pytest.approx(plan.disk_seconds[disk])


@st.composite
def small_cases(draw: st.DrawFn) -> Case:
    """Records with and without holes, some wanted twice, some in shards without a replica."""
    disks, shards = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    holders = st.lists(st.integers(0, disks - 1), max_size=disks, unique=True)
    replicas = draw(st.lists(holders, min_size=shards, max_size=shards))
    record = st.tuples(
        st.integers(0, shards - 1),
        st.sampled_from([0, 0, 1, 50_000, 400_000, 5_000_000, 80 * MIB]),  # hole before it
        st.sampled_from([1, 24_000, 700_000, 3_000_000, 90 * MIB]),
        st.sampled_from([1, 1, 1, 2]),
    )
    at = [0] * shards
    wanted: list[tuple[int, int, int]] = []
    for shard, hole, length, times in draw(st.lists(record, min_size=1, max_size=40)):
        wanted += [(shard, at[shard] + hole, length)] * times
        at[shard] += hole + length
    columns = np.array(draw(st.permutations(wanted)), dtype=np.int64).T
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return Case(columns[0].astype(np.int32), *columns[1:], replicas, make_disks(rng, disks))


@seed(1)
@settings(max_examples=250, deadline=None)
@given(small_cases())
def test_prediction_equals_a_walk_over_the_records(case: Case):
    plan = case.plan()
    lonely = [i for i in range(len(case.shard)) if not case.replicas[case.shard[i]]]
    assert plan.unreadable.tolist() == lonely
    assert plan.unreadable.dtype == plan.order.dtype == np.int64
    if len(lonely) == len(case.shard):
        assert (plan.segments, plan.seconds, plan.read_bytes) == ([], 0.0, 0)
        return
    check(case, plan)


@pytest.mark.parametrize("number", range(4))
def test_mixed_shards_are_planned_consistently(number: int):
    case = make_case(number, shards=12, disks=4, records=400, mean_bytes=200e3, wanted=0.3)
    plan = case.plan()
    check(case, plan)
    assert plan.wanted_bytes < plan.read_bytes  # some holes are read through, but not all
    assert plan.seeks > len(plan.segments)


def test_the_same_input_gives_the_same_plan():
    first, second = (make_case(3, 10, 4, 200, 400e3, 0.5).plan() for _ in range(2))
    assert first.segments == second.segments
    shuffled = make_case(3, 10, 4, 200, 400e3, 0.5)
    mix = np.random.default_rng(0).permutation(len(shuffled.shard))
    again = plan_reads(
        shuffled.shard[mix],
        shuffled.offset[mix],
        shuffled.length[mix],
        shuffled.replicas,
        shuffled.disks,
    )
    assert again.segments == first.segments


def test_a_hole_is_read_through_exactly_until_a_seek_is_cheaper():
    disk = DiskModel(100e6, 0.004, 0.016, 10**12)
    limit = disk.hole_bytes_max()

    def cost_of_hole(hole: int) -> float:
        return disk.seek_min_s + 0.012 * (hole / 10**12) ** 0.5 - hole / 100e6

    assert cost_of_hole(limit) >= 0 > cost_of_hole(limit + 2)
    for hole, runs in ((limit, 1), (limit + 1, 2)):
        offset = np.array([0, 1000 + hole])
        plan = plan_reads(
            np.zeros(2, dtype=np.int32), offset, np.array([1000, 1000]), [[0]], [disk]
        )
        assert [segment.runs for segment in plan.segments] == [runs]
        assert plan.read_bytes == 2000 + (hole if runs == 1 else 0)


def test_a_small_job_spreads_over_all_disks():
    case = make_case(5, shards=3, disks=4, records=128, mean_bytes=300e3, wanted=1.0)
    case.replicas = [[0, 1, 2, 3]] * 3
    plan = case.plan()
    assert plan.wanted_bytes < 3 * SEGMENT_BYTES_MAX * 2
    sizes = [segment.end - segment.start for segment in plan.segments]
    assert len(sizes) >= 4 * 8
    assert max(sizes) <= max(4 * MIB, plan.wanted_bytes // 32)
    assert min(plan.disk_seconds) > 0.85 * plan.seconds
    tiny = plan_reads(case.shard[:9], case.offset[:9], case.length[:9], case.replicas, case.disks)
    assert all(segment.end - segment.start <= 4 * MIB for segment in tiny.segments)


def test_a_record_larger_than_a_segment_stays_whole():
    offset, length = np.array([0, 1000, 1000 + 200 * MIB]), np.array([1000, 200 * MIB, 50])
    disks = make_disks(np.random.default_rng(0), 2)
    plan = plan_reads(np.zeros(3, dtype=np.int32), offset, length, [[0, 1]], disks)
    assert [(s.first, s.last) for s in plan.segments] == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("number", range(20))
def test_makespan_is_near_the_fractional_optimum(number: int):
    """4-8 disks, 200 to some thousand segments, 2-3 replicas on disks of unequal share."""
    rng = np.random.default_rng(number)
    shards = int(np.exp(rng.uniform(np.log(120), np.log(900))))
    wanted = float(rng.choice([1.0, 0.5, 0.2]))
    case = make_case(number, shards, int(rng.integers(4, 9)), 24, 8e6, wanted)
    plan = case.plan()
    assert len(plan.segments) >= 200
    bound = fractional_bound_s(alone_s(case, plan))
    assert plan.seconds <= MAKESPAN_OVER_LP_MAX * bound


def test_the_bound_is_the_linear_programme():
    """Where scipy is there, what the other tests divide by is shown to be the LP's optimum."""
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not a dependency")
    case = make_case(1, 80, 5, 24, 8e6, 0.5)
    costs = alone_s(case, case.plan())
    segment, disk = np.nonzero(np.isfinite(costs))
    count = len(segment)
    load = np.zeros((costs.shape[1], count + 1))
    load[disk, np.arange(count)] = costs[segment, disk]
    load[:, -1] = -1
    whole = np.zeros((len(costs), count + 1))
    whole[segment, np.arange(count)] = 1
    goal = np.append(np.zeros(count), 1)
    ones = np.ones(len(costs))
    solved = optimize.linprog(goal, load, np.zeros(len(load)), whole, ones, method="highs")
    assert solved.fun * 0.98 <= fractional_bound_s(costs) <= solved.fun * (1 + 1e-9)


def test_a_slow_disk_gets_less():
    case = make_case(9, shards=40, disks=4, records=24, mean_bytes=4e6, wanted=1.0)
    case.replicas = [[0, 1, 2, 3]] * 40
    plan = case.plan()
    slow = DiskModel(case.disks[0].bandwidth_bytes_per_s / 10, 0.004, 0.016, 10**12)
    case.disks = [slow, *case.disks[1:]]
    slower = case.plan()
    assert 0 < len(segments_by_disk(slower)[0]) < len(segments_by_disk(plan)[0]) / 3
    check(case, slower)


def test_queues_sweep():
    plan = make_case(4, 20, 4, 100, 1e6, 0.5).plan()
    queues = segments_by_disk(plan)
    assert sorted(index for queue in queues for index in queue) == list(range(len(plan.segments)))
    for queue in queues:
        places = [(plan.segments[i].shard, plan.segments[i].start) for i in queue]
        assert all(a < b for a, b in pairwise(places))


def test_nothing_wanted_is_an_empty_plan():
    empty = np.empty(0, dtype=np.int64)
    plan = plan_reads(
        empty.astype(np.int32), empty, empty, [[0]], make_disks(np.random.default_rng(0), 1)
    )
    assert (plan.segments, plan.seconds, plan.disk_seconds) == ([], 0.0, [0.0])


@pytest.mark.parametrize(
    ("shard", "offset", "length", "replicas", "message"),
    [
        ([0], [0, 1], [1, 1], [[0]], "equally long"),
        ([1], [0], [1], [[0]], "shard indices"),
        ([-1], [0], [1], [[0]], "shard indices"),
        ([0], [-1], [1], [[0]], "negative"),
        ([0], [0], [0], [[0]], "empty"),
        ([0], [0], [1], [[2]], "disk indices"),
    ],
)
def test_inconsistent_input_is_refused(
    shard: list[int], offset: list[int], length: list[int], replicas: list[list[int]], message: str
):
    with pytest.raises(ValueError, match=message):
        plan_reads(
            np.array(shard, dtype=np.int32),
            np.array(offset, dtype=np.int64),
            np.array(length, dtype=np.int64),
            replicas,
            make_disks(np.random.default_rng(0), 2),
        )
