"""Scrubbing in a disk's process: beside other requests, at its rate, until it is stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotYet

import pytest
from shard_fixture import SHARD_ID, build_shard, store_shard

from fsd.format.errors import CancelledError
from fsd.process.process import Child, Watchdog
from fsd.process.slots import SlotPool

pytest_plugins = ("child_fixture",)

HEX_ID = SHARD_ID.hex()
MIB = 1 << 20
SLOW = 1000.0
"""Bytes a second: a shard of some MiB takes hours."""


@pytest.fixture
def large(disk: tuple[str, str]) -> bytes:
    """A sealed shard of 12 MiB on the disk, with records smaller and larger than a window."""
    shard = build_shard([[os.urandom(n) for n in (300_000, 5 * MIB, 700)], [os.urandom(6 * MIB)]])
    content = bytes(shard.sealed())
    store_shard(disk[0], shard, content)
    return content


def test_it_finds_what_verify_finds(child: Child, disk: tuple[str, str], large: bytes):
    sound = child.call("scrub", HEX_ID, 0.0)
    assert (sound.problems, sound.objects, sound.read_bytes) == ([], 4, len(large))
    for place in (100, 5000, 6 * MIB, len(large) - 6000):
        damaged = bytearray(large)
        damaged[place] ^= 1
        store_shard(disk[0], build_shard([[b"x"]]), bytes(damaged))
        assert child.call("scrub", HEX_ID, 0.0).problems == child.call("verify", HEX_ID).problems


def test_others_are_answered_while_a_scrub_goes_on(child: Child, pool: SlotPool, large: bytes):
    scrub = child.request("scrub", HEX_ID, SLOW, priority=2)
    slot = pool.acquire()
    for _ in range(20):
        assert child.call("read_window", HEX_ID, 0, slot.number, 0, 4096) == 4096
        assert bytes(slot.view[:4096]) == large[:4096]
    assert child.call("verify", HEX_ID).problems == []
    assert not scrub.done()
    child.call("scrub_stop")
    with pytest.raises(CancelledError):
        scrub.result(60)
    pool.release(slot)


def test_a_stopped_scrub_does_not_stop_the_next(child: Child, large: bytes):
    child.call("scrub_stop")
    assert child.call("scrub", HEX_ID, 0.0).problems == []


def test_a_slow_scrub_is_not_taken_for_a_hanging_disk(spawn: Callable[[], Child], disk, large):
    child = spawn()
    child.call("attach", disk[0], disk[1], "5" * 32, 1)
    troubles: list[str] = []
    child.on_trouble = troubles.append
    watchdog = Watchdog(lambda: [child], 1.5)
    scrub = child.request("scrub", HEX_ID, SLOW)
    with pytest.raises(NotYet):
        scrub.result(4.0)
    assert child.alive
    assert troubles == []
    child.call("scrub_stop")
    with pytest.raises(CancelledError):
        scrub.result(60)
    watchdog.stop()


def test_a_busy_disk_is_scrubbed_all_the_same(child: Child, pool: SlotPool, disk: tuple[str, str]):
    """Not one moment without another request, and it still comes to its end."""
    shard = build_shard([[os.urandom(2 * MIB), b"small"]])
    store_shard(disk[0], shard, bytes(shard.sealed()))
    slots = [pool.acquire(), pool.acquire()]
    scrub = child.request("scrub", HEX_ID, 0.0, priority=2)
    deadline = time.monotonic() + 120

    def read(slot):
        return child.request("read_window", HEX_ID, 0, slot.number, 0, MIB, slots=(slot,))

    flight = [read(slot) for slot in slots]
    turn = 0
    while not scrub.done() and time.monotonic() < deadline:
        flight[turn].result()
        flight[turn] = read(slots[turn])
        turn = 1 - turn
    for future in flight:
        future.result()
    assert scrub.result(0).problems == []
    for slot in slots:
        pool.release(slot)
