"""The read planner: which disk reads which bytes, in which order, and how long it will take.

Owns the cutting of wanted records into segments and their price on every disk; `assignment`
chooses the disks. Pure: arrays in, a plan out.

    wanted items --sort by (shard, offset)--> order --cut--> segments --assign--> disks --> ETA

Cost of a segment on a disk = approach + bytes read / bandwidth + a seek by distance for every
hole that costs less to jump over than to read.
Measured by tests/fsd/planning/test_plan.py, test_plan_figures.py and bench/planner/command.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fsd.planning.assignment import Float64s, Int64s, assign
from fsd.planning.disk_model import DiskModel

SEGMENT_BYTES_MAX = 64 * 1024**2
SEGMENT_BYTES_MIN = 4 * 1024**2  # below this a seek costs more than a fifth of the segment
SEGMENTS_PER_DISK_MIN = 8  # what a small job is cut into, so that it still spreads evenly

Int32s = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes [start, end) of a shard, holding the items plan.order[first:last].

    `runs` contiguous reads on `disk`: holes of at most its `hole_bytes_max()` are read through.
    `cost_s` is predicted for its place in the disk's issue order, the approach included.
    """

    shard: int
    disk: int
    start: int
    end: int
    first: int
    last: int
    cost_s: float
    runs: int


