"""The planner's figures on random instances: against the LP, and against every plan there is.

The LP of the planner's own segments, each with its seek, says whether they were assigned well; the
bound of the bytes and the disks' rates alone, whether they were cut well too.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bench.bounds import export_bound_s, makespan_bound_s
from fsd.planning.assignment import assign
from fsd.planning.plan import DiskModel, ReadPlan, plan_reads

MAKESPAN_OVER_LP_MAX = 1.05
# By shards of 200 MB. Of a few there are eight segments a disk, and one too many is an eighth more.
MAKESPANS_OVER_BOUND_MAX = ((3, 1.2), (9, 1.15), (60, 1.1), (300, 1.05))
BEST_OVER_PLAN_MIN = 0.9
SSD = DiskModel(2e9, 1e-4, 1e-4, 10**12)

# Mean bytes of a record and records of a shard: small, mixed, large.
CORPORA = ((24e3, 3000), (240e3, 400), (8e6, 24))


def random_plan(
    rng: np.random.Generator, corpus: tuple[float, int], *, with_ssd: bool
) -> tuple[ReadPlan, np.ndarray]:
    """A plan, and the seconds of its segments on each disk alone: infinite off the replicas."""
    mean_bytes, records = corpus
    shards, count = int(rng.integers(60, 300)), int(rng.integers(4, 13))
    disks = [
        DiskModel(rng.uniform(40e6, 260e6), rng.uniform(0.003, 0.009), rng.uniform(0.01, 0.03), s)
        for s in rng.integers(10**11, 10**13, count).tolist()
    ]
    if with_ssd:
        disks[0] = SSD
    lengths = np.maximum(rng.lognormal(np.log(mean_bytes), 1.0, (shards, records)), 1)
    lengths = lengths.astype(np.int64)
    offsets = np.cumsum(lengths, axis=1) - lengths
    wanted = float(rng.choice([1.0, 0.5, 0.2, 0.05]))
    picked = np.flatnonzero(rng.random(lengths.size) < wanted)
    weights = rng.uniform(0.5, 20, count)
    weights /= weights.sum()
    replicas = [
        rng.choice(count, int(rng.integers(2, 4)), replace=False, p=weights).tolist()
        for _ in range(shards)
    ]
    shard = np.repeat(np.arange(shards, dtype=np.int32), records)
    plan = plan_reads(
        shard[picked], offsets.ravel()[picked], lengths.ravel()[picked], replicas, disks
    )
    approach_s = np.array([disk.average_seek_s() for disk in disks])
    costs = np.full((len(plan.segments), count), np.inf)
    alone_s = plan.work.costs_s(disks) + approach_s
    for row, segment in enumerate(plan.segments):
        holders = replicas[segment.shard]
        costs[row, holders] = alone_s[row, holders]
    return plan, costs


@pytest.mark.parametrize("with_ssd", [False, True], ids=["hdds", "one-ssd"])
@pytest.mark.parametrize("corpus", CORPORA, ids=["small", "mixed", "large"])
@pytest.mark.parametrize("number", range(3))
def test_the_makespan_is_near_the_lp(number: int, corpus: tuple[float, int], with_ssd: bool):
    rng = np.random.default_rng(number)
    plan, costs = random_plan(rng, corpus, with_ssd=with_ssd)
    assert plan.seconds <= MAKESPAN_OVER_LP_MAX * makespan_bound_s(costs)


def quick_disks(rng: np.random.Generator) -> list[DiskModel]:
    """Disks that seek in a millisecond: of 4 MiB, the least that is a segment, a thirtieth."""
    count = int(rng.integers(4, 13))
    rates = rng.uniform(40e6, 160e6, count).tolist()
    return [DiskModel(rate, 0.0005, 0.0015, 10**12) for rate in rates]


@pytest.mark.parametrize(("shards", "over_bound_max"), MAKESPANS_OVER_BOUND_MAX)
@pytest.mark.parametrize("number", range(4))
def test_the_makespan_is_near_the_true_bound(number: int, shards: int, over_bound_max: float):
    """All of a few shards, which have to be cut to be shared by their disks, or of many."""
    rng = np.random.default_rng(number)
    disks, records = quick_disks(rng), 2000
    lengths = rng.integers(50_000, 150_000, (shards, records))
    offsets = np.cumsum(lengths, axis=1) - lengths
    replicas = [rng.choice(len(disks), 2, replace=False).tolist() for _ in range(shards)]
    shard = np.repeat(np.arange(shards, dtype=np.int32), records)
    plan = plan_reads(shard, offsets.ravel(), lengths.ravel(), replicas, disks)
    rates = [disk.bandwidth_bytes_per_s for disk in disks]
    bound_s = export_bound_s(lengths.sum(axis=1).tolist(), replicas, rates)
    assert bound_s <= plan.seconds <= over_bound_max * bound_s


def random_costs(rng: np.random.Generator) -> np.ndarray:
    """A few segments on three or four unequal disks, two or three replicas each."""
    segments, disks = int(rng.integers(1, 9)), int(rng.integers(3, 5))
    costs = np.full((segments, disks), np.inf)
    speed = rng.uniform(0.4, 2.0, disks)
    for row in range(segments):
        holders = rng.choice(disks, int(rng.integers(2, 4)), replace=False)
        costs[row, holders] = rng.lognormal(0, 0.8) / speed[holders]
    return costs


def peak_s(costs: np.ndarray, choice: np.ndarray, busy_s: np.ndarray) -> float:
    rows = np.arange(len(costs))
    return float((busy_s + np.bincount(choice, costs[rows, choice], len(busy_s))).max())


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_small_plans_are_the_best_of_all(first: int):
    ratios: list[float] = []
    for number in range(first, first + 50):
        rng = np.random.default_rng(number)
        costs = random_costs(rng)
        busy_s = rng.uniform(0, 1, costs.shape[1]) * (number % 2)
        made = assign(costs, busy_s.tolist())
        assert np.isfinite(costs[np.arange(len(costs)), made]).all()
        options = [np.flatnonzero(np.isfinite(row)) for row in costs]
        best = min(peak_s(costs, np.array(pick), busy_s) for pick in product(*options))
        ratios.append(best / peak_s(costs, made, busy_s))
    assert min(ratios) >= BEST_OVER_PLAN_MIN
    assert min(ratios) > 1 - 1e-5  # so few choices are all tried


@pytest.mark.parametrize("number", range(12))
def test_plans_with_more_choices_than_are_kept_are_near_the_best(number: int):
    rng = np.random.default_rng(number)
    count = 17
    holders = np.array([rng.choice(3, 2, replace=False) for _ in range(count)])
    seconds = rng.uniform(0.2, 1.0, (count, 2))
    costs, options = np.full((count, 3), np.inf), np.zeros((2, count, 3))
    for row in range(count):
        costs[row, holders[row]] = seconds[row]
        for side in (0, 1):
            options[side, row, holders[row, side]] = seconds[row, side]
    sides = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    best = ((1 - sides) @ options[0] + sides @ options[1]).max(axis=1).min()
    made = peak_s(costs, assign(costs, [0.0] * 3), np.zeros(3))
    assert best / made >= BEST_OVER_PLAN_MIN
