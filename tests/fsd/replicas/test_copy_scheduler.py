"""Whose turn it is among the pieces of all copies: disks stay busy, and nothing is given twice."""

import itertools
import random
import threading
from collections import Counter

import pytest

from fsd.replicas.copy_scheduler import (
    PACE_BYTES_EXPECTED,
    REQUESTS_PER_DISK,
    RUN_PIECES_MAX,
    CopyScheduler,
    CopyStep,
    Flow,
    Turn,
)

SHARDS = itertools.count()


def reading(ways: str = "ab", total: int = 100, done: int = 0) -> Turn:
    return Turn(f"{next(SHARDS)}", ways[0], ways[1], Flow(total, done), CopyStep.READ)


def writing(ways: str = "ab", total: int = 100, done: int = 0) -> Turn:
    return Turn(f"{next(SHARDS)}", ways[1], ways[1], Flow(total, done), CopyStep.WRITE)


def proving(ways: str = "ab", total: int = 100, done: int = 0) -> Turn:
    return Turn(f"{next(SHARDS)}", ways[1], ways[1], Flow(total, done), CopyStep.PROVE)


def ask(turns: CopyScheduler, *asked: Turn) -> list[Turn]:
    return [turns.ask(turn) for turn in asked]


def came(*asked: Turn) -> list[bool]:
    return [turn.came.done() for turn in asked]


def test_a_disk_has_few_requests_at_a_time_and_all_disks_have_some():
    turns = CopyScheduler(100)
    of_a = ask(turns, *(reading("ab") for _ in range(5)))
    of_c = ask(turns, *(reading("cd") for _ in range(5)))
    assert sum(came(*of_a)) == sum(came(*of_c)) == REQUESTS_PER_DISK
    turns.leave(of_a[0])
    assert (sum(came(*of_a)), sum(came(*of_c))) == (REQUESTS_PER_DISK + 1, REQUESTS_PER_DISK)


def test_nothing_is_read_without_a_slot_and_what_was_read_is_written_without_another():
    turns = CopyScheduler(2)
    first, second, third = ask(turns, reading("ab"), reading("cd"), reading("ef"))
    assert came(first, second, third) == [True, True, False]
    turns.leave(first)
    assert not third.came.done()  # The slot is full until it is written.
    write = turns.ask(writing("ab"))
    assert write.came.done()
    turns.leave(write)
    turns.finish("b", first.flow, 10)
    assert third.came.done()
    assert first.flow.share == 0.1


def test_a_disk_with_nothing_to_write_is_served_before_the_flow_that_is_behind():
    turns = CopyScheduler(100)
    # Of what is read for b, three pieces are under way.
    held = ask(turns, *(reading("xb") for _ in range(2)), reading("yb"))
    busy = ask(turns, reading("ac"), reading("ac"))
    behind, starving = ask(turns, reading("ab"), reading("ad", 100, 90))
    turns.leave(busy[0])
    assert came(behind, starving) == [False, True]
    assert all(came(*held))


def test_among_busy_disks_the_flow_that_is_behind_comes_first():
    turns = CopyScheduler(100)
    ask(turns, *(reading("xb") for _ in range(2)), *(reading("yc") for _ in range(2)))
    busy = ask(turns, reading("ae"), reading("ae"))
    ahead, behind, write = ask(
        turns, reading("ab", 100, 50), reading("ac", 1000, 400), writing("xa", 100, 45)
    )
    assert came(ahead, behind, write) == [False] * 3
    turns.leave(busy[0])
    assert came(ahead, behind, write) == [False, True, False]
    turns.leave(busy[1])
    assert came(ahead, behind, write) == [False, True, True]


def test_what_is_read_back_goes_on_unless_another_disk_would_be_idle():
    turns = CopyScheduler(100)
    ask(turns, *(reading("xc") for _ in range(2)))  # Enough for c to write.
    running = ask(turns, *(writing("xb") for _ in range(REQUESTS_PER_DISK)))
    write, *proofs = ask(turns, writing("xb"), *(proving("xb", 100, 99) for _ in range(3)))
    turns.leave(running[0])
    assert came(write, *proofs) == [False, True, False, False]
    # It reads for b itself, and for c, which has something: they wait. For d nothing was read yet.
    for_c, for_d = ask(turns, reading("bc"), reading("bd", 100, 90))
    turns.leave(running[1])
    assert came(for_c, for_d, *proofs) == [False, True, True, False, False]
    turns.leave(proofs[0])
    turns.leave(for_d)
    assert came(write, for_c, *proofs) == [False, False, True, True, True]
    turns.leave(proofs[1])
    turns.leave(proofs[2])
    assert came(write, for_c) == [True, True]


def test_of_one_copy_the_pieces_keep_their_order():
    turns, flow = CopyScheduler(100), Flow(100)
    pieces = ask(turns, *(Turn("s", "b", "b", flow, CopyStep.WRITE) for _ in range(6)))
    order = list[int]()
    for _ in pieces:
        out = [n for n, turn in enumerate(pieces) if turn.came.done() and n not in order]
        order.append(out[0])
        turns.leave(pieces[out[0]])
    assert order == sorted(order)


def test_a_disk_goes_on_with_a_copy_for_a_few_pieces():
    turns, ahead, behind = CopyScheduler(100), Flow(100, 90), Flow(100)
    pieces = ask(
        turns,
        *(Turn("s", "b", "b", ahead, CopyStep.WRITE) for _ in range(RUN_PIECES_MAX + 2)),
        *(Turn("t", "b", "b", behind, CopyStep.WRITE) for _ in range(RUN_PIECES_MAX + 2)),
    )
    order = list[Turn]()
    for done in range(len(pieces)):
        order += [turn for turn in pieces if turn.came.done() and turn not in order]
        turns.leave(order[done])
    # What is behind goes on for longer than that.
    expected = "s" * RUN_PIECES_MAX + "t" * (RUN_PIECES_MAX + 2) + "ss"
    assert "".join(turn.shard_id for turn in order) == expected


