"""Measure the read planner at scale: seeded instance in, one line of JSON out.

    python -m bench.planner [wanted objects] [--objects N --share S --folder DIR]

Owns the instance (mixed sizes, 256 MiB shards, 4 unequal disks, 2 copies, a random half wanted)
and a bound that is computed from the disks' model, not by the planner: the LP in which every
segment may be split over its replicas and is reached without any seek from another shard.
With `--objects`, the whole process that plans a random share of so many, instead: see
`bench.planner.compiler`.
"""

import argparse
import json
import resource
import tempfile
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.bounds import makespan_bound_s
from bench.planner import compiler
from fsd.planning.plan import DiskModel, Int64s, ReadPlan, plan_reads

OBJECTS_DEFAULT = 10_000_000
SHARD_BYTES = 256 * 1024**2
RECORD_OVERHEAD_BYTES = 88
DISKS = tuple(
    DiskModel(bandwidth, 0.002, 0.016, terabytes * 10**12)
    for bandwidth, terabytes in ((75e6, 2), (95e6, 4), (110e6, 8), (120e6, 12))
)


@dataclass(frozen=True, slots=True)
class Instance:
    """Wanted records (N,) in random order, and the replicas of every shard."""

    shard: npt.NDArray[np.int32]
    offset: Int64s
    length: Int64s
    replicas: list[list[int]]


def mixed_sizes(rng: np.random.Generator, count: int) -> Int64s:
    """Record bytes (count,): 95 % log-normal of median 24 KB, 4 % 0.3-3 MB, 1 % 8-32 MB."""
    sizes = rng.lognormal(np.log(24e3), 0.95, count)
    kind = rng.random(count)
    middle, large = (kind >= 0.95) & (kind < 0.99), kind >= 0.99
    sizes[middle] = np.exp(rng.uniform(np.log(0.3e6), np.log(3e6), int(middle.sum())))
    sizes[large] = np.exp(rng.uniform(np.log(8e6), np.log(32e6), int(large.sum())))
    return np.maximum(sizes, 1).astype(np.int64) + RECORD_OVERHEAD_BYTES


def build_instance(seed: int, wanted_count: int) -> Instance:
    """Twice as many objects are stored as are wanted; each is wanted with probability 1/2."""
    rng = np.random.default_rng(seed)
    length = mixed_sizes(rng, 2 * wanted_count)
    position = np.cumsum(length) - length
    shard = (position // SHARD_BYTES).astype(np.int32)
    base = np.full(int(shard[-1]) + 1, np.iinfo(np.int64).max)
    np.minimum.at(base, shard, position)
    offset = position - base[shard]
    span = np.array([disk.span_bytes for disk in DISKS], dtype=np.float64)
    # Exponential races draw without replacement, larger disks more often.
    races = rng.exponential(1.0, (len(base), len(DISKS))) / span
    replicas: list[list[int]] = np.argsort(races, axis=1)[:, :2].tolist()
    wanted = rng.permutation(2 * wanted_count)[:wanted_count]
    return Instance(shard[wanted], offset[wanted], length[wanted], replicas)


def bound_s(plan: ReadPlan, replicas: list[list[int]]) -> float:
    """A lower bound on the makespan: see `bounds`.

    The approach to a segment is left out, so that no order of the queues can beat the bound.
    """
    costs = np.full((len(plan.segments), len(DISKS)), np.inf)
    work_s = plan.work.costs_s(DISKS)
    for row, segment in enumerate(plan.segments):
        holders = replicas[segment.shard]
        costs[row, holders] = work_s[row, holders]
    return makespan_bound_s(costs)


def peak_rss_bytes() -> int:
    """The largest resident size of this process so far (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the figures of the planner, or of the process it works in."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.planner", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("wanted", type=int, nargs="?", default=OBJECTS_DEFAULT)
    parser.add_argument("--objects", type=int, help="measure the whole process, on such an index")
    parser.add_argument("--share", type=float, default=0.5, help="how much of it is wanted")
    parser.add_argument("--folder", default="/var/tmp", help="for the simulated index")
    given = parser.parse_args()
    if given.objects is None:
        print(json.dumps(measure_planner(given.wanted)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        print(json.dumps(compiler.measure(folder, given.objects, given.share, DISKS)))


def measure_planner(wanted_count: int) -> dict[str, object]:
    """Plan one instance; the peak includes building it, which is given apart."""
    instance = build_instance(1, wanted_count)
    built_rss_bytes = peak_rss_bytes()
    began = time.perf_counter()
    plan = plan_reads(instance.shard, instance.offset, instance.length, instance.replicas, DISKS)
    seconds = time.perf_counter() - began
    planned_rss_bytes = peak_rss_bytes()
    bound = bound_s(plan, instance.replicas)
    return {
        "wanted_objects": wanted_count,
        "seconds": round(seconds, 3),
        "peak_rss_bytes": planned_rss_bytes,
        "peak_rss_before_planning_bytes": built_rss_bytes,
        "makespan_s": round(plan.seconds, 1),
        "makespan_over_lp_bound": round(plan.seconds / bound, 4),
        "disk_seconds": [round(value, 1) for value in plan.disk_seconds],
        "shards": len(instance.replicas),
        "segments": len(plan.segments),
        "seeks": plan.seeks,
        "wanted_bytes": plan.wanted_bytes,
        "read_bytes": plan.read_bytes,
    }
