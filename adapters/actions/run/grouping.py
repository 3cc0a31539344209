"""Groups of near hashes: it owns the exact search of pairs by Hamming distance. Pure, in numpy.

Hashes of 64 bits are cut into distance_max + 1 bands: two that differ in at most distance_max bits
are equal in one band at least (Norouzi, Punjani, Fleet: Multi-Index Hashing, 2012). So all hashes
are sorted by each band in turn, and compared within runs of an equal band; a long run, as pictures
with plain backgrounds give, is cut again by its other bits. Groups are connected components: a
chain of near pairs is one group.

A million random hashes at distance 4 are 0.3 billion comparisons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from adapters.records.errors import LimitError

Hashes = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]

BITS = 64
RUN_LENGTH_MAX = 2_048
"""Longer runs are cut again by their other bits, where any are left."""
PAIRS_KEPT_MAX = 2_000_000
COMPARISONS_MAX = 200_000_000_000
"""About half an hour; a distance so large that everything is near everything needs more."""


def near_groups(hashes: Hashes, distance_max: int) -> Int64s:
    """Return for each hash the number of its group: the least position of a member.

    Raises LimitError when the distance is too large for so many hashes.
    """
    distinct, inverse = np.unique(hashes, return_inverse=True)
    search = _Search(distinct, distance_max)
    if distance_max > 0 and len(distinct):
        search.within(np.arange(len(distinct), dtype=np.int64), list(range(BITS)))
        search.join()
    # The least position of each group among the hashes as they were given.
    first = np.full(len(distinct), len(hashes), np.int64)
    groups = search.labels[inverse]
    np.minimum.at(first, groups, np.arange(len(hashes), dtype=np.int64))
    return first[groups]


class _Search:
    """The search among distinct hashes.

    `labels` has the least of the group of each, as far as pairs were joined: members that are in
    one group already need no comparison, which is what keeps dense clusters quick.
    """

    def __init__(self, hashes: Hashes, distance_max: int) -> None:
        self.hashes, self.distance_max = hashes, distance_max
        self.labels = np.arange(len(hashes), dtype=np.int64)
        self.comparisons = 0
        self._found: list[tuple[Int64s, Int64s]] = []
        self._found_count = 0

    def within(self, members: Int64s, bits: list[int]) -> None:
        """Find the near pairs among members that are equal in all other bits."""
        if len(bits) <= self.distance_max:
            self._keep(members[:-1], members[1:])
            return
        for band in _bands(bits, self.distance_max + 1):
            mask = np.uint64(sum(1 << bit for bit in band))
            keys = self.hashes[members] & mask
            order = np.argsort(keys, kind="stable")
            placed, keys = members[order], keys[order]
            starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
            lengths = np.diff(np.r_[starts, len(keys)])
            open_runs = self._open_runs(placed, starts, lengths)
            is_long = open_runs & (lengths > RUN_LENGTH_MAX)
            rest = [bit for bit in bits if bit not in band]
            for run in np.flatnonzero(is_long).tolist():
                self.within(placed[starts[run] : starts[run] + lengths[run]], rest)
            if is_long.any() and len(lengths) == 1:
                # All were equal in this band, so their other bits have said everything.
                return
            is_short = open_runs & ~is_long
            self._compare(placed[np.repeat(is_short, lengths)], lengths[is_short])

    def _open_runs(self, placed: Int64s, starts: Int64s, lengths: Int64s) -> npt.NDArray[np.bool_]:
        """Tell which runs have members of more than one group."""
        self.join()
        labels = self.labels[placed]
        least, greatest = np.minimum.reduceat(labels, starts), np.maximum.reduceat(labels, starts)
        return (lengths > 1) & (least != greatest)

    def _compare(self, placed: Int64s, lengths: Int64s) -> None:
        """Compare all within runs of these lengths: each with the next, the next but one, ..."""
        hashes = self.hashes[placed]
        # How many of its run come after each.
        after = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(placed)) - 1
        at, step = np.arange(len(placed)), 0
        while len(at):
            step += 1
            at = at[after[at] >= step]
            self.comparisons += len(at)
            if self.comparisons > COMPARISONS_MAX:
                raise LimitError(
                    f"more than {COMPARISONS_MAX:,} comparisons of {len(self.hashes):,} hashes at "
                    f"distance {self.distance_max}; take a smaller distance_max or a smaller batch"
                )
            near = np.bitwise_count(hashes[at] ^ hashes[at + step]) <= self.distance_max
            if near.any():
                found = at[near]
                self._keep(placed[found], placed[found + step])

    def _keep(self, left: Int64s, right: Int64s) -> None:
        self._found.append((left, right))
        self._found_count += len(left)
        if self._found_count >= PAIRS_KEPT_MAX:
            self.join()

    def join(self) -> None:
        """Bring the labels up to date with all pairs that were found."""
        if not self._found:
            return
        left = np.concatenate([pair[0] for pair in self._found])
        right = np.concatenate([pair[1] for pair in self._found])
        self._found, self._found_count = [], 0
        labels = self.labels
        while True:
            a, b = labels[left], labels[right]
            apart = a != b
            if not apart.any():
                return
            left, right, a, b = left[apart], right[apart], a[apart], b[apart]
            # The greater root points to the lesser one; then every node to the root of its root.
            np.minimum.at(labels, np.maximum(a, b), np.minimum(a, b))
            while not np.array_equal(jumped := labels[labels], labels):
                labels[:] = jumped


def _bands(bits: list[int], count: int) -> list[set[int]]:
    """Cut bits into so many bands, equally long but for one bit."""
    return [set(bits[number::count]) for number in range(count)]


def parse_hashes(texts: list[str]) -> Hashes:
    """Return hashes out of 16 hexadecimal digits each; ValueError for anything else."""
    data = bytes.fromhex("".join(texts))
    if any(len(text) != BITS // 4 for text in texts):
        raise ValueError("a perceptual hash has 16 hexadecimal digits")
    return np.frombuffer(data, ">u8").astype(np.uint64)
