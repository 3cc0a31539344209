"""A short series of shards is placed as evenly as a long one, and as randomly paired."""

from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from fsd.format.errors import NotEnoughDisksError
from fsd.planning.placement import DiskSpace, FairDraws, choose_disks, expected_shares

MIB = 1 << 20
SHARD_BYTES = 128 * MIB
FREE_GB = (8, 6, 5, 4)
SHARDS = 12
SERIES = 60


def spaces(*free_gb: float, domains: str = "") -> list[DiskSpace]:
    named = domains or "abcdefgh"
    return [
        DiskSpace(f"d{number}", int(free * 1e9), named[number])
        for number, free in enumerate(free_gb)
    ]


def worst(drawn: Counter[str], shares: dict[str, float], count: int) -> float:
    """How many times its share the disk has that has most of it."""
    return max(drawn[disk_id] / (share * count) for disk_id, share in shares.items())


def test_the_shares_are_what_draws_give_on_average():
    some = spaces(8, 6, 3, 3, domains="aabc")
    shares, chance, count = expected_shares(some, 2, MIB), random.Random(1), 20_000
    drawn = Counter(d for _ in range(count) for d in choose_disks(some, 2, MIB, chance))
    assert sum(shares.values()) == pytest.approx(2)
    for disk_id, share in shares.items():
        assert drawn[disk_id] / count == pytest.approx(share, abs=0.02)


def test_a_dozen_shards_are_spread_evenly():
    some, fair, single = spaces(*FREE_GB), list[float](), list[float]()
    shares = expected_shares(some, 2, SHARD_BYTES)
    for number in range(SERIES):
        draws, chance = FairDraws(), random.Random(number)
        each = [draws.choose(some, 2, SHARD_BYTES, chance) for _ in range(SHARDS)]
        assert all(len(set(disks)) == 2 for disks in each)
        fair.append(worst(Counter(d for disks in each for d in disks), shares, SHARDS))
        each = [choose_disks(some, 2, SHARD_BYTES, chance) for _ in range(SHARDS)]
        single.append(worst(Counter(d for disks in each for d in disks), shares, SHARDS))
    assert statistics.median(fair) < 1.2 < statistics.median(single)
    assert max(fair) < 1.5


def test_who_comes_with_whom_stays_random():
    """Of a disk that dies the other copies lie on all the others, as many as with single draws."""
    some, draws, chance, count = spaces(*FREE_GB), FairDraws(), random.Random(3), 4000
    fair, single = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for _ in range(count):
        fair[tuple(sorted(draws.choose(some, 2, SHARD_BYTES, chance)))] += 1
        single[tuple(sorted(choose_disks(some, 2, SHARD_BYTES, chance)))] += 1
    assert len(fair) == 6
    assert all(0.75 < fair[pair] / single[pair] < 1.33 for pair in single), (fair, single)


def test_large_shards_count_by_their_bytes():
    some, draws, chance = spaces(5, 5, 5, 5), FairDraws(), random.Random(4)
    size: Counter[str] = Counter()
    for number in range(40):
        length = SHARD_BYTES * (1 + 7 * (number % 4 == 0))
        for disk_id in draws.choose(some, 2, length, chance):
            size[disk_id] += length
    assert max(size.values()) - min(size.values()) <= 3 * 8 * SHARD_BYTES / 2


def test_failure_domains_and_room_are_kept():
    some, draws, chance = spaces(8, 8, 1, 0.1, domains="aabc"), FairDraws(), random.Random(5)
    for _ in range(50):
        disks = draws.choose(some, 2, SHARD_BYTES, chance)
        assert "d3" not in disks and "d2" in disks
    with pytest.raises(NotEnoughDisksError):
        draws.choose(some, 3, SHARD_BYTES, chance)
    both = draws.choose(some[:2], 2, SHARD_BYTES, chance, allow_same_domain=True)
    assert sorted(both) == ["d0", "d1"]
