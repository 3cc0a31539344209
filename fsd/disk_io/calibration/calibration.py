"""From timed reads to the model of a disk: it owns the estimate, reads and keeps nothing.

Bandwidth is that of the median window of each stretch, and over the stretches (which lie evenly
over the data) their harmonic mean: what reading all of it takes. The seek curve is a straight line
over the square root of the distance, fitted by least squares to reads of single sectors, so it
holds half a turn besides the seek. Reads that others disturbed are outliers: they are taken out
until none is left. What no disk can be is brought within limits. Pure, and without numpy, which
would cost the engine its memory.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from fsd.format.errors import CalibrationError
from fsd.planning.disk_model import DiskModel

JUMPS_MIN = 12
STRETCHES_MIN = 2
SLOW_SHARE_MIN = 1 / 3
"""A stretch slower than this share of the median one was disturbed: inner tracks read at half."""
OUTLIER_DEVIATIONS = 4.0
OUTLIER_ROUNDS_MAX = 8
NORMAL_DEVIATION = 1.4826
"""Standard deviations per median absolute deviation of normally distributed values."""

BANDWIDTH_LIMITS_BYTES_PER_S = (1e6, 50e9)
SEEK_LIMITS_S = (10e-6, 0.2)
SPAN_MIN_BYTES = 1 << 20


class Stretch(NamedTuple):
    """Windows of one size, read one after the other; the seconds of each, without the approach."""

    window_bytes: int
    seconds: tuple[float, ...]


class Jump(NamedTuple):
    """One sector read, so many bytes away from the end of the read before it."""

    distance_bytes: int
    seconds: float


class Samples(NamedTuple):
    """What was measured on one disk; `span_bytes` is how far apart the places read from lie.

    Where the filesystem does not tell where files lie, all distances and the span are 0.
    """

    stretches: tuple[Stretch, ...]
    jumps: tuple[Jump, ...]
    span_bytes: int


def estimate_model(samples: Samples) -> DiskModel:
    """Return the model that explains the samples; CalibrationError when they are too few."""
    stretches = [stretch for stretch in samples.stretches if stretch.seconds]
    if len(stretches) < STRETCHES_MIN or len(samples.jumps) < JUMPS_MIN:
        raise CalibrationError(
            f"only {len(stretches)} stretches and {len(samples.jumps)} jumps could be read "
            "undisturbed; try again when the disk is idle"
        )
    span = max(samples.span_bytes, SPAN_MIN_BYTES)
    first_s, slope = _fit_curve(samples.jumps)
    seek_min_s = _within(first_s, SEEK_LIMITS_S)
    seek_max_s = _within(first_s + slope * span**0.5, (seek_min_s, SEEK_LIMITS_S[1]))
    bandwidth = _within(_bandwidth(stretches), BANDWIDTH_LIMITS_BYTES_PER_S)
    return DiskModel(bandwidth, seek_min_s, seek_max_s, span)


def _bandwidth(stretches: Sequence[Stretch]) -> float:
    rates = [
        stretch.window_bytes / max(statistics.median(stretch.seconds), 1e-9)
        for stretch in stretches
    ]
    floor = statistics.median(rates) * SLOW_SHARE_MIN
    return statistics.harmonic_mean([rate for rate in rates if rate >= floor])


def _fit_curve(jumps: Sequence[Jump]) -> tuple[float, float]:
    """(seconds at no distance, seconds per square root of a byte), neither below zero."""
    points = [(jump.distance_bytes**0.5, jump.seconds) for jump in jumps]
    # The line through everything follows the outliers; one through the middle does not.
    level_s = statistics.median(seconds for _, seconds in points)
    points = [point for point in points if point[1] <= 4 * level_s]
    line = _fit_line(points)
    for _ in range(OUTLIER_ROUNDS_MAX):
        misses = [seconds - line[0] - line[1] * root for root, seconds in points]
        deviation_s = NORMAL_DEVIATION * statistics.median(map(abs, misses))
        limit_s = max(OUTLIER_DEVIATIONS * deviation_s, 1e-6)
        kept = [p for p, miss in zip(points, misses, strict=True) if abs(miss) <= limit_s]
        if len(kept) == len(points) or len(kept) < JUMPS_MIN:
            break
        points, line = kept, _fit_line(kept)
    return line


def _fit_line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    roots, seconds = [root for root, _ in points], [value for _, value in points]
    mean_root, mean_s = statistics.fmean(roots), statistics.fmean(seconds)
    spread = sum((root - mean_root) ** 2 for root in roots)
    slope = 0.0
    if spread > 0:
        joint = sum((root - mean_root) * (value - mean_s) for root, value in points)
        slope = joint / spread
    if slope <= 0:
        return mean_s, 0.0
    if mean_s < slope * mean_root:
        return 0.0, sum(r * s for r, s in points) / sum(r * r for r in roots)
    return mean_s - slope * mean_root, slope


def _within(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])
