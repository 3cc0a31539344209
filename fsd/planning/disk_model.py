"""The cost model of a disk: it owns how long a seek takes, and knows no plan.

Apart from `plan`, so that the engine can name disks without importing numpy.
"""

from dataclasses import dataclass

# E[sqrt(distance / span)] for two independent uniform positions.
_AVERAGE_ROOT_DISTANCE = 8 / 15
INNER_RATE_SHARE = 0.5
"""Of the outer edge's rate: the inner tracks of most disks have about half the length."""

HEAD_SEEK_S_MIN = 0.001
"""Of the average seek: heads take several times as long, SSDs a tenth."""


@dataclass(frozen=True, slots=True)
class DiskModel:
    """A disk as its calibration knows it: seek = min + (max - min) * sqrt(distance / span)."""

    bandwidth_bytes_per_s: float
    seek_min_s: float
    seek_max_s: float
    span_bytes: int

    def average_seek_s(self) -> float:
        """Seek between unrelated positions, such as two shards."""
        return self.seek_min_s + (self.seek_max_s - self.seek_min_s) * _AVERAGE_ROOT_DISTANCE

    def root_seek_s(self) -> float:
        """Seconds per square root of a byte of distance."""
        return (self.seek_max_s - self.seek_min_s) / self.span_bytes**0.5

    def hole_bytes_max(self) -> int:
        """Largest hole that is cheaper to read through than to jump over.

        Reading is linear and seeking concave in the hole's size, so they cross once: this
        solves size / bandwidth = seek_min + root_seek * sqrt(size).
        """
        bandwidth, slope = self.bandwidth_bytes_per_s, self.root_seek_s()
        root = bandwidth / 2 * (slope + (slope**2 + 4 * self.seek_min_s / bandwidth) ** 0.5)
        return int(root**2)

    def slowdown(self, used_share: float) -> float:
        """Return how many times the seconds of a byte at the outer edge takes what is written now.

        Filesystems fill a disk from its outer edge, and its rate falls about linearly from there to
        INNER_RATE_SHARE at the inner one. What has no head is as fast everywhere.
        """
        return 1 / (1 - self._lost_share(used_share))

    def slower_where_free(self, used_share: float) -> float:
        """Return the same of a byte stored before: what was measured is the mean over these."""
        return self.slowdown(used_share) * (1 - self._lost_share(used_share) / 2)

    def _lost_share(self, used_share: float) -> float:
        lost_share = 1 - INNER_RATE_SHARE if self.average_seek_s() >= HEAD_SEEK_S_MIN else 0.0
        return lost_share * min(max(used_share, 0.0), 1.0)


# Until a disk is measured it is planned as one like this; the dispatcher evens out the rest.
DEFAULT_MODEL = DiskModel(150e6, 0.004, 0.014, 4 << 40)
