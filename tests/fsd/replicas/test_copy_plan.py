"""Plans of copies: the rules by examples, the makespan against every plan there is, the queue."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsd.planning.disk_model import DEFAULT_MODEL, DiskModel
from fsd.replicas.copy_plan import (
    KEPT_FREE_SHARE,
    CopyQueue,
    Left,
    Need,
    Planned,
    Room,
    plan_copies,
)

MIB = 1 << 20
GB = 10**9
PASS_S = {"a": 1 / 160e6, "b": 1 / 120e6, "c": 1 / 100e6}
ROOMY = {disk: Room(900 * GB, 1000 * GB) for disk in PASS_S}


def makespan_s(
    needs: list[Need], choice: list[tuple[str, str]], before_s: dict[str, float] | None = None
) -> float:
    loads: Counter[str] = Counter(before_s)
    for need, (source, target) in zip(needs, choice, strict=True):
        loads[source] += need.length_bytes * PASS_S[source]
        loads[target] += 2 * need.length_bytes * PASS_S.get(target, 0.0)
    return max(loads.values())


def chosen(planned: list[Planned]) -> list[tuple[str, str]]:
    return [(one.source, one.target) for one in planned]


def two_copies(rng: random.Random, count: int) -> list[Need]:
    """Shards that lost one of two copies: one disk has it, the others may take it."""
    needs: list[Need] = []
    for number in range(count):
        source = rng.choice("abc")
        size = rng.choice((8, 64, 128, 128)) * MIB
        needs.append(Need(f"{number}", size, 1, [source], [d for d in "abc" if d != source]))
    return needs


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_of_few_copies_is_nearly_the_best_there_is(seed: int):
    needs = two_copies(random.Random(seed), 9)
    options = [[(need.sources[0], target) for target in need.targets] for need in needs]
    best_s = min(makespan_s(needs, list(choice)) for choice in itertools.product(*options))
    planned_s = makespan_s(needs, chosen(plan_copies(needs, PASS_S, ROOMY)))
    assert planned_s <= best_s * 1.03


@pytest.mark.parametrize("seed", range(20))
def test_so_is_one_where_no_disk_could_take_them_all(seed: int):
    rng = random.Random(seed)
    needs = two_copies(rng, 9)
    total = sum(need.length_bytes for need in needs)
    fitting = {disk: round(rng.uniform(0.4, 0.7) * total) for disk in PASS_S}
    kept_bytes = int(100 * GB * KEPT_FREE_SHARE)
    rooms = {disk: Room(fits + kept_bytes, 100 * GB) for disk, fits in fitting.items()}
    best_s = float("inf")
    for choice in itertools.product(*([(n.sources[0], t) for t in n.targets] for n in needs)):
        if room_is_left(needs, list(choice), fitting):
            best_s = min(best_s, makespan_s(needs, list(choice)))
    planned = chosen(plan_copies(needs, PASS_S, rooms))
    assert room_is_left(needs, planned, fitting)
    assert makespan_s(needs, planned) <= best_s * 1.03 < float("inf")


@pytest.mark.parametrize("seed", range(20))
def test_so_is_one_where_two_disks_have_just_the_room_that_is_needed(seed: int):
    """Most of what is lost has its other copy on the third, which has more to read than to take."""
    rng = random.Random(seed)
    needs: list[Need] = []
    for number, source in enumerate([*"aaaaaaaaa", *"bcbc"]):
        size = rng.randint(105, 128) * MIB
        needs.append(Need(f"{number}", size, 1, [source], [d for d in "abc" if d != source]))
    coming = sum(need.length_bytes for need in needs if need.sources == ["a"])
    share = rng.uniform(0.4, 0.6)
    fitting = {"a": 90 * GB, "b": share * coming + 68 * MIB, "c": (1 - share) * coming + 68 * MIB}
    rooms = {
        d: Room(int(fits + 100 * GB * KEPT_FREE_SHARE), 100 * GB) for d, fits in fitting.items()
    }
    before_s = {disk: rng.uniform(0, 5) for disk in PASS_S}
    best_s = float("inf")
    for choice in itertools.product(*([(n.sources[0], t) for t in n.targets] for n in needs)):
        if room_is_left(needs, list(choice), fitting):
            best_s = min(best_s, makespan_s(needs, list(choice), before_s))
    planned = chosen(plan_copies(needs, PASS_S, rooms, None, before_s))
    assert room_is_left(needs, planned, fitting)
    assert makespan_s(needs, planned, before_s) <= best_s * 1.03 < float("inf")


def room_is_left(
    needs: list[Need], choice: list[tuple[str, str]], fitting: dict[str, float]
) -> bool:
    taken = Counter[str]()
    for need, (_, target) in zip(needs, choice, strict=True):
        taken[target] += need.length_bytes
    return all(taken[disk] <= fits for disk, fits in fitting.items())


@pytest.mark.parametrize("seed", range(20))
def test_so_is_that_of_the_others_where_one_can_only_come_to_a_full_disk(seed: int):
    needs = two_copies(random.Random(seed), 9)
    cramped = Need("cramped", 64 * MIB, 1, ["a"], ["d", "e"])
    pass_s = {**PASS_S, "d": 1 / 150e6, "e": 1 / 150e6}
    full = Room(int(100 * GB * KEPT_FREE_SHARE), 100 * GB)
    rooms = {**ROOMY, "d": full, "e": full}
    options = [[(need.sources[0], target) for target in need.targets] for need in needs]
    every = (list(choice) for choice in itertools.product(*options))
    best_s = min(makespan_s([*needs, cramped], [*one, ("a", "")]) for one in every)
    *planned, last = chosen(plan_copies([*needs, cramped], pass_s, rooms))
    assert last in (("a", "d"), ("a", "e"))
    assert makespan_s([*needs, cramped], [*planned, ("a", "")]) <= best_s * 1.03


@given(seed=st.integers(0, 10**6), count=st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_every_copy_gets_disks_of_its_own_choices(seed: int, count: int):
    rng = random.Random(seed)
    needs = two_copies(rng, count)
    rooms = {disk: Room(rng.randrange(2 * GB), 10 * GB) for disk in PASS_S}
    planned = plan_copies(needs, PASS_S, rooms)
    assert [one.need for one in planned] == needs
    placed: Counter[str] = Counter()
    for one in planned:
        assert one.source in one.need.sources
        assert one.target in (*one.need.targets, "")
        placed[one.target] += one.need.length_bytes
    assert all(placed[disk] <= rooms[disk].free_bytes for disk in PASS_S)


@pytest.mark.parametrize("seed", [103, 236, 349])
def test_shards_of_one_length_are_not_mistaken_for_one_another(seed: int):
    rng = random.Random(seed)
    needs = two_copies(rng, 20)
    before_s = {disk: rng.uniform(0, 30) for disk in PASS_S}
    planned = plan_copies(needs, PASS_S, ROOMY, None, before_s)
    assert [one.need for one in planned] == needs


def test_a_nearly_full_disk_takes_nothing_while_another_has_room():
    needs = [Need(f"{n}", 64 * MIB, 1, ["a"], ["b", "c"]) for n in range(20)]
    full = Room(int(1000 * GB * KEPT_FREE_SHARE), 1000 * GB)
    assert {one.target for one in plan_copies(needs, PASS_S, {**ROOMY, "b": full})} == {"c"}
    both = {**ROOMY, "b": full, "c": full}
    assert {one.target for one in plan_copies(needs, PASS_S, both)} == {"b", "c"}
    none = {disk: Room(0, 1000 * GB) for disk in PASS_S}
    assert {one.target for one in plan_copies(needs, PASS_S, none)} == {""}


def test_a_copy_of_three_is_read_from_the_disk_that_has_the_least_to_do():
    forced = [Need("f", 512 * MIB, 1, ["a"], ["b"])]
    free = Need("n", 64 * MIB, 2, ["a", "b", "c"], [])
    assert plan_copies([*forced, free], PASS_S, ROOMY)[1].source == "c"


def test_a_disk_that_is_slow_where_it_is_free_takes_less_and_gives_as_much():
    needs = [Need(f"{n}", 64 * MIB, 1, ["c"], ["a", "b"]) for n in range(30)]
    same = {"a": 1 / 120e6, "b": 1 / 120e6, "c": 1 / 120e6}
    inner = {**same, "b": 2 / 120e6}
    taken = Counter(one.target for one in plan_copies(needs, same, ROOMY, inner))
    assert taken == {"a": 20, "b": 10}
    either = [Need(f"{n}", 64 * MIB, 2, ["a", "b"], ["c"]) for n in range(30)]
    given = Counter(one.source for one in plan_copies(either, same, ROOMY, inner))
    assert given == {"a": 15, "b": 15}


def test_what_a_disk_has_to_do_before_counts():
    needs = [Need(f"{n}", 64 * MIB, 1, ["c"], ["a", "b"]) for n in range(30)]
    same = dict.fromkeys(PASS_S, 1 / 128e6)
    before_s = {"a": 10 * 2 * 64 * MIB / 128e6}
    taken = Counter(one.target for one in plan_copies(needs, same, ROOMY, None, before_s))
    assert taken == {"a": 10, "b": 20}


def test_free_tracks_are_the_inner_ones():
    hdd = DEFAULT_MODEL
    assert [hdd.slowdown(share) for share in (-1, 0, 0.5, 1, 2)] == [1, 1, 4 / 3, 2, 2]
    assert hdd.slower_where_free(0) == 1
    # Half full: what is stored passes at 7/8 of the outer rate, the next byte at 3/4.
    assert hdd.slower_where_free(0.5) == pytest.approx(7 / 6)
    assert hdd.slower_where_free(1) == hdd.slower_where_free(1.2) == pytest.approx(1.5)


def test_what_has_no_head_is_as_fast_everywhere():
    ssd = DiskModel(500e6, 0.0001, 0.0002, 1 << 40)
    assert [ssd.slowdown(share) for share in (0, 0.5, 1)] == [1, 1, 1]
    assert [ssd.slower_where_free(share) for share in (0, 0.5, 1)] == [1, 1, 1]


def test_nothing_to_plan():
    assert plan_copies([], {}, {}) == []
    assert plan_copies([Need("n", MIB, 0, [], [])], PASS_S, ROOMY) == [
        Planned(Need("n", MIB, 0, [], []), "", "")
    ]
    assert CopyQueue.of([]).take() is None


# The queue


def test_every_disk_gives_and_takes_from_the_first_copies_on():
    """Not first all that one disk gives, and at the end all that it takes."""
    pairs = [(one, other) for one in "abc" for other in "abc" if one != other]
    planned = [Planned(Need(f"{n}", MIB, 1, [], []), *pairs[n // 5]) for n in range(30)]
    queue = CopyQueue.of(planned)
    first = [one for one in (queue.take() for _ in range(6)) if one is not None]
    assert Counter(one.source for one in first) == {"a": 2, "b": 2, "c": 2}
    assert Counter(one.target for one in first) == {"a": 2, "b": 2, "c": 2}


def test_the_poorest_come_first_and_heads_are_not_shared_while_others_idle():
    pairs = [("a", "b"), ("a", "b"), ("c", "d"), ("c", "d")]
    planned = [Planned(Need(f"{n}", MIB, 1, [], []), *pair) for n, pair in enumerate(pairs)]
    poor = Planned(Need("poor", MIB, 0, [], []), "a", "c")
    queue = CopyQueue.of([*planned, poor])
    first, second, third = queue.take(), queue.take(), queue.take()
    assert first == poor
    assert second is not None
    assert third is not None
    assert {(second.source, second.target), (third.source, third.target)} == set(pairs)
    queue.done(third)
    # Its two disks are the idle ones now.
    fourth = queue.take()
    assert fourth is not None
    assert (fourth.source, fourth.target) == (third.source, third.target)


def test_copies_between_the_same_disks_are_of_one_flow():
    planned = [Planned(Need(f"{n}", n + 1, 1, [], []), "ab"[n % 2], "c") for n in range(5)]
    queue = CopyQueue.of(planned)
    taken = {one.need.shard_id: one for one in queue.waiting()}
    assert taken["0"].flow is taken["2"].flow is taken["4"].flow
    assert taken["1"].flow is taken["3"].flow is not taken["0"].flow
    assert (taken["0"].flow.total_bytes, taken["1"].flow.total_bytes) == (9, 6)


def test_what_waits_is_planned_anew_and_what_was_taken_stays():
    needs = [Need(f"{n}", 100, 1, [], []) for n in range(6)]
    queue = CopyQueue.of([Planned(need, "a", "b") for need in needs])
    first = queue.take()
    assert first is not None
    old = first.flow
    # One of them is unknown to the new plan, one was taken since it was begun.
    queue.replan([Planned(need, "a", "c") for need in needs if need.shard_id != "5"])
    assert old.total_bytes == 200
    left = {one.need.shard_id: one for one in queue}
    assert set(left) == {need.shard_id for need in needs} - {first.need.shard_id}
    moved = [one for one in left.values() if one.target == "c"]
    assert len(moved) == 4
    assert all(one.flow is moved[0].flow is not old for one in moved)
    assert (moved[0].flow.total_bytes, left["5"].target) == (400, "b")
    queue.done(first)
    assert queue.waiting() == []


def test_what_copies_have_left_is_told_by_what_each_disk_has_to_do_for_them():
    needs = [Need(f"{n}", 100, 1, [], []) for n in range(3)]
    queue = CopyQueue.of([Planned(needs[0], "a", "b"), *(Planned(n, "b", "a") for n in needs[1:])])
    taken = {one.need.shard_id: one for one in (queue.take(), queue.take()) if one is not None}
    assert queue.left() == {"a": Left(100, 200), "b": Left(100, 200)}
    one = taken["0"].progress
    one.read_bytes, one.written_bytes = 90, 80
    # Nothing of it was read back.
    assert queue.left() == {"a": Left(10, 200), "b": Left(100, 120)}
    one.proven_bytes = 50
    assert queue.left() == {"a": Left(10, 200), "b": Left(100, 70)}
    one.restart()  # From another source, perhaps.
    assert queue.left() == {"a": Left(100, 200), "b": Left(100, 200)}
    for ended in taken.values():
        queue.done(ended)
    assert queue.left() == {}
    # What was planned anew is another plan of the same copy.
    queue.replan([Planned(need, "c", "a") for need in needs])
    last = queue.take()
    assert last is not None
    last.progress.read_bytes = 30
    assert queue.left() == {"c": Left(70, 0), "a": Left(0, 200)}


def test_every_copy_is_taken_once_by_many_threads():
    planned = [
        Planned(Need(f"{n}", MIB, n % 3, [], []), "abcd"[n % 4], "abcd"[(n // 4) % 4])
        for n in range(300)
    ]
    queue, taken = CopyQueue.of(planned), list[str]()
    threads = [
        threading.Thread(target=lambda: taken.extend(one.need.shard_id for one in queue))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [f"{n}" for n in range(300)]
