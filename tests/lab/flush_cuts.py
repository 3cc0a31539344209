"""Every flush of a recorded life, and the images that a power cut just before it leaves.

Between two flushes nothing becomes durable: a cut at any moment between them that loses what was
not flushed leaves the same images. The latest of these moments is the hardest to answer for, since
most was told until then: just before the next flush is done. So one cut for each flush covers all
moments. A flush of a disk that had nothing to flush changes no image and is no boundary.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from .write_log import (
    KIND_FLUSH,
    KIND_WRITE,
    MODES,
    apply_pieces,
    copy_image,
    read_records,
    survivors,
)


@dataclass(frozen=True, slots=True)
class Boundary:
    """The moment just before a flush of the disk at `place` was done; the last one is the end."""

    number: int
    time_ns: int
    place: int | None


def boundaries(logs: Sequence[str], begin_ns: int, end_ns: int) -> list[Boundary]:
    """Return the boundaries of all disks between two moments, in order, and the end itself."""
    found: list[tuple[int, int | None]] = [(end_ns, None)]
    for place, log in enumerate(logs):
        is_waiting = False
        for record in read_records(log):
            if record.kind == KIND_FLUSH and is_waiting and begin_ns < record.time_ns < end_ns:
                found.append((record.time_ns - 1, place))
            is_waiting = record.kind == KIND_WRITE
    found.sort(key=lambda one: one[0])
    return [Boundary(number, *one) for number, one in enumerate(found)]


Fates = tuple[tuple[int, str], ...]


def plan(found: Sequence[Boundary], cuts: int, seed: str, disks: int) -> list[tuple[int, Fates]]:
    """Return the number of a boundary and the fates of un-flushed writes there, for each cut.

    With 0 `cuts` every boundary has two: all is lost, and what the seed says. Otherwise every Nth
    has one, by turns; the seed says which is the first.
    """
    lost = tuple((0, "lost") for _ in range(disks))
    if cuts == 0:
        return [(one.number, fates) for one in found for fates in (lost, _fates(one, seed, disks))]
    step = math.ceil(len(found) / cuts)
    chosen = found[random.Random(seed).randrange(step) :: step]
    return [
        (one.number, _fates(one, seed, disks) if turn % 2 else lost)
        for turn, one in enumerate(chosen)
    ]


def _fates(one: Boundary, seed: str, disks: int) -> Fates:
    chance = random.Random(f"{seed}-{one.number}")
    return tuple((chance.randrange(1 << 30), chance.choice(MODES)) for _ in range(disks))


class GrowingImage:
    """The durable content of one disk, which grows from cut to cut by what is new in its log."""

    def __init__(self, log: str, image: str, size_bytes: int) -> None:
        """Begin with the empty disk that was there when the log began."""
        self._log = log
        self._image = image
        self._records = read_records(log)
        self._times_ns = [record.time_ns for record in self._records]
        self._applied = 0
        with open(image, "wb") as file:
            file.truncate(size_bytes)

    def cut(self, time_ns: int, seed: int, mode: str, target: str) -> str:
        """Make the image that a cut leaves, not before the last one; returns its path."""
        end = bisect_right(self._times_ns, time_ns)
        durable = end
        while durable > self._applied and self._records[durable - 1].kind != KIND_FLUSH:
            durable -= 1
        fresh = self._records[self._applied : durable]
        apply_pieces(self._log, self._image, survivors(fresh, 0, "kept"))
        self._applied = durable
        copy_image(self._image, target)
        pending = self._records[durable:end]
        apply_pieces(self._log, target, survivors(pending, seed, mode))
        return target
