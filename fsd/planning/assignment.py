"""Which disk does which work, so that all end together: it owns the choice, and prices nothing.

Scheduling on unrelated machines with restricted choice, pure: rows are segments, columns disks,
costs seconds, infinite where no replica lies. Longest processing time first, then single moves off
the busiest disk, then moves along a path of two (which include swaps) where no single move helps.
Where segments are few, so that one more or less counts, all choices are tried that can still be
better, as far as they are not too many.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MOVES_MAX = 4_000  # improving moves per plan
PATH_CANDIDATES_MAX = 192  # segments tried per leg of a path: 192**2 pairs take about 1 ms
GAIN_MIN = 1e-6  # a move must shorten the busiest disk by this fraction
SEARCHED_SEGMENTS_MAX = 128  # more of them even each other out
SEARCHED_STATES_MAX = 1_024  # partial choices kept at once: 128 segments take about 25 ms

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


def assign(costs: Float64s, busy_s: Sequence[float]) -> Int64s:
    """Return the disk of each segment (segments,), on top of `busy_s` (disks,) seconds."""
    loads = np.array(busy_s, dtype=np.float64)
    if not len(costs):
        return np.empty(0, dtype=np.int64)
    choice = _longest_first(costs, loads)
    _improve(costs, choice, loads)
    if len(costs) <= SEARCHED_SEGMENTS_MAX:
        return _search(costs, choice, np.array(busy_s, dtype=np.float64), float(loads.max()))
    return choice


def _search(costs: Float64s, choice: Int64s, busy_s: Float64s, peak_s: float) -> Int64s:
    """A better choice, or `choice` (which ends at `peak_s`) when none is found.

    Breadth first over the segments, the longest first. It is the best of all while the partial
    choices that may still be better are no more than SEARCHED_STATES_MAX; of more, those with the
    least load at the peak are kept.
    """
    loads, made = busy_s[None, :], np.empty((1, 0), dtype=np.int64)
    rows = np.argsort(-costs.min(axis=1), kind="stable")
    for row in rows:
        disks = np.flatnonzero(np.isfinite(costs[row]))
        grown = np.repeat(loads, len(disks), axis=0)
        added = np.tile(disks, len(loads))
        grown[np.arange(len(grown)), added] += costs[row, added]
        peaks = grown.max(axis=1)
        kept = np.flatnonzero(peaks < peak_s * (1 - GAIN_MIN))
        kept = kept[peaks[kept].argsort(kind="stable")[:SEARCHED_STATES_MAX]]
        if not len(kept):
            return choice
        loads = grown[kept]
        made = np.column_stack([made[kept // len(disks)], added[kept]])
    best = np.empty_like(choice)
    best[rows] = made[0]
    return best


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


def _improve(costs: Float64s, choice: Int64s, loads: Float64s) -> None:
    """Move segments until no move helps; changes `choice` and `loads`."""
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
