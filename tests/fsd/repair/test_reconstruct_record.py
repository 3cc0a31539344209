"""A large record out of damaged replicas: its table may be wrong, its blocks lie anywhere."""

from __future__ import annotations

import contextlib
import gc
import os
import random
from collections.abc import Callable

import pytest
from bad_disk_fixture import bad_disk
from shard_fixture import SHARD_ID, Shard, build_shard, store_shard

from fsd.disk_io.place.identity import make_identity
from fsd.format.layout import shard_path
from fsd.format.record import BLOCK_BYTES, RECORD_HEADER_BYTES, Entry, block_count, payload_offset
from fsd.process.process import Child
from fsd.process.slots import SlotPool
from fsd.repair.reconstruct_record import Records, ReplicaReader

pytest_plugins = ("child_fixture",)

STORE = "5" * 32
ROOM = 256 << 10
SIZE = (2 << 20) + 5000
BLOCKS = block_count(SIZE)
Hits = dict[int, list[tuple[int, int]]]
"""By replica: which bytes of the file are damaged."""


@pytest.fixture
def shard() -> Shard:
    return build_shard([[os.urandom(3000), os.urandom(SIZE), os.urandom(500)]])


def large(shard: Shard) -> Entry:
    return next(entry for entry in shard.entries if entry.length_bytes == SIZE)


def in_table(shard: Shard, block: int) -> tuple[int, int]:
    return large(shard).offset + RECORD_HEADER_BYTES + 8 * block, 8


def in_block(shard: Shard, block: int) -> tuple[int, int]:
    return large(shard).offset + payload_offset(SIZE) + block * BLOCK_BYTES + 7, 100


def damaged(shard: Shard, hits: list[tuple[int, int]]) -> bytes:
    data = shard.sealed()
    for offset, length in hits:
        for place in range(offset, offset + length):
            data[place] ^= 0xA5
    return bytes(data)


def disk_with(
    data: bytes, shard: Shard, folder: str, number: int, spawn: Callable[[], Child]
) -> tuple[Child, str]:
    path = os.path.join(folder, f"disk{number}")
    os.mkdir(path)
    disk_id = make_identity(path, STORE, f"d{number}")["disk_id"]
    store_shard(path, shard, data)
    child = spawn()
    child.call("attach", path, disk_id, STORE, 1)
    return child, shard_path(path, SHARD_ID.hex())


def read_whole(
    shard: Shard,
    disks: list[Child],
    pool: SlotPool,
    elsewhere: Callable[[Entry, int], bytes | None] = lambda _entry, _piece: None,
) -> tuple[bytes, list[Entry]]:
    slot = pool.acquire()
    readers = [
        ReplicaReader(disk, SHARD_ID.hex(), slot, number * ROOM, ROOM)  # pyright: ignore
        for number, disk in enumerate(disks)
    ]
    records = Records(readers, elsewhere)
    table, pieces = records.payload(large(shard))
    found = bytes(table), b"".join(map(bytes, pieces))
    pool.release(slot)
    start = large(shard).offset + RECORD_HEADER_BYTES
    assert records.lost or found[0] == shard.data[start : start + 8 * BLOCKS]
    return found[1], records.lost


@pytest.fixture
def pool():
    pool = SlotPool(1, 4 * (2 << 20))
    yield pool
    gc.collect()  # A failed request holds the frames that asked, and these hold views.
    pool.close()