def test_a_run_takes_no_slot_from_the_flow_of_another_disk_that_is_behind():
    turns = CopyScheduler(8)
    running = [Turn("s", "a", "b", Flow(100, 90), CopyStep.READ) for _ in range(3)]
    ask(turns, *running[:2])
    held = ask(turns, *(reading(ways) for ways in ("uc", "uc", "vd", "vd", "we", "we")))
    behind = reading("yb")
    ask(turns, behind, running[2])
    assert came(behind, running[2]) == [False, False]
    turns.leave(running[0])  # Its disk could go on, but there is no slot.
    assert came(behind, running[2]) == [False, False]
    turns.leave(held[0])
    turns.finish("c", held[0].flow, 1)
    assert came(behind, running[2]) == [True, False]


def test_what_is_read_and_what_is_written_of_a_copy_are_not_in_one_place():
    turns = CopyScheduler(100)
    held = ask(turns, *(Turn("s", "b", "b", Flow(100, 90), CopyStep.WRITE) for _ in range(2)))
    ask(turns, *(reading("xc") for _ in range(2)))
    other, behind = ask(turns, Turn("s", "b", "c", Flow(100, 90), CopyStep.READ), writing("xb"))
    turns.leave(held[0])
    assert came(other, behind) == [False, True]


def test_a_disk_that_hangs_does_not_get_all_slots():
    turns = CopyScheduler(8)
    for _ in range(20):  # Everything is read at once, nothing is ever written.
        turn = turns.ask(Turn("s", "a", "hangs", Flow(100), CopyStep.READ))
        if turn.came.done():
            turns.leave(turn)
    other = turns.ask(Turn("t", "a", "b", Flow(100, 99), CopyStep.READ))
    assert other.came.done()


@pytest.mark.parametrize("step", list(CopyStep))
@pytest.mark.parametrize("came_before", [False, True])
def test_what_is_withdrawn_leaves_nothing_behind(step: CopyStep, came_before: bool):
    turns = CopyScheduler(2 * REQUESTS_PER_DISK)
    held = list[Turn]()
    if not came_before:
        held = ask(turns, *(reading("aa") for _ in range(REQUESTS_PER_DISK)))
    turn = turns.ask(Turn("s", "a", "a", Flow(100), step))
    assert turn.came.done() == came_before
    turns.withdraw(turn)
    for one in held:
        turns.leave(one)
        turns.finish("a", one.flow, 0)
    later = ask(turns, *(reading("ab") for _ in range(9)))
    assert sum(came(*later)) == REQUESTS_PER_DISK == sum(turn.came.done() for turn in later)


def test_many_copies_in_many_threads_end_and_leave_all_free():
    turns, chance = CopyScheduler(4), random.Random(3)
    out, most, lock = Counter[str](), Counter[str](), threading.Lock()
    ways = [tuple(chance.sample("abc", 2)) for _ in range(12)]
    flows = {way: Flow(20) for way in ways}

    def piece(turn: Turn) -> None:
        turns.ask(turn).came.result()
        with lock:
            out[turn.disk_id] += 1
            most[turn.disk_id] = max(most[turn.disk_id], out[turn.disk_id])
        with lock:
            out[turn.disk_id] -= 1
        turns.leave(turn)

    def copy(source: str, target: str) -> None:
        flow, shard = flows[source, target], f"{next(SHARDS)}"
        for _ in range(20):
            piece(Turn(shard, source, target, flow, CopyStep.READ))
            piece(Turn(shard, target, target, flow, CopyStep.WRITE))
            piece(Turn(shard, target, target, flow, CopyStep.PROVE))
            turns.finish(target, flow, 1)

    threads = [threading.Thread(target=copy, args=way) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most.values()) <= REQUESTS_PER_DISK
    assert sum(flow.done_bytes for flow in flows.values()) == 20 * len(ways)
    free = ask(turns, *(Turn("s", f"{n}", f"{n}", Flow(1), CopyStep.READ) for n in range(5)))
    assert sum(came(*free)) == 4


def test_a_disks_pace_is_what_its_pieces_took_one_after_the_other():
    now_s = 100.0
    turns = CopyScheduler(100, clock=lambda: now_s)
    first, second, third = ask(turns, reading(), reading(), reading())
    now_s += 2
    assert turns.leave(first) == pytest.approx(2)
    now_s += 4
    assert turns.leave(second) == pytest.approx(4)  # It waited for the first.
    now_s += 100
    assert turns.leave(third) == pytest.approx(100)
    now_s += 1000
    idle = turns.ask(reading())  # What lies between two pieces is nobody's.
    now_s += 3
    assert turns.leave(idle) == pytest.approx(3)
    assert turns.pace_s("a", 7.0, writes=False) == 7.0
    turns.note_pace("a", 0.0, PACE_BYTES_EXPECTED, writes=False)
    assert turns.pace_s("a", 7.0, writes=False) == pytest.approx(3.5)
    turns.note_pace("a", 0.0, 2 * PACE_BYTES_EXPECTED, writes=False)
    assert turns.pace_s("a", 8.0, writes=False) == pytest.approx(2.0)
    assert turns.pace_s("a", 7.0, writes=True) == 7.0


def test_a_disk_that_became_slow_is_known_as_slow_soon():
    turns, size = CopyScheduler(100), 64 << 20
    for piece in range(400):
        turns.note_pace("b", 1.0 if piece < 300 else 10.0, size, writes=True)
    assert 7 / size <= turns.pace_s("b", 1 / size, writes=True) < 10 / size
