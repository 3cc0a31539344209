"""Splits: it owns which group goes into which split, and nothing else. Pure, on arrays.

A group is what must never be separated. Groups that hold the same number of files of the same
classes are alike; all groups of a kind are shared out at once, the largest kinds first, each split
getting what it still lacks in proportion to its fraction (the weighted projection of what it lacks
onto the number of groups, rounded by the largest remainder). Which group of a kind goes where is
decided by its lot, which is made of the seed and the bytes of its files: not by ids, which depend
on the order in which things were ingested.

The bound, where every group holds files of one class and no split was fixed before: no split gets
more of a class than its share plus the largest group of that class, and none lacks more than that
for each other split. With single files the counts are exact to within one. Groups of several
classes are shared out by the sum of what is lacking, weighted so that a rare class counts as much
as a common one; what comes of it is reported, not bounded.

A split that would have no file of a class gets one group of it, where the class has a group for
every split; that moves each count by at most one group more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sql import FormerSplits, Groups

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_MASK = (1 << 64) - 1


class SplitPlan(NamedTuple):
    """Every group once, and the place of its split.

    `kept` groups were in a split before; of these `merged` came together out of several, and
    `moved_files` are the files that changed their split by that.
    """

    group: Int64s
    split: Int64s
    kept: int = 0
    merged: int = 0
    moved_files: int = 0


class _Cells(NamedTuple):
    """Files by group and class, ordered by group: groups are places from 0."""

    place: Int64s
    label: Int64s
    files: Int64s
    first: Int64s
    """Where each group begins."""
    lot: UInt64s
    """Of each group, mixed with the seed."""

    def of(self, group: int) -> slice:
        """Return the cells of a group."""
        last = self.first[group + 1] if group + 1 < len(self.first) else len(self.place)
        return slice(int(self.first[group]), int(last))


def plan_splits(
    groups: Groups,
    fractions: Sequence[float],
    *,
    seed: int,
    stratify: bool = True,
    former: FormerSplits | None = None,
) -> SplitPlan:
    """Put every group into one split; the same bytes and seed always give the same plan."""
    ids, cells = _cells(groups, seed, stratify)
    split = np.full(len(ids), -1, np.int64)
    kept = merged = moved = 0
    if former is not None and len(former.group):
        kept, merged, moved = _take_over(split, ids, former)
    if len(fractions) == 1:
        split[:] = 0
        return SplitPlan(ids, split, kept, merged, moved)
    class_count = int(cells.label.max()) + 1 if len(ids) else 0
    have = np.zeros((len(fractions), class_count))
    fixed = split >= 0
    known = fixed[cells.place]
    np.add.at(have, (split[cells.place[known]], cells.label[known]), cells.files[known])
    total = np.bincount(cells.label, cells.files, class_count).astype(np.float64)
    lacking = np.asarray(fractions)[:, None] * total - have
    _share_out(split, cells, lacking, fractions, total)
    _fill_empty(split, cells, fixed, len(fractions), class_count)
    return SplitPlan(ids, split, kept, merged, moved)


def _cells(groups: Groups, seed: int, stratify: bool) -> tuple[Int64s, _Cells]:
    """Order the cells by group; without stratification all files are of one class."""
    order = np.lexsort((groups.label, groups.group))
    group, label, files = groups.group[order], groups.label[order], groups.files[order]
    lot = groups.lot[order]
    ids, first = np.unique(group, return_index=True)
    lots = np.minimum.reduceat(lot, first) if len(ids) else lot
    if not stratify and len(ids):
        files = np.add.reduceat(files, first)
        label = np.zeros(len(ids), np.int64)
        first = np.arange(len(ids))
    lengths = np.diff(np.append(first, len(files)))
    place = np.repeat(np.arange(len(ids)), lengths)
    # -1, no label, becomes a class of its own in front.
    label = label - min(0, int(label.min())) if len(ids) else label
    mixed = _mix(lots.view(np.uint64) ^ _mix(np.uint64(seed & _MASK)))
    return ids, _Cells(place, label, files, first.astype(np.int64), mixed)


def _take_over(split: Int64s, ids: Int64s, former: FormerSplits) -> tuple[int, int, int]:
    """Give groups the split they had; of several the one that is written first."""
    order = np.lexsort((former.split, former.group))
    group, was, files = former.group[order], former.split[order], former.files[order]
    known, first, lengths = np.unique(group, return_index=True, return_counts=True)
    place = np.searchsorted(ids, known)
    split[place] = was[first]
    moved = files[was != np.repeat(was[first], lengths)]
    return len(known), int((lengths > 1).sum()), int(moved.sum())


def _share_out(
    split: Int64s, cells: _Cells, lacking: Floats, fractions: Sequence[float], total: Floats
) -> None:
    # Plain lists: most kinds of several classes have one group, and arrays of three cost more.
    wanting: list[list[float]] = lacking.tolist()
    weight: list[float] = (1 / np.maximum(total, 1.0)).tolist()
    for kind in _kinds(split, cells):
        own = cells.of(int(kind[0]))
        labels: list[int] = cells.label[own].tolist()
        files: list[int] = cells.files[own].tolist()
        weighted = [count * weight[label] for label, count in zip(labels, files, strict=True)]
        norm = sum(map(mul, files, weighted))
        wanted = [
            sum(map(mul, map(lacks.__getitem__, labels), weighted)) / norm for lacks in wanting
        ]
        counts = _rounded(_projected(wanted, fractions, len(kind)), len(kind))
        begin = 0
        for place, count in enumerate(counts):
            if not count:
                continue
            split[kind[begin : begin + count]] = place
            begin += count
            lacks = wanting[place]
            for label, number in zip(labels, files, strict=True):
                lacks[label] -= count * number


def _kinds(split: Int64s, cells: _Cells) -> Iterator[Int64s]:
    """Yield the groups that hold the same, the largest first, each ordered by lot."""
    free = np.flatnonzero(split < 0)
    if not len(free):
        return
    size = np.add.reduceat(cells.files, cells.first)
    with np.errstate(over="ignore"):
        marks = _mix(_mix(cells.label.astype(np.uint64)) ^ cells.files.astype(np.uint64))
        kind = np.add.reduceat(marks, cells.first)
    order = free[np.lexsort((cells.lot[free], kind[free], -size[free]))]
    borders = np.flatnonzero(np.diff(kind[order])) + 1
    begin = 0
    for end in borders:
        yield order[begin:end]
        begin = int(end)
    yield order[begin:]


def _projected(wanted: list[float], fractions: Sequence[float], count: int) -> list[float]:
    """Return shares that add up to `count` and are as near to what is wanted as they can be.

    A split gives up in proportion to its fraction, and none gets less than nothing.
    """
    pairs = sorted(zip(wanted, fractions, strict=True), key=_ratio, reverse=True)
    sums = weights = level = 0.0
    for want, fraction in pairs:
        sums, weights = sums + want, weights + fraction
        # The largest set of splits that all keep something at its level.
        if want / fraction < (sums - count) / weights:
            break
        level = (sums - count) / weights
    return [max(0.0, want - level * part) for want, part in zip(wanted, fractions, strict=True)]


def _ratio(pair: tuple[float, float]) -> float:
    return pair[0] / pair[1]


def _rounded(shares: list[float], count: int) -> list[int]:
    whole = [int(share + 1e-9) for share in shares]
    rest = count - sum(whole)
    if rest > 0:
        remainders = [share - floor for share, floor in zip(shares, whole, strict=True)]
        by_remainder = sorted(range(len(shares)), key=remainders.__getitem__, reverse=True)
        for place in by_remainder[:rest]:
            whole[place] += 1
    return whole


def _fill_empty(
    split: Int64s, cells: _Cells, fixed: npt.NDArray[np.bool_], splits: int, classes: int
) -> None:
    """Give a split that has no file of a class one group of it, if the class has enough groups."""
    have = np.zeros((splits, classes), np.int64)
    np.add.at(have, (split[cells.place], cells.label), 1)
    for label in np.flatnonzero((have == 0).any(axis=0) & (have.sum(axis=0) >= splits)):
        holding = cells.place[cells.label == label]
        for empty in np.flatnonzero(have[:, label] == 0):
            _move_one(int(empty), int(label), holding, split, cells, fixed, have)


def _move_one(
    target: int,
    label: int,
    holding: Int64s,
    split: Int64s,
    cells: _Cells,
    fixed: npt.NDArray[np.bool_],
    have: Int64s,
) -> None:
    """Move the least group that no split loses its last file of a class with."""
    free = holding[~fixed[holding] & (have[split[holding], label] > 1)]
    size = np.array([cells.files[cells.of(int(group))].sum() for group in free])
    for group in free[np.lexsort((cells.lot[free], size, -have[split[free], label]))]:
        labels, source = cells.label[cells.of(int(group))], split[group]
        if (have[source, labels] > 1).all():
            have[source, labels] -= 1
            have[target, labels] += 1
            split[group] = target
            return


def _mix(value: UInt64s | np.uint64) -> UInt64s:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit changes half of the bits."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(value, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