@dataclass(frozen=True, slots=True)
class SegmentWork:
    """What every segment asks of every disk, replica or not: (segments, disks) matrices.

    Bytes read (holes included), jumps over holes, and the sum of sqrt(hole bytes) jumped over.
    """

    read_bytes: Int64s
    jumps: Int64s
    root_bytes: Float64s

    def costs_s(self, disks: Sequence[DiskModel]) -> Float64s:
        """Seconds per (segment, disk), without the approach to the segment's first byte."""
        bandwidth = np.array([disk.bandwidth_bytes_per_s for disk in disks])
        seek_min = np.array([disk.seek_min_s for disk in disks])
        root_seek = np.array([disk.root_seek_s() for disk in disks])
        return self.read_bytes / bandwidth + self.jumps * seek_min + self.root_bytes * root_seek


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A complete plan; segments are sorted by (shard, start) and an index into them is their id.

    `order`: readable items sorted by (shard, offset). `unreadable`: items of shards without any
    replica, ascending. `disk_seconds`: predicted per disk; `seconds` is their maximum, the ETA.
    `read_bytes` counts holes read through, `wanted_bytes` the readable items alone; `seeks` the
    head movements of all disks.
    """

    order: Int64s
    unreadable: Int64s
    segments: list[Segment]
    disk_seconds: list[float]
    seconds: float
    read_bytes: int
    wanted_bytes: int
    seeks: int
    work: SegmentWork


def plan_reads(
    shard: Int32s,
    offset: Int64s,
    length: Int64s,
    replicas: Sequence[Sequence[int]],
    disks: Sequence[DiskModel],
) -> ReadPlan:
    """Plan the reading of N wanted items, given in any order.

    `shard`, `offset`, `length` are (N,): index into `replicas`, first byte of the record in the
    shard, bytes of the record. `replicas[shard]` lists the indices into `disks` that hold a
    verified online replica; items without one come back in `unreadable`. Records of a shard do
    not overlap; the same one may be wanted twice. Raises ValueError for inconsistent arrays.
    """
    _check_items(shard, offset, length, replicas, len(disks))
    order, unreadable = _sort_items(shard, offset, replicas)
    shards, starts, ends = shard[order], offset[order], length[order]
    # For ten million items these are 200 MB, unless the caller keeps them.
    del shard, offset, length
    wanted_bytes = int(ends.sum())
    ends += starts
    bounds = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]
    for low, high in pairwise(bounds):
        # Sorted already, unless the caller broke the rule on overlaps: then no record is lost.
        np.maximum.accumulate(ends[low:high], out=ends[low:high])
    fair_bytes = wanted_bytes // max(len(disks) * SEGMENTS_PER_DISK_MIN, 1)
    limit_bytes = min(max(fair_bytes, SEGMENT_BYTES_MIN), SEGMENT_BYTES_MAX)
    cuts = _cut(bounds, starts, ends, limit_bytes)
    segments = [
        Segment(int(shards[low]), -1, int(starts[low]), int(ends[high - 1]), low, high, 0.0, 0)
        for low, high in pairwise(cuts.tolist())
    ]
    work = _measure(cuts, starts, ends, disks)
    priced, disk_seconds, read_bytes, seeks = _allot(segments, work, replicas, disks)
    seconds = max(disk_seconds, default=0.0)
    return ReadPlan(
        order, unreadable, priced, disk_seconds, seconds, read_bytes, wanted_bytes, seeks, work
    )


def _check_items(
    shard: Int32s, offset: Int64s, length: Int64s, replicas: Sequence[Sequence[int]], disks: int
) -> None:
    if not shard.shape == offset.shape == length.shape == (len(shard),):
        raise ValueError("shard, offset and length must be one-dimensional and equally long")
    if any(not 0 <= disk < disks for holders in replicas for disk in holders):
        raise ValueError(f"replicas must be disk indices in [0, {disks})")
    if len(shard) and not 0 <= int(shard.min()) <= int(shard.max()) < len(replicas):
        raise ValueError(f"shard indices must lie in [0, {len(replicas)})")
    if len(shard) and (int(offset.min()) < 0 or int(length.min()) < 1):
        raise ValueError("offsets must not be negative and records not be empty")


def _sort_items(
    shard: Int32s, offset: Int64s, replicas: Sequence[Sequence[int]]
) -> tuple[Int64s, Int64s]:
    """(order, unreadable), both item indices."""
    order = np.lexsort((offset, shard)).astype(np.int64, copy=False)
    has_replica = np.array([len(holders) > 0 for holders in replicas], dtype=np.bool_)
    is_readable = has_replica[shard]
    if is_readable.all():
        return order, np.empty(0, dtype=np.int64)
    return order[is_readable[order]], np.flatnonzero(~is_readable).astype(np.int64, copy=False)


def _cut(bounds: Sequence[int], starts: Int64s, ends: Int64s, limit_bytes: int) -> Int64s:
    """Item positions where segments begin, and the end of the last: (segments + 1).

    Greedy per shard: records while they span at most `limit_bytes`, one (or its twins) at least.
    """
    cuts: list[int] = []
    for low, high in pairwise(bounds):
        while low < high:
            cuts.append(low)
            reach = max(starts[low] + limit_bytes, ends[low])
            low += int(ends[low:high].searchsorted(reach, side="right"))
    return np.array([*cuts, bounds[-1]], dtype=np.int64)


def _measure(cuts: Int64s, starts: Int64s, ends: Int64s, disks: Sequence[DiskModel]) -> SegmentWork:
    """The work of every segment on every disk, from the holes between its items.

    Only holes that some disk would jump over are kept: a few per cent of the items.
    """
    first, count = cuts[:-1], len(cuts) - 1
    spans = ends[cuts[1:] - 1] - starts[first] if count else np.empty(0, dtype=np.int64)
    holes = starts[1:] - ends[:-1]
    holes[first[1:] - 1] = 0  # not inside a segment
    limits = [disk.hole_bytes_max() for disk in disks]
    at = np.flatnonzero(holes > min(limits, default=0))
    holes, segment = holes[at], np.searchsorted(cuts, at, side="right") - 1
    shape = (count, len(disks))
    work = SegmentWork(np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape))
    for disk, limit in enumerate(limits):
        where, sizes = segment[holes > limit], holes[holes > limit]
        skipped = np.bincount(where, weights=sizes, minlength=count)  # exact below 2**53
        work.read_bytes[:, disk] = spans - skipped.astype(np.int64)
        work.jumps[:, disk] = np.bincount(where, minlength=count)
        work.root_bytes[:, disk] = np.bincount(where, weights=np.sqrt(sizes), minlength=count)
    return work


def _allot(
    segments: list[Segment],
    work: SegmentWork,
    replicas: Sequence[Sequence[int]],
    disks: Sequence[DiskModel],
) -> tuple[list[Segment], list[float], int, int]:
    """The segments assigned and priced, seconds per disk, bytes read and seeks of all."""
    work_s = work.costs_s(disks)
    approach_s = np.array([disk.average_seek_s() for disk in disks], dtype=np.float64)
    allowed = np.zeros(work_s.shape, dtype=np.bool_)
    for row, segment in enumerate(segments):
        allowed[row, list(replicas[segment.shard])] = True
    # Whether the previous segment lies on the same disk is not known yet: charge a full approach.
    choice = assign(np.where(allowed, work_s + approach_s, np.inf), [0.0] * len(disks))

    rows = np.arange(len(segments))
    read_bytes, seeks = work.read_bytes[rows, choice], work.jumps[rows, choice]
    runs, costs = seeks + 1, work_s[rows, choice]
    for disk, model in enumerate(disks):
        queue = np.flatnonzero(choice == disk)
        approaches_s, through_bytes, moved = _approaches([segments[row] for row in queue], model)
        costs[queue] += approaches_s
        read_bytes[queue] += through_bytes
        seeks[queue] += moved
    priced = [
        replace(segment, disk=disk, cost_s=cost_s, runs=run_count)
        for segment, disk, cost_s, run_count in zip(
            segments, choice.tolist(), costs.tolist(), runs.tolist(), strict=True
        )
    ]
    seconds = np.bincount(choice, weights=costs, minlength=len(disks))
    return priced, seconds.tolist(), int(read_bytes.sum()), int(seeks.sum())


def _approaches(queue: Sequence[Segment], disk: DiskModel) -> tuple[Float64s, Int64s, Int64s]:
    """Per segment of a disk's queue: seconds to reach it, hole bytes read on the way, seeks (0, 1).

    After a segment of the same shard the hole between them is read through or jumped over;
    after another shard it is an average seek.
    """
    fields = [(segment.shard, segment.start, segment.end) for segment in queue]
    shards, starts, ends = np.array(fields, dtype=np.int64).reshape(-1, 3).T
    holes = np.zeros(len(queue), dtype=np.int64)
    holes[1:] = np.maximum(starts[1:] - ends[:-1], 0)
    follows = np.zeros(len(queue), dtype=np.bool_)
    follows[1:] = shards[1:] == shards[:-1]
    through = follows & (holes <= disk.hole_bytes_max())
    jump_s = disk.seek_min_s + disk.root_seek_s() * np.sqrt(holes)
    seek_s = np.where(follows, jump_s, disk.average_seek_s())
    approaches_s = np.where(through, holes / disk.bandwidth_bytes_per_s, seek_s)
    return approaches_s, np.where(through, holes, 0), (~through).astype(np.int64)
