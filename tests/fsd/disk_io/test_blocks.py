"""Pieces of records as a disk's process gives them: right, verified, and nothing is lent."""

from __future__ import annotations

import os
import signal

import pytest
from shard_fixture import SHARD_ID, Shard, build_shard, store_shard

from base.errors import DrystoneError
from fsd.disk_io.queue_rule import PIECE_BYTES
from fsd.disk_io.reading.blocks import piece_count
from fsd.format import layout
from fsd.format.errors import CorruptError, DiskError
from fsd.format.record import payload_offset
from fsd.process.process import Child
from fsd.process.slots import SlotPool

pytest_plugins = ("child_fixture",)

HEX_ID = SHARD_ID.hex()
SIZES = (0, 1, 4095, 65_536, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 5 * PIECE_BYTES + 77)


@pytest.fixture
def shard(disk: tuple[str, str]) -> Shard:
    """A sealed shard of records of all sizes on the disk."""
    made = build_shard([[os.urandom(size) for size in SIZES]])
    store_shard(disk[0], made, bytes(made.sealed()))
    return made


def read_piece(child: Child, entry, number: int = 0) -> bytes:
    return child.call("read_piece", HEX_ID, entry.offset, entry.length_bytes, entry.key, number)


def read_whole(child: Child, entry) -> bytes:
    pieces = [read_piece(child, entry, n) for n in range(piece_count(entry.length_bytes))]
    assert all(len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


def test_all_sizes_in_any_order(child: Child, shard: Shard):
    for entry in (*shard.entries, *reversed(shard.entries)):
        assert read_whole(child, entry) == shard.payload(entry)
    large = shard.entries[-1]
    for number in (4, 0, 5, 1, 1, 2, 3):
        start = number * PIECE_BYTES
        assert (
            read_piece(child, large, number) == (shard.payload(large)[start : start + PIECE_BYTES])
        )


@pytest.mark.parametrize("number", [3, 7])
def test_what_is_damaged_is_refused_and_right_again_when_it_is_healed(
    child: Child, disk: tuple[str, str], shard: Shard, number: int
):
    """In its table, and in one block: the other pieces of it stay readable."""
    entry = shard.entries[number]
    path = layout.shard_path(disk[0], HEX_ID)
    payload = entry.offset + payload_offset(entry.length_bytes)
    places = {payload - 1: -1, payload: 0, payload + entry.length_bytes - 1: -1}
    for place, piece in places.items():
        flip(path, place)
        bad = range(piece_count(entry.length_bytes))[piece]
        with pytest.raises(CorruptError):
            read_piece(child, entry, bad)
        if number == 7:
            assert (
                read_piece(child, entry, 2)
                == (shard.payload(entry)[2 * PIECE_BYTES : 3 * PIECE_BYTES])
            )
        flip(path, place)
        assert read_whole(child, entry) == shard.payload(entry)


def flip(path: str, place: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
        file.flush()
        os.fsync(file.fileno())


def test_another_record_or_none_is_an_error(child: Child, disk: tuple[str, str], shard: Shard):
    small, large = shard.entries[2], shard.entries[-1]
    for one, other in ((small, large), (large, small)):
        with pytest.raises(CorruptError):
            child.call("read_piece", HEX_ID, one.offset, other.length_bytes, other.key, 0)
    for entry in (small, large):
        with pytest.raises(CorruptError):
            child.call("read_piece", HEX_ID, entry.offset, entry.length_bytes, bytes(32), 0)
    os.truncate(layout.shard_path(disk[0], HEX_ID), large.offset + 2 * PIECE_BYTES)
    with pytest.raises(CorruptError):
        read_piece(child, large, 3)
    with pytest.raises(DiskError):
        child.call("read_piece", "ab" * 16, 0, 1, bytes(32), 0)


def test_a_replica_that_is_replaced_is_read_anew(
    child: Child, pool: SlotPool, disk: tuple[str, str], shard: Shard
):
    entry = shard.entries[-1]
    path = layout.shard_path(disk[0], HEX_ID)
    sound = bytes(shard.sealed())
    flip(path, entry.offset + 5000)
    with pytest.raises(CorruptError):
        read_whole(child, entry)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(layout.part_path(disk[0], HEX_ID), "wb") as file:
        file.write(sound)
    child.call("adopt_part", HEX_ID)
    assert read_whole(child, entry) == shard.payload(entry)


def test_a_read_that_hangs_borrows_nothing(child: Child, pool: SlotPool, shard: Shard):
    """Any number of them, until the disk answers or its process is killed."""
    os.kill(child.pid, signal.SIGSTOP)
    entry = shard.entries[3]
    arguments = ("read_piece", HEX_ID, entry.offset, entry.length_bytes, entry.key, 0)
    requests = [child.request(*arguments) for _ in range(100)]
    slots = [pool.acquire(0.001) for _ in range(3)]
    for slot in slots:
        pool.release(slot)
    asked, silent_s, _ = child.owing("read_piece")
    assert asked == 100 and silent_s > 0
    os.kill(child.pid, signal.SIGCONT)
    for request in requests[:50]:
        assert request.result(60) == shard.payload(entry)
    os.kill(child.pid, signal.SIGSTOP)
    late = child.request(*arguments)
    child.kill()
    with pytest.raises(DiskError):
        late.result(60)
    with pytest.raises(DrystoneError):
        child.request(*arguments).result(0)
    assert child.owing("read_piece") == (0, 0.0, 0)
