"""New shards go to the disks that have least to write just now, and no capacity is lost by it."""

from __future__ import annotations

import heapq
import random
import statistics
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from fsd.format.errors import NotEnoughDisksError
from fsd.planning.placement import DiskSpace, FairDraws, usable_besides

SHARD_BYTES = 1000
SERIES = 9
AT_ONCE = 8
RATES = (40, 35, 30, 25)
FREE = (2936, 2349, 1761, 1468)
"""In shards' thousandths, as disks of 3, 2.4, 1.8 and 1.5 GB have."""

Waiting = Callable[[random.Random], Mapping[str, int]]


def spaces(free: Sequence[int], domains: str = "abcdefgh") -> list[DiskSpace]:
    return [DiskSpace(f"d{n}", room, domains[n]) for n, room in enumerate(free)]


def filled(some: list[DiskSpace], copies: int, seed: int, waiting: Waiting) -> int:
    """Place shards until no more fits; returns their bytes."""
    draws, chance, total = FairDraws(), random.Random(seed), 0
    while True:
        try:
            chosen = draws.choose(some, copies, SHARD_BYTES, chance, waiting_bytes=waiting(chance))
        except NotEnoughDisksError:
            return total
        total += SHARD_BYTES
        some = [
            replace(one, free_bytes=one.free_bytes - SHARD_BYTES * (one.disk_id in chosen))
            for one in some
        ]


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize(
    ("free", "domains"),
    [
        ((60, 48, 36, 30), "abcd"),
        ((80, 20, 20, 20), "abcd"),
        ((160, 10, 10, 10), "abcd"),
        ((20, 20, 20, 20), "abcd"),
        ((60, 40, 20, 10, 6, 4), "abcdef"),
        ((40, 30, 30, 30), "aabc"),
    ],
)
@pytest.mark.parametrize("behind", ["small", "large", "random"])
def test_what_waits_costs_no_capacity(
    free: tuple[int, ...], domains: str, copies: int, behind: str
):
    """Also where always the same disks, the small or the large ones, have nothing to do."""
    some = spaces([room * SHARD_BYTES for room in free], domains)
    order = sorted(some, key=lambda one: one.free_bytes, reverse=behind == "small")
    fixed = {one.disk_id: 10 * SHARD_BYTES * n + 1 for n, one in enumerate(order, 1)}

    def waiting(chance: random.Random) -> Mapping[str, int]:
        if behind != "random":
            return fixed
        return {one.disk_id: chance.randrange(1, 9) * SHARD_BYTES for one in some}

    usable = usable_besides(some, copies, ()).usable_bytes
    reached = [filled(some, copies, seed, waiting) for seed in range(2)]
    plain = [filled(some, copies, seed, lambda _: {}) for seed in range(2)]
    # A disk that is left with less than a shard holds none.
    assert min(reached) >= usable - len(free) * SHARD_BYTES
    assert min(reached) >= min(plain) - SHARD_BYTES


def time_of(shards: int, seed: int, knows: bool) -> float:
    """Write shards, some at a time, to disks that are each a queue; returns when the last ended."""
    some, draws, chance = spaces([room * SHARD_BYTES for room in FREE]), FairDraws(), None
    chance = random.Random(seed)
    free_at, waiting = dict.fromkeys((one.disk_id for one in some), 0.0), Counter[str]()
    running: list[tuple[float, int, tuple[str, ...]]] = []
    ends: deque[tuple[float, str]] = deque()
    now = 0.0
    for number in range(shards):
        if len(running) == AT_ONCE:
            now = max(now, heapq.heappop(running)[0])
        for end_s, disk in [one for one in ends if one[0] <= now]:
            ends.remove((end_s, disk))
            waiting[disk] -= SHARD_BYTES
        known = {disk: size for disk, size in waiting.items() if size} if knows else {}
        chosen = draws.choose(some, 2, SHARD_BYTES, chance, waiting_bytes=known)
        for disk in chosen:
            free_at[disk] = max(now, free_at[disk]) + SHARD_BYTES / RATES[int(disk[1:])]
            waiting[disk] += SHARD_BYTES
            ends.append((free_at[disk], disk))
        heapq.heappush(running, (max(free_at[disk] for disk in chosen), number, chosen))
    return max(free_at.values())


@pytest.mark.parametrize("shards", [40, 120])
def test_all_disks_are_busy_until_the_end(shards: int):
    bound_s = 2 * shards * SHARD_BYTES / sum(RATES)
    knowing = [time_of(shards, seed, True) / bound_s for seed in range(SERIES)]
    plain = [time_of(shards, seed, False) / bound_s for seed in range(SERIES)]
    assert statistics.median(knowing) < 1.1
    assert statistics.median(knowing) < statistics.median(plain) - 0.03, (knowing, plain)