def check(shard: Shard, hits: Hits, spawn, pool: SlotPool, folder: str, cut_off: bool = False):
    """Read the record out of replicas with this damage; the first may end before it begins."""
    disks: list[Child] = []
    for number, places in hits.items():
        data = damaged(shard, places)
        if cut_off and number == 0:
            data = data[: large(shard).offset // 4096 * 4096]
        disks.append(disk_with(data, shard, folder, number, spawn)[0])
    found, lost = read_whole(shard, disks, pool)
    assert not lost and found == shard.payload(large(shard))


@pytest.mark.fault
def test_the_only_table_is_damaged(shard: Shard, spawn, pool: SlotPool, short_tmp: str):
    """Nobody else has one, or anything of the record: its blocks are what there is."""
    hits = {0: [], 1: [in_table(shard, 3), in_table(shard, BLOCKS - 1)]}
    check(shard, hits, spawn, pool, short_tmp, cut_off=True)


def test_one_replica_is_left_and_its_table_is_damaged(
    shard: Shard, spawn, pool: SlotPool, short_tmp: str
):
    check(shard, {0: [in_table(shard, 0)]}, spawn, pool, short_tmp)


@pytest.mark.parametrize("table", [0, 1])
def test_a_table_that_cannot_be_read_and_a_damaged_one(
    shard: Shard, spawn, pool: SlotPool, short_tmp: str, table: int
):
    """Each replica lacks another block; of one a bad sector hides the table."""
    both = in_table(shard, 5)
    hits = {0: [in_block(shard, 2)], 1: [in_block(shard, 9), both, in_table(shard, 2)]}
    data = [damaged(shard, hits[number]) for number in (0, 1)]
    sector = in_table(shard, 0)[0] // 4096 * 4096
    with contextlib.ExitStack() as stack:
        disks: list[Child] = []
        for number in (0, 1):
            child, path = disk_with(data[number], shard, short_tmp, number, spawn)
            disks.append(child)
            if number == 0:
                copy = os.path.join(short_tmp, "copy")
                with open(copy, "wb") as file:
                    file.write(data[number])
                folder = os.path.dirname(path)
                stack.enter_context(bad_disk(folder, copy, [(sector, sector + 4096)]))
        disks = disks[::-1] if table else disks
        found, lost = read_whole(shard, disks, pool)
    assert not lost and found == shard.payload(large(shard))


@pytest.mark.fault
def test_no_table_says_which_of_two_blocks_is_right(
    shard: Shard, spawn, pool: SlotPool, short_tmp: str
):
    """Then the sha256 does: a few blocks in which both tables are wrong, and a replica."""
    both = [in_table(shard, block) for block in (4, 11, 20)]
    hits = {0: [*both, in_block(shard, 4), in_block(shard, 20)], 1: [in_block(shard, 11)]}
    hits[1] += [(offset + 1, 2) for offset, _ in both]
    check(shard, hits, spawn, pool, short_tmp)


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(4))
def test_whatever_each_replica_lacks(
    shard: Shard, spawn, pool: SlotPool, short_tmp: str, seed: int
):
    chance = random.Random(seed)
    hits: Hits = {0: [], 1: [], 2: []}
    for block in range(BLOCKS):
        sound = chance.randrange(3)
        for number in {0, 1, 2} - {sound}:
            hits[number] += [in_block(shard, block)] * (chance.random() < 0.5)
    for number in hits:
        # The tables of two at most in one place.
        for block in chance.sample(range(number, BLOCKS, 3), 4):
            hits[number].append(in_table(shard, block))
    check(shard, hits, spawn, pool, short_tmp)


def test_a_block_that_is_sound_nowhere_is_a_loss(
    shard: Shard, spawn, pool: SlotPool, short_tmp: str
):
    """Also with doubts about others; what lies elsewhere in the store ends it."""
    tables = [in_table(shard, block) for block in (1, 6)]
    hits = {0: [in_block(shard, 6), in_block(shard, 1), *tables], 1: []}
    hits[1] += [(offset + 1, length) for offset, length in (in_block(shard, 6), *tables)]
    disks = [
        disk_with(damaged(shard, hits[number]), shard, short_tmp, number, spawn)[0]
        for number in (0, 1)
    ]
    _, lost = read_whole(shard, disks, pool)
    assert lost == [large(shard)]
    whole = shard.payload(large(shard))

    def elsewhere(_entry: Entry, piece: int) -> bytes:
        return whole[piece << 20 : (piece + 1) << 20]

    found, lost = read_whole(shard, disks, pool, elsewhere)
    assert not lost and found == whole
