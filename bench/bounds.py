"""What disks allow: lower bounds on the time of batch work, from their true rates alone.

Owns the arithmetic behind "achieved / LP" for export, ingest, rebuild and scrub, and nothing of our
planner or placement: a bound knows the bytes, which disks hold them, and the disks' rates. Without
seeks, the order of anything, or free space, so that no program can beat one. Pure.

Rates are bytes per second: one per disk (disks,), or one per unit and disk (units, disks) where
they fall towards the inner tracks. A unit is any amount of bytes that lies, or may lie, on the same
disks: a shard, or what is wanted of it. It may be split over its disks: that makes the LP

    T = min t  such that  sum over units of x[unit, disk] * seconds[unit, disk] <= t for every disk,
                          sum over disks of x[unit, disk] = 1 for every unit, x >= 0

whose dual needs no solver: for any prices >= 0 of the disks that sum to 1,
sum over units of min over disks of (price * seconds) <= T. The best prices are searched for; what
is returned is such a sum, never above T and within 0.5 % of it (tests/fsd/planning/test_bounds.py).
"""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

PRICE_STEPS = 2000

Floats = npt.NDArray[np.float64]
Rates = Sequence[float] | Floats


def makespan_bound_s(seconds: Floats, before_s: Sequence[float] | None = None) -> float:
    """The LP above: `seconds` (units, disks), infinite where a unit cannot be done.

    `before_s` (disks,) is what every disk has to do besides.
    """
    count = seconds.shape[1]
    before = np.zeros(count) if before_s is None else np.array(before_s, dtype=np.float64)
    rows = np.arange(len(seconds))
    prices = np.full(count, 1 / count)
    best = float(before.max(initial=0.0))
    for step in range(PRICE_STEPS):
        choice = (seconds * prices).argmin(axis=1)
        loads = before + np.bincount(choice, seconds[rows, choice], minlength=count)
        best = max(best, float(loads @ prices))
        if not loads.any():
            break
        # A disk that would end late becomes dear. Not below a floor, from which none comes back.
        prices = prices * np.exp((loads / loads.mean() - 1) / 2 / (1 + step) ** 0.7)
        prices = np.maximum(prices / prices.sum(), 1e-9)
        prices /= prices.sum()
    return best


def unit_seconds(
    unit_bytes: Sequence[int], disks: Sequence[Collection[int]], rates: Rates
) -> Floats:
    """(units, disks) seconds of every unit on each of its `disks`, infinite on the others."""
    table = np.asarray(unit_bytes, dtype=np.float64)[:, None] / np.asarray(rates, dtype=np.float64)
    seconds = np.full(table.shape, np.inf)
    for row, allowed in enumerate(disks):
        columns = list(allowed)
        seconds[row, columns] = table[row, columns]
    return seconds


def export_bound_s(
    wanted_bytes: Sequence[int],
    holders: Sequence[Collection[int]],
    rates: Rates,
    *,
    ssd_bytes_per_s: float | None = None,
    files: int = 0,
    files_per_s: float | None = None,
) -> float:
    """Reading `wanted_bytes` (units,) from any of their `holders`, onto an SSD with its limits.

    `files_per_s` is how many files the SSD's filesystem creates, beside its bandwidth.
    """
    limits = [makespan_bound_s(unit_seconds(wanted_bytes, holders, rates))]
    if ssd_bytes_per_s is not None:
        limits.append(sum(wanted_bytes) / ssd_bytes_per_s)
    if files_per_s is not None:
        limits.append(files / files_per_s)
    return max(limits)


def ingest_bound_s(
    written_bytes: Sequence[int], rates: Sequence[float], *, read_back: bool = True
) -> float:
    """The slowest disk's part: `written_bytes` (disks,) as they were placed, each read back.

    Placement decides how much that is: see `placement_imbalance`.
    """
    passes = 2 if read_back else 1
    return max(passes * size / rate for size, rate in zip(written_bytes, rates, strict=True))


def placement_imbalance(written_bytes: Sequence[int], rates: Sequence[float]) -> float:
    """How much longer this placement takes than one in which all disks end together (>= 1)."""
    even_s = sum(written_bytes) / sum(rates)
    return ingest_bound_s(written_bytes, rates, read_back=False) / even_s if even_s else 1.0


def rebuild_bound_s(
    lost_bytes: Sequence[int],
    survivors: Sequence[Collection[int]],
    targets: Sequence[Collection[int]],
    rates: Rates,
    target_rates: Rates | None = None,
) -> float:
    """Copies of `lost_bytes` (units,) made again: read once, written and read back.

    The min over plans of the max over disks of (read + 2 x written) / rate: every unit is read from
    one of its `survivors` and comes to one of its `targets` (every other disk that is left), where
    the disks' rates are `target_rates` if they are not the same.
    """
    sizes = [*lost_bytes, *(2 * size for size in lost_bytes)]
    shape = len(lost_bytes), np.shape(rates)[-1]
    tables = (rates, rates if target_rates is None else target_rates)
    both = np.concatenate([np.broadcast_to(np.asarray(table), shape) for table in tables])
    return makespan_bound_s(unit_seconds(sizes, [*survivors, *targets], both))


def scrub_bound_s(stored_bytes: Sequence[int], rates: Sequence[float]) -> float:
    """Reading everything each disk holds, `stored_bytes` (disks,)."""
    return ingest_bound_s(stored_bytes, rates, read_back=False)
