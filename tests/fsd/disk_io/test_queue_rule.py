"""Who may use a disk: the rule by itself, its gate, and a disk's process that keeps to it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shard_fixture import SHARD_ID, build_shard, store_shard

from fsd.disk_io.queue_rule import ACTIVE_S, GRACE_S, PIECE_BYTES, WAIT_S_MAX, Gate, Kind, QueueRule
from fsd.process.process import Child
from fsd.process.slots import SlotPool

pytest_plugins = ("child_fixture",)

HEX_ID = SHARD_ID.hex()
MIB = 1 << 20
FOREGROUND, BATCH, BACKGROUND, SCRUB = Kind
HOLE_BYTES = 1 << 20


def may_begin(rule: QueueRule, kind: Kind, since_s: float = 100.0, now_s: float = 100.0) -> bool:
    """Ask for a request that has waited since then; it waits on."""
    rule.wait(kind, since_s)
    delay_s = rule.delay_s(kind, since_s, now_s)
    rule.leave(kind, since_s)
    return delay_s <= 0


def ran(rule: QueueRule, kind: Kind, now_s: float) -> None:
    rule.begin(kind)
    rule.end(kind, now_s)


# The rule


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("above", Kind)
def test_each_gives_way_to_those_above_it(above: Kind, kind: Kind):
    running, waiting, just_run, past = (QueueRule() for _ in range(4))
    running.begin(above)
    waiting.wait(above, 99.99)
    ran(just_run, above, 100.0 - GRACE_S / 2)
    ran(past, above, 100.0 - GRACE_S * 2)
    gives_way = above < kind
    assert may_begin(waiting, kind) == (not gives_way)
    assert may_begin(just_run, kind) == (not gives_way)
    assert may_begin(past, kind)
    alone = (above == kind and kind >= BACKGROUND) or (above, kind) == (SCRUB, BACKGROUND)
    assert may_begin(running, kind) == (not gives_way and not alone)


@pytest.mark.parametrize("kind", [BATCH, BACKGROUND, SCRUB])
def test_nobody_waits_for_those_above_for_longer_than_its_limit(kind: Kind):
    rule = QueueRule()
    rule.begin(FOREGROUND)
    limit_s = WAIT_S_MAX[kind]
    assert not may_begin(rule, kind, 100.0, 100.0 + 0.9 * limit_s)
    assert may_begin(rule, kind, 100.0, 100.0 + 1.1 * limit_s)


@pytest.mark.parametrize("other", [BATCH, BACKGROUND, SCRUB])
@pytest.mark.parametrize("kind", [BATCH, BACKGROUND, SCRUB])
def test_beside_the_foreground_there_is_one_request_in_flight(kind: Kind, other: Kind):
    """However long it waits, and also between two reads."""
    rule = QueueRule()
    ran(rule, FOREGROUND, 100.0)
    rule.begin(other)
    assert not may_begin(rule, kind, 101.0, 104.0)
    rule.end(other, 104.0)
    assert may_begin(rule, kind, 101.0, 104.0)


def test_an_overdue_request_goes_before_a_stream_of_more_urgent_ones():
    rule = QueueRule()
    ran(rule, FOREGROUND, 100.0)
    rule.wait(SCRUB, 100.0)
    assert may_begin(rule, BATCH, 100.2, 100.2)
    assert not may_begin(rule, BATCH, 100.6, 100.6)
    assert may_begin(rule, SCRUB, 100.0, 100.6)


@pytest.mark.parametrize("foreground", [True, False])
@pytest.mark.parametrize("kind", [BATCH, BACKGROUND, SCRUB])
def test_streams_of_a_kind_take_turns_by_time_and_not_by_pieces(kind: Kind, foreground: bool):
    """Each reads on for the limit of its kind, whether anybody reads single files or not."""
    rule, now_s = QueueRule(), 100.0
    if foreground:
        ran(rule, FOREGROUND, now_s)
    now_s += 1.0
    since_s = {"one": now_s, "other": now_s}
    turns: list[str] = []
    for moment_s in since_s.values():
        rule.wait(kind, moment_s)
    while len(turns) < 400:
        now_s += 0.002
        who = next((w for w, s in since_s.items() if rule.delay_s(kind, s, now_s, w) <= 0), "")
        if who:
            rule.leave(kind, since_s[who])
            rule.begin(kind, who)
            now_s += 0.008
            rule.end(kind, now_s)
            turns.append(who)
            since_s[who] = now_s
            rule.wait(kind, now_s)
    changes = sum(a != b for a, b in pairwise(turns))
    # A turn is as long as the limit, of pieces of 10 ms.
    assert 400 * 0.01 / WAIT_S_MAX[kind] * 0.5 <= changes <= 400 * 0.01 / WAIT_S_MAX[kind] + 2
    assert 100 < turns.count("one") < 300


def test_what_is_no_stream_neither_waits_for_a_turn_nor_takes_one():
    rule = QueueRule()
    rule.wait(BATCH, 100.0)
    rule.begin(BATCH, "export")
    assert rule.delay_s(BATCH, 100.0, 100.01, None) <= 0 < rule.delay_s(BATCH, 100.0, 100.01, "put")
    rule.begin(BATCH)
    rule.end(BATCH, 100.02)
    rule.end(BATCH, 100.02)
    # The export still has the turn, until it has paused.
    assert rule.delay_s(BATCH, 100.0, 100.02, "export") <= 0
    assert 0 < rule.delay_s(BATCH, 100.0, 100.02, "put") <= 1.1 * GRACE_S
    assert rule.delay_s(BATCH, 100.0, 100.021 + GRACE_S, "put") <= 0


def test_requests_are_large_only_where_nobody_minds():
    rule = QueueRule()
    assert rule.piece_bytes(BATCH, 8 * MIB, 100.0) == 8 * MIB
    assert rule.piece_bytes(BACKGROUND, 8 * MIB, 100.0) == PIECE_BYTES == MIB
    assert rule.piece_bytes(SCRUB, 4096, 100.0) == 4096
    ran(rule, FOREGROUND, 100.0)
    assert rule.piece_bytes(BATCH, 8 * MIB, 100.0 + 0.9 * ACTIVE_S) == PIECE_BYTES
    assert rule.piece_bytes(BATCH, 8 * MIB, 100.0 + 1.1 * ACTIVE_S) == 8 * MIB


@given(st.lists(st.tuples(st.sampled_from(Kind), st.booleans(), st.floats(0, 0.3)), max_size=60))
def test_somebody_may_always_begin(events: list[tuple[Kind, bool, float]]):
    """Whatever has happened: when all that runs has ended, one of those that wait may begin."""
    rule, now_s = QueueRule(), 100.0
    running: list[Kind] = []
    waiting: list[tuple[Kind, float]] = []
    for kind, begins, pause_s in events:
        now_s += pause_s
        if begins and kind != FOREGROUND:
            rule.wait(kind, now_s)
            waiting.append((kind, now_s))
        elif running and not begins:
            rule.end(running.pop(), now_s)
        else:
            rule.begin(kind)
            running.append(kind)
    for kind in running:
        rule.end(kind, now_s)
    while waiting:
        now_s += 1.0
        ready = [one for one in waiting if rule.delay_s(*one, now_s) <= 0]
        assert ready, (waiting, now_s)
        waiting.remove(ready[0])
        rule.leave(*ready[0])
        ran(rule, ready[0][0], now_s)


# The gate


def test_the_gate_lets_the_urgent_pass_first():
    gate, order = Gate(), list[str]()
    gate.arrive()
    stepped = threading.Semaphore(0)

    def pass_through(kind: Kind) -> None:
        gate.pass_in(kind, 4096, stepped.release)
        order.append(kind.name)
        gate.go_out(kind)

    threads = [threading.Thread(target=pass_through, args=(kind,)) for kind in (SCRUB, BATCH)]
    for thread in threads:
        thread.start()
        # It waits, and shows that it lives.
        assert stepped.acquire(timeout=60)
    order.append("FOREGROUND")
    gate.answer()
    for thread in threads:
        thread.join(60)
    assert order in (["FOREGROUND", "BATCH", "SCRUB"], ["BATCH", "FOREGROUND", "SCRUB"])


# A disk's process


def piece(child: Child, entry: Any, number: int = 0, priority: int = 0) -> Future[bytes]:
    arguments = (HEX_ID, entry.offset, entry.length_bytes, entry.key, number)
    return child.request("read_piece", *arguments, priority=priority)


@pytest.fixture
def large(disk: tuple[str, str]):
    """A sealed shard of 48 MiB on the disk; its first record is small."""
    shard = build_shard([[b"small"], [os.urandom(16 * MIB) for _ in range(3)]])
    store_shard(disk[0], shard, bytes(shard.sealed()))
    return shard


def test_single_reads_go_before_what_the_disk_is_busy_with(child: Child, pool: SlotPool, large):
    """They are answered one after the other while long work has begun and more of it waits."""
    slot = pool.acquire()
    done: list[str] = []

    def note(name: str, request: Future[Any]) -> Future[Any]:
        request.add_done_callback(lambda _: done.append(name))
        return request

    verify = [note("verify", child.request("verify", HEX_ID, priority=2)) for _ in range(3)]
    scrub = note("scrub", child.request("scrub", HEX_ID, 0.0, priority=2))
    for number in range(20):
        assert note(f"read{number}", piece(child, large.entries[0])).result(60) == b"small"
    assert done == [f"read{number}" for number in range(20)]
    for request in (*verify, scrub):
        assert request.result(60).problems == []
    pool.release(slot)


def test_background_goes_on_beside_a_foreground_that_never_rests(
    child: Child, disk: tuple[str, str]
):
    shard = build_shard([[b"small", os.urandom(2 * MIB)]])
    store_shard(disk[0], shard, bytes(shard.sealed()))
    verify = child.request("verify", HEX_ID, priority=2)
    scrub = child.request("scrub", HEX_ID, 0.0, priority=2)
    reads = [piece(child, shard.entries[0]) for _ in range(8)]
    count = 0
    while not (verify.done() and scrub.done()):
        # Eight are always waiting: the lane is not empty for one moment.
        assert reads.pop(0).result(60) == b"small"
        reads.append(piece(child, shard.entries[0]))
        count += 1
    assert verify.result(0).problems == scrub.result(0).problems == []
    assert count > 8
    for read in reads:
        read.result(60)


@pytest.mark.parametrize("foreground", [False, True])
def test_an_export_reads_a_mebibyte_after_the_other(
    child: Child, large, tmp_path: Path, foreground: bool
):
    """More at once is queued in the disk, in an order of its own; its process counts its reads."""
    target = tmp_path / "out"
    target.mkdir()
    items = [(e.offset, e.length_bytes, e.key, (b"%d" % n,)) for n, e in enumerate(large.entries)]
    if foreground:
        piece(child, large.entries[0]).result(60)
    before = reads_of(child)
    child.call("extract", 1, HEX_ID, items, str(target), HOLE_BYTES)
    assert 48 <= reads_of(child) - before < 48 + 16


def reads_of(child: Child) -> int:
    """Return how many system calls that read the process has made."""
    with open(f"/proc/{child.pid}/io", encoding="ascii") as file:
        return int(dict(line.split(": ") for line in file.read().splitlines())["syscr"])
