"""The read planner: which disk reads which bytes, in which order, and how long it will take.

Owns the cutting of wanted records into segments and the choice of a
replica for each segment so that all disks finish together. Pure: arrays in, a plan out.

    wanted items --sort by (shard, offset)--> order --cut--> segments --assign--> disks --> ETA

Cost of a segment on a disk = approach + bytes read / bandwidth + a seek by distance for every
hole that costs less to jump over than to read. Assignment is scheduling on unrelated machines
with restricted choice: longest processing time first, then single moves off the busiest disk,
then moves along a path of two (which include swaps) where no single move helps.
Measured by tests/fsd/test_plan.py and bench/planner.py against the LP bound.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fsd.disk_model import DiskModel
from fsd.errors import NoReplicaError

SEGMENT_BYTES_MAX = 64 * 1024**2
SEGMENT_BYTES_MIN = 4 * 1024**2  # below this a seek costs more than a fifth of the segment
SEGMENTS_PER_DISK_MIN = 8  # what a small job is cut into, so that it still spreads evenly
MOVES_MAX = 4_000  # improving moves per plan
PATH_CANDIDATES_MAX = 192  # segments tried per leg of a path: 192**2 pairs take about 1 ms
GAIN_MIN = 1e-6  # a move must shorten the busiest disk by this fraction

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


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
    head movements of all disks. After `replan` all of these but `wanted_bytes` speak of what was
    planned anew, `disk_seconds` on top of the queues that were given.
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
    blank = ReadPlan(order, unreadable, segments, [], 0.0, 0, wanted_bytes, 0, work)
    return _allot(blank, range(len(segments)), replicas, disks, [0.0] * len(disks))


def replan(
    plan: ReadPlan,
    segment_ids: Collection[int],
    replicas: Sequence[Sequence[int]],
    disks: Sequence[DiskModel],
    busy_s: Sequence[float],
) -> ReadPlan:
    """Assign the unfinished `segment_ids` anew after a disk died or is late.

    `replicas` as they are now (without the dead disk); `disks` in the order of the plan, perhaps
    with new calibrations; `busy_s` (disks,) the seconds of work still queued on each disk apart
    from these segments, 0 for a dead one. Ids, ranges and the other segments stay as they are;
    `seconds` and `disk_seconds` become what remains from now on.
    Raises NoReplicaError listing the shards (indices) that no disk holds any more.
    """
    if not len(disks) == len(busy_s) == plan.work.read_bytes.shape[1]:
        raise ValueError("disks and busy_s must have the length and order the plan was made with")
    lost = {plan.segments[i].shard for i in segment_ids if not replicas[plan.segments[i].shard]}
    if lost:
        names = [str(shard) for shard in sorted(lost)]
        raise NoReplicaError(f"no replica is left of {len(names)} planned shards", names)
    return _allot(plan, sorted(set(segment_ids)), replicas, disks, busy_s)


def segments_by_disk(plan: ReadPlan, segment_ids: Iterable[int] | None = None) -> list[list[int]]:
    """Segment ids per disk in issue order: by shard and offset, so that the head sweeps.

    All segments, or only `segment_ids` (those of a `replan`).
    """
    queues: list[list[int]] = [[] for _ in plan.disk_seconds]
    for index in range(len(plan.segments)) if segment_ids is None else sorted(set(segment_ids)):
        queues[plan.segments[index].disk].append(index)
    return queues


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
    plan: ReadPlan,
    segment_ids: Sequence[int],
    replicas: Sequence[Sequence[int]],
    disks: Sequence[DiskModel],
    busy_s: Sequence[float],
) -> ReadPlan:
    """The plan with `segment_ids` (ascending) assigned on top of `busy_s` and priced."""
    ids = np.array(segment_ids, dtype=np.int64)
    chosen = [plan.segments[index] for index in segment_ids]
    work_s = plan.work.costs_s(disks)[ids]
    approach_s = np.array([disk.average_seek_s() for disk in disks], dtype=np.float64)
    allowed = np.zeros(work_s.shape, dtype=np.bool_)
    for row, segment in enumerate(chosen):
        allowed[row, list(replicas[segment.shard])] = True
    # Whether the previous segment lies on the same disk is not known yet: charge a full approach.
    choice = _assign(np.where(allowed, work_s + approach_s, np.inf), busy_s)

    rows = np.arange(len(ids))
    read_bytes, seeks = plan.work.read_bytes[ids, choice], plan.work.jumps[ids, choice]
    runs, costs = seeks + 1, work_s[rows, choice]
    for disk, model in enumerate(disks):
        queue = np.flatnonzero(choice == disk)
        approaches_s, through_bytes, moved = _approaches([chosen[row] for row in queue], model)
        costs[queue] += approaches_s
        read_bytes[queue] += through_bytes
        seeks[queue] += moved
    segments = list(plan.segments)
    for row, index in enumerate(segment_ids):
        disk, cost_s, run_count = int(choice[row]), float(costs[row]), int(runs[row])
        segments[index] = replace(segments[index], disk=disk, cost_s=cost_s, runs=run_count)
    seconds = np.bincount(choice, weights=costs, minlength=len(disks)) + np.array(busy_s)
    return replace(
        plan,
        segments=segments,
        disk_seconds=seconds.tolist(),
        seconds=float(seconds.max(initial=0.0)),
        read_bytes=int(read_bytes.sum()),
        seeks=int(seeks.sum()),
    )


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


# Assignment: rows are segments, columns disks, costs seconds (infinite where no replica lies).


def _assign(costs: Float64s, busy_s: Sequence[float]) -> Int64s:
    """The disk of each segment (segments,), such that all disks finish about together."""
    loads = np.array(busy_s, dtype=np.float64)
    if not len(costs):
        return np.empty(0, dtype=np.int64)
    choice = _longest_first(costs, loads)
    for _ in range(MOVES_MAX):
        has_segments = np.bincount(choice, minlength=len(loads)) > 0
        busiest = int(np.where(has_segments, loads, -np.inf).argmax())
        goal = loads[busiest] * (1 - GAIN_MIN)
        peak, moves = _single_move(costs, choice, loads, busiest)
        if peak >= goal:
            peak, moves = _path_moves(costs, choice, loads, busiest)
        if peak >= goal:
            break
        for segment, disk in moves:
            loads[choice[segment]] -= costs[segment, choice[segment]]
            loads[disk] += costs[segment, disk]
            choice[segment] = disk
    return choice


def _longest_first(costs: Float64s, loads: Float64s) -> Int64s:
    """Each segment onto the disk that then ends first; adds to `loads`.

    Segments without a choice come first, as the others must work around them; then by falling cost.
    """
    choice = np.empty(len(costs), dtype=np.int64)
    has_choice = np.isfinite(costs).sum(axis=1) > 1
    for segment in np.lexsort((-costs.min(axis=1), has_choice)):
        finishes = loads + costs[segment]
        choice[segment] = disk = finishes.argmin()
        loads[disk] = finishes[disk]
    return choice


_Moves = tuple[float, list[tuple[int, int]]]


def _single_move(costs: Float64s, choice: Int64s, loads: Float64s, busiest: int) -> _Moves:
    """(higher load of the two disks afterwards, [(segment, disk)]) of the best move."""
    mine = np.flatnonzero(choice == busiest)
    after = loads + costs[mine]
    after[:, busiest] = np.inf
    peaks = np.maximum(after, (loads[busiest] - costs[mine, busiest])[:, None])
    row, disk = divmod(int(peaks.argmin()), len(loads))
    return float(peaks[row, disk]), [(int(mine[row]), disk)]


def _path_moves(costs: Float64s, choice: Int64s, loads: Float64s, busiest: int) -> _Moves:
    """The best pair of moves busiest -> via -> target, over a sample of the segments.

    The target may be the busiest disk again, which is a swap.
    """
    best: _Moves = (np.inf, [])
    for via in np.flatnonzero(np.arange(len(loads)) != busiest).tolist():
        out = np.flatnonzero((choice == busiest) & np.isfinite(costs[:, via]))
        out = _sample(out, costs, busiest)
        onward = _sample(np.flatnonzero(choice == via), costs, via)
        if not len(out) or not len(onward):
            continue
        left = loads[busiest] - costs[out, busiest]
        middle = loads[via] + costs[out, via][:, None] - costs[onward, via]
        for target in range(len(loads)):
            back = left[:, None] if target == busiest else loads[target]
            peaks = np.maximum(np.maximum(middle, left[:, None]), back + costs[onward, target])
            row, column = divmod(int(peaks.argmin()), len(onward))
            if target != via and peaks[row, column] < best[0]:
                moves = [(int(out[row]), via), (int(onward[column]), target)]
                best = (float(peaks[row, column]), moves)
    return best


def _sample(segments: Int64s, costs: Float64s, disk: int) -> Int64s:
    """At most PATH_CANDIDATES_MAX of the segments, evenly over the range of their costs."""
    if len(segments) <= PATH_CANDIDATES_MAX:
        return segments
    by_cost = segments[costs[segments, disk].argsort(kind="stable")]
    return by_cost[np.linspace(0, len(segments) - 1, PATH_CANDIDATES_MAX).astype(np.int64)]
