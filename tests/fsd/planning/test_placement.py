"""Capacity arithmetic against brute force, and the drawing of disks against its promises."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from fsd.format.errors import NotEnoughDisksError
from fsd.planning.placement import (
    TYPICAL_DISK_SIZES_BYTES,
    DiskSpace,
    Held,
    UsableAfterLoss,
    choose_disks,
    next_disk_advice,
    usable_after_loss,
    usable_besides,
    usable_bytes,
)

FILL_MIN = 0.99


def spaces_of(free: list[int], domains: list[str] | None = None) -> list[DiskSpace]:
    names = domains or [f"domain{i}" for i in range(len(free))]
    return [DiskSpace(f"disk{i}", free[i], names[i]) for i in range(len(free))]


def usable_by_search(free: list[int], copies: int) -> int:
    level = 0
    while sum(min(room, level + 1) for room in free) >= copies * (level + 1):
        level += 1
        if level > sum(free):
            raise AssertionError("unbounded")
    return level


@seed(1)
@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(1, 4))
def test_usable_bytes_is_the_largest_level(free: list[int], copies: int):
    assert usable_bytes(free, copies) == usable_by_search(free, copies)


def flow(edges: dict[tuple[str, str], int]) -> int:
    """Return how much flows from `in` to `out`: breadth first, one path after the other."""
    left, total = Counter(edges), 0
    while True:
        came = {"in": ""}
        for node in (queue := ["in"]):
            fresh = [b for (a, b), room in left.items() if a == node and room and b not in came]
            came |= dict.fromkeys(fresh, node)
            queue += fresh
        if "out" not in came:
            return total
        path, node = [], "out"
        while node != "in":
            path.append((came[node], node))
            node = came[node]
        most = min(left[edge] for edge in path)
        for a, b in path:
            left[a, b] -= most
            left[b, a] += most
        total += most


def fits(free: list[int], copies: int, held: list[Held], level: int) -> bool:
    """Search whether all that is held gets its copies beside `level` new bytes at `copies`."""
    edges = {("in", "new"): copies * level} | {(f"disk{n}", "out"): r for n, r in enumerate(free)}
    edges |= {("new", f"disk{number}"): level for number in range(len(free))}
    for number, one in enumerate(held):
        missing = max(0, one.copies - len(one.disk_ids)) if one.disk_ids else 0
        edges["in", f"held{number}"] = one.size_bytes * missing
        others = {f"disk{n}" for n in range(len(free))} - {*one.disk_ids}
        edges |= {(f"held{number}", disk): one.size_bytes for disk in others}
    return flow(edges) == sum(room for (a, _), room in edges.items() if a == "in")


@st.composite
def stores(draw: st.DrawFn) -> tuple[list[int], int, list[Held]]:
    free = draw(st.lists(st.integers(0, 40), min_size=1, max_size=5))
    disks = st.sets(st.sampled_from([f"disk{number}" for number in range(len(free))]), max_size=3)
    one = st.builds(Held, st.integers(1, 30), st.integers(1, 3), disks.map(sorted).map(tuple))
    return free, draw(st.integers(1, 3)), draw(st.lists(one, max_size=5))


@seed(2)
@settings(max_examples=150, deadline=None)
@given(stores())
def test_what_fits_beside_the_copies_that_are_missing(made: tuple[list[int], int, list[Held]]):
    free, copies, held = made
    found = usable_besides(spaces_of(free), copies, held)
    assert (found.unplaced_bytes == 0) == fits(free, copies, held, 0)
    if not found.unplaced_bytes:
        assert fits(free, copies, held, found.usable_bytes)
        assert not fits(free, copies, held, found.usable_bytes + 1)
    if not held:
        assert found.usable_bytes == usable_bytes(free, copies)


@seed(3)
@settings(max_examples=100, deadline=None)
@given(stores())
def test_after_the_worst_loss_all_copies_are_made_again_first(
    made: tuple[list[int], int, list[Held]],
):
    free, copies, held = made
    worst = usable_after_loss(spaces_of(free), copies, held=held)
    outcomes = []
    for lost in range(len(free)):
        left = [Held(h.size_bytes, h.copies, tuple(d for d in h.disk_ids if d != f"disk{lost}"))
                for h in held]  # fmt: skip
        rooms = [0 if number == lost else room for number, room in enumerate(free)]
        outcomes.append((usable_besides(spaces_of(rooms), copies, left), f"disk{lost}"))
    holding = {disk for one in held for disk in one.disk_ids}
    felt = [o for o in outcomes if free[int(o[1][4:])] or o[1] in holding]
    if felt:
        most = min(felt, key=lambda one: (-one[0].unplaced_bytes, one[0].usable_bytes))
        assert worst == UsableAfterLoss(most[0].usable_bytes, (most[1],), most[0].unplaced_bytes)


def test_a_full_disk_is_a_loss_too():
    """What it holds has to go somewhere: 60 bytes of copies into 40 free ones do not."""
    held = [Held(30, 2, ("disk0", "disk1")), Held(30, 2, ("disk0", "disk2"))]
    assert usable_after_loss(spaces_of([0, 20, 20]), 2, held=held) == UsableAfterLoss(
        0, ("disk0",), 20
    )
    # With room for them, only what is left of it is promised.
    assert usable_after_loss(spaces_of([0, 40, 40]), 2, held=held).usable_bytes == 0
    assert usable_after_loss(spaces_of([50, 40, 40]), 2, held=held) == UsableAfterLoss(
        10, ("disk0",)
    )
    assert usable_after_loss(spaces_of([50, 40, 40]), 2).usable_bytes == 40


def test_usable_bytes_of_known_sets():
    assert usable_bytes([10, 10, 10], 2) == 15
    assert usable_bytes([100, 10, 10], 2) == 20  # the large disk can only mirror the small ones
    assert usable_bytes([100, 10], 2) == 10
    assert usable_bytes([100], 2) == 0
    assert usable_bytes([100, -5, 7], 2) == 7
    with pytest.raises(ValueError, match="copies"):
        usable_bytes([1, 2], 0)


def test_a_failure_domain_counts_as_one_disk():
    spaces = spaces_of([10, 10, 15], ["a", "a", "b"])
    assert usable_besides(spaces, 2, []).usable_bytes == 15
    assert usable_besides(spaces, 2, [], allow_same_domain=True).usable_bytes == 17
    ineligible = [*spaces, DiskSpace("late", 99, "c", eligible=False)]
    assert usable_besides(ineligible, 2, []).usable_bytes == 15


def test_the_worst_loss_is_named():
    spaces = spaces_of([10, 10, 20, 30, 8], ["a", "a", "b", "c", "d"])
    assert usable_after_loss(spaces, 2) == UsableAfterLoss(24, ("disk3",))
    by_disk = usable_after_loss(spaces, 2, allow_same_domain=True)
    assert by_disk == UsableAfterLoss(24, ("disk3",))
    assert usable_after_loss(spaces[:2], 1) == UsableAfterLoss(0, ("disk0", "disk1"))
    whole = usable_after_loss(spaces_of([30, 30, 10], ["a", "a", "b"]), 1)
    assert whole == UsableAfterLoss(10, ("disk0", "disk1"))
    assert usable_after_loss([], 2) == UsableAfterLoss(0, ())


def test_advice_is_the_gain_of_a_new_disk():
    terabyte = 10**12
    advice = next_disk_advice(spaces_of([4 * terabyte, 4 * terabyte]), 2)
    assert [size for size, _ in advice] == list(TYPICAL_DISK_SIZES_BYTES)
    # 4 + 4 + x hold (8 + x) / 2 until x outgrows the other two.
    gains = [gain / terabyte for _, gain in advice]
    assert gains == [1, 2, 4, 4, 4, 4]


@st.composite
def disk_sets(draw: st.DrawFn) -> tuple[list[DiskSpace], int]:
    count = draw(st.integers(2, 12))
    free = draw(st.lists(st.integers(500, 20_000), min_size=count, max_size=count))
    domains = draw(st.lists(st.integers(0, count), min_size=count, max_size=count))
    spaces = spaces_of(free, [str(domain) for domain in domains])
    return spaces, draw(st.integers(1, min(4, len(set(domains)))))


@seed(2)
@settings(max_examples=200, deadline=None)
@given(disk_sets(), st.integers(0, 2**32))
def test_chosen_disks_are_distinct_in_domain_and_have_room(
    case: tuple[list[DiskSpace], int], rng_seed: int
):
    spaces, copies = case
    by_id = {space.disk_id: space for space in spaces}
    size = sorted(space.free_bytes for space in spaces)[0] + 1  # one disk at least is too small
    fitting = {space.failure_domain for space in spaces if space.free_bytes >= size}
    rng = random.Random(rng_seed)
    if len(fitting) < copies:
        with pytest.raises(NotEnoughDisksError):
            choose_disks(spaces, copies, size, rng)
        return
    chosen = [by_id[disk] for disk in choose_disks(spaces, copies, size, rng)]
    assert len({space.failure_domain for space in chosen}) == len(chosen) == copies
    assert all(space.free_bytes >= size for space in chosen)


def test_the_same_seed_draws_the_same_disks():
    spaces = spaces_of([10, 20, 30, 40, 50])
    draws = [[choose_disks(spaces, 2, 1, random.Random(s)) for s in range(50)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) > 10  # and in both orders


@pytest.mark.parametrize(
    ("free", "copies"), [([100, 200, 300, 400], 2), ([1000, 50, 70, 90], 2), ([5, 6, 7, 8, 9], 3)]
)
def test_inclusion_probabilities(free: list[int], copies: int):
    draws = 20_000
    rng = random.Random(7)
    spaces = spaces_of(free)
    hits = Counter(disk for _ in range(draws) for disk in choose_disks(spaces, copies, 1, rng))
    cap = usable_by_search(free, copies)
    total = sum(min(room, cap) for room in free)
    for i, room in enumerate(free):
        share = copies * min(room, cap) / total
        # Four standard deviations of a binomial; 0 where a disk must take part.
        tolerance = 4 * (share * (1 - share) / draws) ** 0.5
        assert hits[f"disk{i}"] / draws == pytest.approx(share, abs=tolerance + 1e-12)


def test_every_pair_of_disks_occurs():
    """Without the shuffle, systematic sampling would never pair neighbours."""
    rng = random.Random(3)
    spaces = spaces_of([10] * 6)
    pairs = {frozenset(choose_disks(spaces, 2, 1, rng)) for _ in range(600)}
    assert len(pairs) == 15


def test_within_a_domain_disks_share_by_free_bytes():
    rng = random.Random(5)
    spaces = spaces_of([100, 300, 400], ["a", "a", "b"])
    hits = Counter(disk for _ in range(8000) for disk in choose_disks(spaces, 2, 1, rng))
    assert hits["disk2"] == 8000
    assert hits["disk1"] / 8000 == pytest.approx(0.75, abs=0.02)


def test_holders_and_their_domains_are_excluded():
    spaces = spaces_of([10, 10, 10, 10], ["a", "a", "b", "c"])
    rng = random.Random(1)
    seen = {choose_disks(spaces, 1, 1, rng, exclude={"disk0"})[0] for _ in range(200)}
    assert seen == {"disk2", "disk3"}
    seen = {
        choose_disks(spaces, 1, 1, rng, exclude={"disk0"}, allow_same_domain=True)[0]
        for _ in range(200)
    }
    assert seen == {"disk1", "disk2", "disk3"}
    with pytest.raises(NotEnoughDisksError, match="3 copies of 1 bytes"):
        choose_disks(spaces, 3, 1, rng, exclude={"disk0"})


def test_ineligible_disks_take_nothing_but_bar_their_domain():
    spaces = [DiskSpace("old", 10, "a", eligible=False), *spaces_of([10, 10], ["a", "b"])]
    rng = random.Random(1)
    assert {choose_disks(spaces, 1, 1, rng, exclude=["old"])[0] for _ in range(50)} == {"disk1"}


def fill_ratio(sizes: list[int], domains: list[str], copies: int, rng: random.Random) -> float:
    """Place shards of 1/256 of the smallest disk until it fails; logical bytes placed / U."""
    free = dict(enumerate(sizes))
    shard_bytes = min(sizes) // 256
    usable = usable_besides(spaces_of(sizes, domains), copies, []).usable_bytes
    placed = 0
    while True:
        spaces = spaces_of(list(free.values()), domains)
        try:
            chosen = choose_disks(spaces, copies, shard_bytes, rng)
        except NotEnoughDisksError:
            return placed / usable
        for disk in chosen:
            free[int(disk.removeprefix("disk"))] -= shard_bytes
        placed += shard_bytes


@pytest.mark.parametrize("number", range(24))
def test_placement_fills_what_the_disks_can_hold(number: int):
    rng = random.Random(number)
    count = rng.randint(4, 12)
    copies = rng.choice([2, 2, 2, 3, 4])
    # 0.5-20 TB, one millionth; every third set nearly equal, where the end is least forgiving.
    spread = 1.1 if number % 3 == 0 else 40.0
    sizes = [int(500_000 * spread ** rng.random()) for _ in range(count)]
    domains = [str(i) for i in range(count)]
    if number % 2:
        domains[0] = domains[1]
    if len(set(domains)) < copies:
        domains[0] = "apart"
    assert fill_ratio(sizes, domains, copies, rng) >= FILL_MIN


def test_free_bytes_only_fall_in_step():
    """The share of each capped disk stays equal: what the formula is for."""
    rng = random.Random(11)
    free = [4000, 8000, 12_000, 16_000]
    for _ in range(15_000):
        for disk in choose_disks(spaces_of(free), 2, 1, rng):
            free[int(disk.removeprefix("disk"))] -= 1
    left = [room / size for room, size in zip(free, [4000, 8000, 12_000, 16_000], strict=True)]
    assert all(abs(a - b) < 0.05 for a, b in pairwise(left))
