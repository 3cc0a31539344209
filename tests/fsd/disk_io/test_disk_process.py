"""What a disk's process does with files: lock, epoch, catalog, healing, copies, quarantine."""

import contextlib
import os
import shutil
from collections.abc import Callable

import pytest
from bad_disk_fixture import bad_disk
from shard_fixture import SHARD_ID, build_shard, store_shard

from base.errors import DrystoneError
from fsd.disk_io.catalog_file import CatalogFile
from fsd.disk_io.place.identity import read_identity, write_identity
from fsd.disk_io.shard_file import OPEN_FILES_MAX, no_step
from fsd.format import layout
from fsd.format.errors import CorruptError, DiskRefusedError
from fsd.process.process import Child
from fsd.process.slots import SlotPool

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


@pytest.mark.fault
def test_a_disk_that_was_taken_over_is_noticed(child: Child, disk: tuple[str, str]):
    with open(os.path.join(disk[0], layout.EPOCH_NAME), "w") as file:
        file.write('{"epoch": 5}')
    with pytest.raises(DiskRefusedError, match="another engine took"):
        child.call("check", disk[1], 1)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"epoch": null}', '{"epoch": "x"}'])
def test_a_damaged_epoch_counts_as_none(child: Child, disk: tuple[str, str], text: str):
    for name in (layout.EPOCH_NAME, layout.EPOCH_TWIN_NAME):
        with open(os.path.join(disk[0], name), "w") as file:
            file.write(text)
    assert child.call("epoch", disk[0]) == 0


def test_a_process_without_its_disk_takes_no_entry(spawn: Callable[[], Child]):
    """It would write them to wherever it was started."""
    with pytest.raises(DiskRefusedError, match="not attached"):
        spawn().call("append_catalog", b"1" * 4096)


def test_a_torn_frame_stays_where_it_is(
    child: Child, spawn: Callable[[], Child], disk: tuple[str, str]
):
    first, second = b"1" * 4096, b"2" * 8192
    child.call("append_catalog", first)
    end_child(child)
    with open(os.path.join(disk[0], layout.CATALOG_NAME), "r+b") as file:
        file.seek(len(first))
        file.write(b"torn")
    other = spawn()
    other.call("attach", disk[0], disk[1], STORE, 1)
    other.call("append_catalog", second)
    assert other.call("read_catalog") == first + b"torn" + bytes(4092) + second


def test_a_catalog_that_others_made_longer_goes_on_behind_it(child: Child, disk: tuple[str, str]):
    first, second = b"1" * 4096, b"2" * 8192
    child.call("append_catalog", first)
    path = os.path.join(disk[0], layout.CATALOG_NAME)
    size = os.path.getsize(path)
    with open(path, "ab") as file:
        file.write(b"torn")
    child.call("append_catalog", second)
    ahead = bytes(size - len(first))
    assert child.call("read_catalog") == first + ahead + b"torn" + bytes(4092) + second


def test_a_catalog_frame_within_the_zeros_changes_no_size(child: Child, disk: tuple[str, str]):
    path = os.path.join(disk[0], layout.CATALOG_NAME)
    sizes: list[int] = []
    frames = [bytes([number]) * 4096 for number in range(1, 140)]
    for frame in frames:
        child.call("append_catalog", frame)
        sizes.append(os.path.getsize(path))
    assert child.call("read_catalog") == b"".join(frames)
    assert len(set(sizes)) == 3, "every size is a journal commit of the filesystem"


def test_a_catalog_that_cannot_be_read_is_no_empty_one(tmp_path, short_tmp: str):
    """A bad sector costs itself; many are a disk that fails, and whoever needs all hears of one."""
    path, sector = str(tmp_path / "log"), 4096
    log = os.urandom(512 * sector)
    with open(path, "wb") as file:
        file.write(log)
    catalog = CatalogFile(no_step)
    with bad_disk(f"{short_tmp}/one", path, [(7 * sector, 8 * sector)]) as one:
        assert catalog.read(one) == log[: 7 * sector] + bytes(sector) + log[8 * sector :]
        with pytest.raises(OSError):
            catalog.read(one, whole=True)
    with bad_disk(f"{short_tmp}/all", path, [(0, len(log))]) as dying, pytest.raises(OSError):
        catalog.read(dying)


def test_another_medium_at_the_place_is_noticed(child: Child, disk: tuple[str, str]):
    """Though it has the same identity, as a clone has, and however busy the disk is."""
    assert child.call("check", disk[1], 1)
    os.rename(disk[0], f"{disk[0]}-away")
    shutil.copytree(f"{disk[0]}-away", disk[0])
    with pytest.raises(DiskRefusedError, match="holds another disk"):
        child.call("check", disk[1], 1)


