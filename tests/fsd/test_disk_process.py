"""What a disk's process does with files: lock, epoch, catalog, healing, copies, quarantine."""

import os
from collections.abc import Callable

import pytest
from shard_fixture import SHARD_ID, build_shard, store_shard

from fsd import layout
from fsd.errors import CorruptError, DiskRefusedError
from fsd.process import Child
from fsd.shard_file import OPEN_FILES_MAX
from fsd.slots import SlotPool

pytest_plugins = ("child_fixture",)

STORE = "5" * 32
HEX_ID = SHARD_ID.hex()


def test_a_disk_has_one_engine(child: Child, spawn: Callable[[], Child], disk: tuple[str, str]):
    other = spawn()
    with pytest.raises(DiskRefusedError, match="holds the lock"):
        other.call("attach", disk[0], disk[1], STORE, 2)
    child.kill()
    assert child.wait_dead(5)
    other.call("attach", disk[0], disk[1], STORE, 2)
    assert other.call("epoch", disk[0]) == 2
    other.kill()
    assert other.wait_dead(5)
    with pytest.raises(DiskRefusedError, match=r"took .* over"):
        spawn().call("attach", disk[0], disk[1], STORE, 1)


def test_a_disk_that_was_taken_over_is_noticed(child: Child, disk: tuple[str, str]):
    with open(os.path.join(disk[0], layout.EPOCH_NAME), "w") as file:
        file.write('{"epoch": 5}')
    with pytest.raises(DiskRefusedError, match="another engine took"):
        child.call("check", disk[1], 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"epoch": null}', '{"epoch": "x"}'])
def test_a_damaged_epoch_counts_as_none(child: Child, disk: tuple[str, str], text: str):
    with open(os.path.join(disk[0], layout.EPOCH_NAME), "w") as file:
        file.write(text)
    assert child.call("epoch", disk[0]) == 0


def test_the_catalog_grows_by_sectors(child: Child, disk: tuple[str, str]):
    first, second = b"1" * 4096, b"2" * 8192
    child.call("append_catalog", first)
    with open(os.path.join(disk[0], layout.CATALOG_NAME), "ab") as file:
        file.write(b"torn")
    child.call("append_catalog", second)
    assert child.call("read_catalog") == first + b"torn" + bytes(4092) + second


def test_a_healed_replica_is_read_from_then_on(child: Child, pool: SlotPool, disk: tuple[str, str]):
    shard = build_shard([[b"hello"]])
    damaged = shard.sealed()
    damaged[4200] ^= 1
    store_shard(disk[0], shard, bytes(damaged))
    assert len(child.call("verify", HEX_ID).problems) == 1
    slot = pool.acquire()
    slot.view[: len(damaged)] = shard.sealed()
    child.call("create_shard", HEX_ID, b"", len(damaged), True)
    child.call("append", HEX_ID, 0, slot.number, 0, len(damaged), True)
    child.call("finish_shard", HEX_ID, len(damaged), True)
    assert len(child.call("verify", HEX_ID).problems) == 1
    child.call("adopt_part", HEX_ID)
    assert child.call("verify", HEX_ID).problems == []
    pool.release(slot)


def test_a_copy_is_not_disturbed_by_other_reads(
    child: Child, pool: SlotPool, disk: tuple[str, str]
):
    shard = build_shard([[bytes(100)] for _ in range(3)])
    store_shard(disk[0], shard)
    slot = pool.acquire()
    assert child.call("copy_begin", HEX_ID) == len(shard.sealed())
    copied = bytearray()
    others = [f"{number:032x}" for number in range(OPEN_FILES_MAX + 5)]
    for other in others:
        path = layout.shard_path(disk[0], other)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(bytes(4096))
    while True:
        offset, length = child.call("copy_next", HEX_ID, slot.number)
        assert offset == len(copied)
        if length == 0:
            break
        copied += slot.view[:length]
        if offset == 0:
            for other in others:
                child.call("read_window", other, 0, slot.number, 0, 4096)
    assert copied == shard.sealed()
    assert open_files(child) < OPEN_FILES_MAX + 40
    pool.release(slot)


def open_files(child: Child) -> int:
    return len(os.listdir(f"/proc/{child.pid}/fd"))


def test_copies_that_fail_or_are_given_up_leave_nothing_open(
    child: Child, pool: SlotPool, disk: tuple[str, str]
):
    shard = build_shard([[b"hello"]])
    damaged = shard.sealed()
    damaged[4200] ^= 1
    store_shard(disk[0], shard, bytes(damaged))
    slot = pool.acquire()
    before = open_files(child)
    for _ in range(5):
        child.call("copy_begin", HEX_ID)
        child.call("copy_next", HEX_ID, slot.number)
    with pytest.raises(CorruptError):
        child.call("copy_next", HEX_ID, slot.number)
    assert open_files(child) == before
    pool.release(slot)


def test_nothing_set_aside_is_ever_replaced(child: Child, disk: tuple[str, str]):
    shard = build_shard([[b"hello"]])
    for number in range(3):
        store_shard(disk[0], shard, b"%d" % number)
        child.call("quarantine_shard", HEX_ID)
    folder = os.path.join(disk[0], layout.QUARANTINE_NAME)
    assert {open_read(os.path.join(folder, name)) for name in os.listdir(folder)} == {
        b"0",
        b"1",
        b"2",
    }


def open_read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
