"""The plan of a rebalance: it ends, keeps all copies apart, and moves no more than it must."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsd.planning.balance import TOLERANCE, Fill, Move, Placed, level_of, plan_moves


def make(seed: int, disk_count: int, shard_count: int, size_max: int) -> tuple[list, list]:
    """Return random disks (some share a domain) and shards with 1 to 3 replicas on them."""
    rng = random.Random(seed)
    domains = [f"dom{rng.randrange(disk_count)}" for _ in range(disk_count)]
    names = [f"d{n}" for n in range(disk_count)]
    popular = rng.sample(names, max(1, disk_count // 2))
    shards = []
    for number in range(shard_count):
        pool = popular if rng.random() < 0.7 else names
        holders: dict[str, str] = {}
        for name in rng.sample(pool, min(len(pool), rng.randint(1, 3))):
            domain = domains[names.index(name)]
            if domain not in holders.values():
                holders[name] = domain
        shards.append(Placed(f"s{number}", rng.randint(1, size_max), holders))
    disks = [
        Fill(
            name,
            sum(shard.length_bytes for shard in shards if name in shard.domains),
            rng.randint(0, 2 * size_max * shard_count),
            domain,
        )
        for name, domain in zip(names, domains, strict=True)
    ]
    return disks, shards


def apply(disks: list[Fill], shards: list[Placed], moves: list[Move]) -> dict[str, int]:
    """Carry the moves out one by one, checking each; returns what every disk stores then."""
    domains = {disk.disk_id: disk.failure_domain for disk in disks}
    stored = {disk.disk_id: disk.stored_bytes for disk in disks}
    free = {disk.disk_id: disk.free_bytes for disk in disks}
    holders = {shard.shard_id: dict(shard.domains) for shard in shards}
    for move in moves:
        held = holders[move.shard_id]
        copies = len(held)
        del held[move.source]
        assert move.target not in held
        held[move.target] = domains[move.target]
        assert len(held) == copies
        assert len(set(held.values())) == copies, "two replicas in one failure domain"
        stored[move.source] -= move.length_bytes
        stored[move.target] += move.length_bytes
        free[move.target] -= move.length_bytes
        free[move.source] += move.length_bytes
        assert free[move.target] >= 0
    return stored


cases = st.tuples(
    st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 120), st.sampled_from([1, 50, 5000])
)


@settings(max_examples=200, deadline=None)
@given(cases)
def test_any_plan_keeps_the_copies_apart_and_moves_little(case):
    disks, shards = make(*case)
    moves = plan_moves(disks, shards)
    stored = apply(disks, shards, moves)
    level = level_of(disks)
    above = sum(max(0.0, d.stored_bytes - level * d.capacity_bytes) for d in disks)
    assert sum(move.length_bytes for move in moves) <= above + 1e-6 * (1 + above)
    assert len({(move.shard_id, move.source) for move in moves}) == len(moves)
    for disk in disks:
        before, after = (
            value - level * disk.capacity_bytes
            for value in (disk.stored_bytes, stored[disk.disk_id])
        )
        # Nearer to the level, and never past it.
        assert abs(after) <= abs(before) + 1e-6 and before * after >= -1e-3


@pytest.mark.seconds(12)
@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 8))
def test_a_new_disk_is_filled_to_the_level(seed: int, disk_count: int):
    """Independent disks, shards far smaller than they are, and one more that is empty."""
    rng = random.Random(seed)
    names = [f"d{n}" for n in range(disk_count)]
    shards = [
        Placed(f"s{n}", rng.randint(90, 100), {name: name for name in rng.sample(names, 2)})
        for n in range(3000)
    ]
    stored = dict.fromkeys([*names, "new"], 0)
    for shard in shards:
        for name in shard.domains:
            stored[name] += shard.length_bytes
    disks = [
        Fill(name, size, max(stored.values()) * 2 - size, name) for name, size in stored.items()
    ]
    after = apply(disks, shards, plan_moves(disks, shards))
    level = level_of(disks)
    for disk in disks:
        assert abs(after[disk.disk_id] / disk.capacity_bytes - level) <= TOLERANCE + 0.01
    assert plan_moves(disks, shards, tolerance=1.0) == []


def test_a_balanced_store_stays_as_it_is():
    shards = [Placed(f"s{n}", 10, {"a": "a", "b": "b"}) for n in range(50)]
    disks = [Fill("a", 500, 500, "a"), Fill("b", 500, 480, "b"), Fill("c", 0, 0, "c")]
    assert plan_moves(disks, shards) == []
    assert plan_moves([], []) == []


def test_large_plans_are_quick_enough_to_make():
    """16,000 shards of 256 MiB, which is a store of 4 TB, and one new disk."""
    mib = 1 << 20
    shards = [
        Placed(
            f"s{n:06}", 256 * mib, {f"d{n % 4}": f"d{n % 4}", f"d{(n + 1) % 4}": f"d{(n + 1) % 4}"}
        )
        for n in range(16_000)
    ]
    disks = [Fill(f"d{n}", 8000 * 256 * mib, 200 * mib, f"d{n}") for n in range(4)]
    disks.append(Fill("new", 0, 8000 * 256 * mib, "new"))
    moves = plan_moves(disks, shards)
    assert 5500 <= len(moves) <= 6400
    apply(disks, shards, moves)