def test_the_identity_is_read_from_an_idle_disk_and_seldom_from_a_busy_one(
    child: Child, disk: tuple[str, str]
):
    shard = build_shard([[b"hello"]])
    store_shard(disk[0], shard)
    entry, own = shard.entries[0], read_identity(disk[0])
    other = {**own, "disk_id": "0" * 32}
    unread = 0
    # Of a few, should the machine be so slow that it is time to read it again.
    for _ in range(5):
        write_identity(disk[0], own)
        for _ in range(2):
            child.call("check", disk[1], 1)
        child.call("read_piece", HEX_ID, entry.offset, entry.length_bytes, entry.key, 0)
        write_identity(disk[0], other)
        with contextlib.suppress(DiskRefusedError):
            child.call("check", disk[1], 1)
            unread += 1
        with pytest.raises(DiskRefusedError, match="holds another disk"):
            child.call("check", disk[1], 1)
    assert unread


def test_a_healed_replica_is_read_from_then_on(child: Child, pool: SlotPool, disk: tuple[str, str]):
    shard = build_shard([[b"hello"]])
    damaged = shard.sealed()
    damaged[4200] ^= 1
    store_shard(disk[0], shard, bytes(damaged))
    assert len(child.call("verify", HEX_ID).problems) == 1
    slot = pool.acquire()
    slot.view[: len(damaged)] = shard.sealed()
    child.call("copy_create", HEX_ID, len(damaged))
    child.call("copy_write", HEX_ID, 0, slot.number, len(damaged))
    child.call("copy_prove", HEX_ID, len(damaged))
    child.call("copy_finish", HEX_ID)
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
    while len(copied) < len(shard.sealed()):
        offset, length = child.call("copy_next", HEX_ID, slot.number, 8192)
        assert offset == len(copied)
        copied += slot.view[:length]
        if offset == 0:
            for other in others:
                child.call("read_window", other, 0, slot.number, 0, 4096)
    assert copied == shard.sealed()
    assert open_files(child) < OPEN_FILES_MAX + 40
    pool.release(slot)


def end_child(child: Child) -> None:
    child.kill()
    assert child.wait_dead(5)


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
        child.call("copy_next", HEX_ID, slot.number, 4096)
    with pytest.raises(CorruptError):
        child.call("copy_next", HEX_ID, slot.number, 1 << 20)
    assert open_files(child) == before
    child.call("copy_begin", HEX_ID)
    child.call("copy_end", HEX_ID)
    child.call("copy_end", HEX_ID)
    assert open_files(child) == before
    pool.release(slot)


def test_a_part_is_not_finished_before_all_of_it_was_read_back(
    child: Child, pool: SlotPool, disk: tuple[str, str]
):
    shard = build_shard([[os.urandom(70_000)]])
    data, slot = shard.sealed(), pool.acquire()
    slot.view[: len(data)] = data
    child.call("copy_create", HEX_ID, len(data))
    child.call("copy_write", HEX_ID, 0, slot.number, 4096)
    child.call("copy_prove", HEX_ID, 4096)
    slot.view[: len(data) - 4096] = data[4096:]
    child.call("copy_write", HEX_ID, 4096, slot.number, len(data) - 4096)
    with pytest.raises(DrystoneError, match="not proven"):
        child.call("copy_finish", HEX_ID)
    # The disk lies: what it gives back is not what was written.
    with open(layout.part_path(disk[0], HEX_ID), "r+b") as file:
        file.seek(50_000)
        file.write(b"other")
    with pytest.raises(CorruptError, match="other bytes"):
        child.call("copy_prove", HEX_ID, len(data) - 4096)
    with pytest.raises(DrystoneError, match="not proven"):
        child.call("copy_finish", HEX_ID)
    child.call("copy_create", HEX_ID, len(data))
    slot.view[: len(data)] = data
    child.call("copy_write", HEX_ID, 0, slot.number, len(data))
    child.call("copy_prove", HEX_ID, len(data))
    child.call("copy_finish", HEX_ID)
    child.call("adopt_part", HEX_ID)
    assert child.call("verify", HEX_ID).problems == []
    pool.release(slot)


def test_a_removed_replica_that_was_verified_keeps_no_space(child: Child, disk: tuple[str, str]):
    store_shard(disk[0], build_shard([[b"hello"]]))
    before = open_files(child)
    assert child.call("verify", HEX_ID).problems == []
    assert open_files(child) == before + 1
    child.call("remove_shard", HEX_ID)
    child.call("let_go")
    assert open_files(child) == before


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
