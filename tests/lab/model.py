"""What an emulated disk promises: its model, and what requests cost by it. No disk is touched here.

The head pays `seek_min + (seek_max - seek_min) * sqrt(distance / size)` and half a turn, or lets a
small gap ahead pass below it where that is cheaper. Transfer is at the rate of the place, which
falls linearly from the outer to the inner edge. The drive serves one request at a time; it chooses
the nearest of the first `queue_depth` waiting ones. A write costs what it costs to write it
through: the volatile cache decides what survives a power cut, never how long something takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

MIB = 1 << 20
# Mean of sqrt(distance) over random pairs of places: integral of 2 (1 - d) sqrt(d).
MEAN_ROOT_DISTANCE = 8 / 15


@dataclass(frozen=True, slots=True)
class HddModel:
    """A second-hand HDD. The defaults seek in 8.5 ms (average, without rotation).

    `cache_bytes` is the volatile write cache; 0 makes every write durable when it is answered.
    """

    size_bytes: int
    rate_outer_bytes_per_s: float = 160e6
    rate_inner_bytes_per_s: float = 80e6
    seek_min_s: float = 0.001
    seek_max_s: float = 0.015
    rpm: float = 7200
    cache_bytes: int = 64 * MIB
    queue_depth: int = 32
    sector_bytes: int = 512

    @property
    def half_turn_s(self) -> float:
        """Return the average rotational latency."""
        return 60 / self.rpm / 2

    @property
    def mean_positioning_s(self) -> float:
        """Return seek plus rotation between random places."""
        span = self.seek_max_s - self.seek_min_s
        return self.seek_min_s + span * MEAN_ROOT_DISTANCE + self.half_turn_s

    def slowed(self, factor: float) -> HddModel:
        """Return the disk for which everything takes `factor` times as long, seeks and transfers.

        What software does with it takes `factor` times as long too, as far as the disks are the
        limit: so ratios stay, and the machine below the lab has more time.
        """
        return replace(
            self,
            rate_outer_bytes_per_s=self.rate_outer_bytes_per_s / factor,
            rate_inner_bytes_per_s=self.rate_inner_bytes_per_s / factor,
            seek_min_s=self.seek_min_s * factor,
            seek_max_s=self.seek_max_s * factor,
            rpm=self.rpm / factor,
        )

    def rate_at(self, offset: float) -> float:
        """Return the transfer rate at a place, in bytes per second."""
        span = self.rate_inner_bytes_per_s - self.rate_outer_bytes_per_s
        return self.rate_outer_bytes_per_s + span * offset / self.size_bytes

    def positioning_s(self, head: int, offset: int) -> tuple[float, bool]:
        """Return (seconds, whether it was a seek) to bring the head from a place to another."""
        if head == offset:
            return 0.0, False
        span = self.seek_max_s - self.seek_min_s
        seek_s = self.seek_min_s + span * math.sqrt(abs(offset - head) / self.size_bytes)
        seek_s += self.half_turn_s
        gap_s = (offset - head) / self.rate_at(offset)
        return (seek_s, True) if gap_s < 0 or seek_s < gap_s else (gap_s, False)

    def cost(self, requests: Iterable[tuple[int, int]], head: int = 0) -> tuple[float, int]:
        """Return (seconds, seeks) of (offset, length) requests served in this order."""
        total_s, seeks = 0.0, 0
        for offset, length in requests:
            positioning_s, seek = self.positioning_s(head, offset)
            total_s += positioning_s + length / self.rate_at(offset + length // 2)
            seeks += seek
            head = offset + length
        return total_s, seeks

    def sequential_s(self, offset: int, length: int) -> float:
        """Return the time to transfer a whole range without positioning (the exact integral)."""
        begin, end = self.rate_at(offset), self.rate_at(offset + length)
        if math.isclose(begin, end):
            return length / begin
        slope = (end - begin) / length
        return math.log(end / begin) / slope
