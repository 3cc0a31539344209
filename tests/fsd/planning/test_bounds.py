"""Bounds of the bench: against the LP solved exactly, and against plans that can be named."""

from itertools import combinations

import numpy as np
import pytest

from bench.bounds import (
    export_bound_s,
    ingest_bound_s,
    makespan_bound_s,
    placement_imbalance,
    rebuild_bound_s,
    scrub_bound_s,
    unit_seconds,
)

MB = 10**6
CLOSE_MIN = 0.995


def cut_bound_s(sizes: list[int], holders: list[set[int]], rates: list[float]) -> float:
    """The LP for constant rates, exactly (max-flow, min-cut): the tightest set of disks.

    What lies on no other disk than those of a set has to pass through that set.
    """
    disks = range(len(rates))
    subsets = [set(some) for count in disks for some in combinations(disks, count + 1)]
    return max(
        sum(size for size, held in zip(sizes, holders, strict=True) if held <= some)
        / sum(rates[disk] for disk in some)
        for some in subsets
    )


def random_units(rng: np.random.Generator, disks: int) -> tuple[list[int], list[set[int]]]:
    units = int(rng.integers(1, 200))
    sizes = rng.integers(1, 256 * MB, units).tolist()
    weights = rng.uniform(0.5, 20, disks)
    weights /= weights.sum()
    held = [set(rng.choice(disks, 2, replace=False, p=weights).tolist()) for _ in range(units)]
    return sizes, held


@pytest.mark.parametrize("number", range(12))
def test_the_bound_is_the_min_cut_where_rates_are_constant(number: int):
    rng = np.random.default_rng(number)
    disks = int(rng.integers(2, 9))
    sizes, holders = random_units(rng, disks)
    rates = rng.uniform(50e6, 160e6, disks).tolist()
    exact = cut_bound_s(sizes, holders, rates)
    assert exact * CLOSE_MIN <= export_bound_s(sizes, holders, rates) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("number", range(4))
def test_the_bound_is_the_linear_programme_where_they_fall_inwards(number: int):
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not a dependency")
    rng = np.random.default_rng(number)
    disks = int(rng.integers(3, 6))
    sizes, holders = random_units(rng, disks)
    costs = unit_seconds(sizes, holders, rng.uniform(50e6, 160e6, (len(sizes), disks)))
    before = rng.uniform(0, 40, disks)
    unit, disk = np.nonzero(np.isfinite(costs))
    count = len(unit)
    load = np.zeros((disks, count + 1))
    load[disk, np.arange(count)] = costs[unit, disk]
    load[:, -1] = -1
    whole = np.zeros((len(costs), count + 1))
    whole[unit, np.arange(count)] = 1
    goal = np.append(np.zeros(count), 1)
    solved = optimize.linprog(goal, load, -before, whole, np.ones(len(costs)), method="highs")
    bound = makespan_bound_s(costs, before.tolist())
    assert solved.fun * CLOSE_MIN <= bound <= solved.fun * (1 + 1e-9)


def test_an_export_is_bound_by_the_ssd_too():
    sizes, holders, rates = [100 * MB] * 4, [{0, 1}] * 4, [100e6, 100e6]
    assert export_bound_s(sizes, holders, rates) == pytest.approx(2, rel=0.005)
    assert export_bound_s(sizes, holders, rates, ssd_bytes_per_s=80e6) == 5
    assert export_bound_s(sizes, holders, rates, files=6000, files_per_s=1000) == 6


def test_ingest_and_scrub_are_bound_by_the_slowest_part():
    written, rates = [160 * MB, 200 * MB, 0], [160e6, 100e6, 50e6]
    assert ingest_bound_s(written, rates) == 4
    assert ingest_bound_s(written, rates, read_back=False) == 2
    assert scrub_bound_s(written, rates) == 2
    assert placement_imbalance(written, rates) == pytest.approx(2 / (360 / 310))
    assert placement_imbalance([160 * MB, 100 * MB, 50 * MB], rates) == 1


def test_a_rebuild_reads_once_and_writes_twice():
    # One survivor, one target: the target writes and reads back while the survivor reads.
    assert rebuild_bound_s([100 * MB], [{0}], [{1}], [50e6, 100e6]) == pytest.approx(2, rel=0.005)
    assert rebuild_bound_s([100 * MB], [{0}], [{1}], [200e6, 50e6]) == pytest.approx(4, rel=0.005)
    # Three equal disks share (1 + 2) x 300 MB, wherever the survivors lie.
    sizes, survivors = [100 * MB] * 3, [{0}, {1}, {2}]
    targets = [{1, 2}, {0, 2}, {0, 1}]
    assert rebuild_bound_s(sizes, survivors, targets, [100e6] * 3) == pytest.approx(3, rel=0.005)
    places = np.full((3, 3), 100e6)
    assert rebuild_bound_s(sizes, survivors, targets, places) == pytest.approx(3, rel=0.005)
    # Where copies come to lie the disks may be slower.
    inner = rebuild_bound_s(sizes, survivors, targets, places, [50e6] * 3)
    assert inner == pytest.approx(5, rel=0.005)


def test_nothing_to_do_takes_no_time():
    assert export_bound_s([], [], [1.0, 1.0]) == 0
    assert makespan_bound_s(np.empty((0, 2)), [1.0, 3.0]) == pytest.approx(3)
