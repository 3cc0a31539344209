"""A store on emulated disks that fail as disks do: bad sectors, hangs, slowness, death, old data.

Nothing acknowledged is lost, nothing wrong is read, and when the disks are well the store is again.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import stat
import struct
from collections.abc import Iterator

import pytest
from bad_disk_rig import DISK_BYTES, DISKS, Rig
from engine_processes import kill_engine
from lab import EmulatedDisk, HddModel, why_not
from lab.drive import run
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    assert_readable,
    disk,
    finish,
    key_of,
    keys_of,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from fsd.engine.setup import init_store
from fsd.format.layout import EPOCH_NAME, IDENTITY_NAME

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there"),
]

FIBMAP = 1
FILESYSTEM_BLOCK_BYTES = 4096
BAD_BYTES = 16 * 1024
SLOW = 8


@pytest.fixture
def rig(short_tmp: str) -> Iterator[Rig]:
    made = Rig(short_tmp)
    yield made
    made.close()


@pytest.fixture
def rig_of_three_copies(short_tmp: str) -> Iterator[Rig]:
    made = Rig(short_tmp, copies=3)
    yield made
    made.close()


def place_on_drive(path: str, offset: int) -> int:
    """Return where on its drive a byte of a file lies."""
    with open(path, "rb") as file:
        block = array.array("i", [offset // FILESYSTEM_BLOCK_BYTES])
        fcntl.ioctl(file.fileno(), FIBMAP, block, True)
    return block[0] * FILESYSTEM_BLOCK_BYTES


def forget_pages(path: str) -> None:
    """Let the next read of a file come from its drive."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def spoil_middles(one: EmulatedDisk) -> set[str]:
    """Make the middle of each shard on a disk unreadable; returns the shards."""
    paths = shard_files(one.path)
    for path in paths:
        begin = place_on_drive(path, os.path.getsize(path) // 2)
        one.control("eio", begin, begin + BAD_BYTES, "read")
    return {os.path.basename(path).removesuffix(".shard") for path in paths}


@pytest.mark.fault
def test_bad_sectors_are_read_around_found_by_a_verify_and_healed(rig: Rig):
    files = rig.put("first")
    settle(rig.store)
    # Placement is random: take the disk that holds most.
    number = max(range(DISKS), key=lambda one: len(shard_files(rig.disks[one].path)))
    spoilt = rig.disks[number]
    spoil_middles(spoilt)
    assert_readable(rig.store, files)
    settle(rig.store)
    bad = spoil_middles(spoilt)  # A read that met one had it healed, elsewhere on the disk.
    job_id = rig.store.client.verify().job_id
    finish(rig.store, job_id, "incomplete")
    found = list(rig.store.client.report(job_id))
    assert {line["disk"] for line in found} == {f"d{number + 1}"}
    assert {line["shard"] for line in found} <= bad
    spoilt.control("eio-clear")
    assert_clean(rig.store)
    assert_batch(rig.store, "first", files)


@pytest.mark.fault
def test_bad_sectors_on_both_disks_of_a_shard_are_healed_from_each_other(rig: Rig):
    """No replica can be copied; together they are the whole shard."""
    files = rig.put("first")
    settle(rig.store)
    found: dict[str, list[tuple[EmulatedDisk, str]]] = {}
    for one in rig.disks:
        for path in shard_files(one.path):
            found.setdefault(os.path.basename(path), []).append((one, path))
    largest = max(found.values(), key=lambda replicas: os.path.getsize(replicas[0][1]))
    for third, (one, path) in enumerate(largest, 1):
        begin = place_on_drive(path, os.path.getsize(path) * third // 3)
        one.control("eio", begin, begin + BAD_BYTES, "read")
    finish(rig.store, rig.store.client.verify().job_id, "incomplete")
    until(lambda: rig.store.client.health().rebuild_queue == 0, "the shard to be whole")
    assert_readable(rig.store, files)
    for one in rig.disks:
        one.control("eio-clear")
    assert_clean(rig.store)
    assert_batch(rig.store, "first", files)


@pytest.mark.fault
def test_bad_sectors_below_the_metadata_of_a_disk_do_not_cost_the_disk(rig: Rig):
    """Its identity and its epoch, beginning with the former: a scrub writes them again."""
    files = rig.put("first")
    rig.store.stop()
    names = (IDENTITY_NAME, EPOCH_NAME)
    for one, name in zip(rig.disks, names, strict=False):
        begin = place_on_drive(os.path.join(one.path, name), 0)
        one.control("eio", begin, begin + FILESYSTEM_BLOCK_BYTES, "read")
        forget_pages(os.path.join(one.path, name))
    rig.store.start()
    assert [one.state for one in rig.store.client.disks()] == ["online"] * DISKS
    assert_batch(rig.store, "first", files)
    rig.store.client.wait(rig.store.client.scrub().job_id)
    for one, name in zip(rig.disks, names, strict=False):
        forget_pages(os.path.join(one.path, name))
        with open(os.path.join(one.path, name), "rb") as file:
            assert json.load(file)
        one.control("eio-clear")
    assert_clean(rig.store)


@pytest.mark.fault
def test_a_disk_hangs_and_answers_again(rig: Rig):
    files = rig.put("first")
    folder, more = rig.source("second")
    job_id = rig.begin_put(folder, "second")
    rig.disks[0].control("hang")
    finish(rig.store, job_id)
    assert_readable(rig.store, {**files, **more})
    until(lambda: disk(rig.store, 0).state == "missing", "the engine to give the disk up")
    third = rig.put("third")
    rig.disks[0].control("resume")
    wait_for_state(rig.store, 0, "online")
    for name, expected in (("first", files), ("second", more), ("third", third)):
        assert_batch(rig.store, name, expected)
    assert_clean(rig.store)


@pytest.mark.fault
def test_a_slow_disk_delays_and_breaks_nothing(rig: Rig):
    files = rig.put("first")
    rig.disks[0].control("latency", "on")
    rig.disks[0].control("slow", 8)
    more = rig.put("second", 60)
    assert_readable(rig.store, {**files, **more})
    assert disk(rig.store, 0).state == "online", "slow is no reason to give a disk up"
    rig.disks[0].control("slow", 1)
    rig.disks[0].control("latency", "off")
    assert_clean(rig.store)


@pytest.mark.fault
def test_writes_fail_in_the_middle_of_a_commit_group(rig: Rig):
    files = rig.put("first")
    folder, more = rig.source("second", 300)
    rig.slow_down(2)  # Else all of it is written before the disk fails.
    job_id = rig.begin_put(folder, "second")
    rig.disks[0].control("eio", 0, DISK_BYTES, "write")
    rig.slow_down(0)
    finish(rig.store, job_id)
    until(lambda: disk(rig.store, 0).state != "online", "the disk to take no more")
    # A shard that it failed in has lost it, with the groups before: those are copied again. What it
    # took before counts: it is still read.
    settle(rig.store)
    assert_copies(rig.store, more, 2)
    assert_readable(rig.store, {**files, **more})
    kill_engine(rig.store.config, group=True)
    rig.disks[0].control("eio-clear")
    image = rig.disks[0].crash(1, "lost")
    rig.disks[0].remount_from(image)
    rig.store.start()
    wait_for_state(rig.store, 0, "online")
    assert_batch(rig.store, "second", more)
    assert_clean(rig.store)


def test_a_bad_sector_in_the_catalog_costs_its_own_entry(rig: Rig):
    files = rig.put("first")
    settle(rig.store)
    begin = place_on_drive(os.path.join(rig.disks[0].path, "catalog.log"), FILESYSTEM_BLOCK_BYTES)
    rig.disks[0].control("eio", begin, begin + FILESYSTEM_BLOCK_BYTES, "read")
    client = rig.store.client
    found = client.wait(client.fsck().job_id)
    assert found.state == "incomplete", found
    (line,) = list(client.report(found.job_id))
    assert (line["disk"], line["reason"][:20]) == ("d1", "1 entries are missin")
    client.wait(client.scrub().job_id)  # Writes the entry again, behind the others.
    assert disk(rig.store, 0).state == "online"
    assert_clean(rig.store)
    rig.store.stop()
    rig.store.start()
    assert disk(rig.store, 0).state == "online"
    assert_batch(rig.store, "first", files)
    assert_clean(rig.store)


@pytest.mark.fault
def test_old_content_at_another_path(rig: Rig):
    """Its shards were copied elsewhere meanwhile: what is live and sound counts again."""
    files = rig.put("first")
    settle(rig.store)
    old = rig.disks[0].snapshot()
    more = rig.put("second")
    settle(rig.store)
    rig.disks[0].vanish()
    wait_for_state(rig.store, 0, "missing")
    finish(rig.store, rig.store.client.rebuild().job_id)
    assert_copies(rig.store, {**files, **more}, 2, "d1")
    rig.disks[0].remount_from(old, os.path.join(rig.folder, "elsewhere"))
    until(lambda: rig.store.client.disks()[0].state == "online", "the disk to be recognised")
    assert rig.store.client.disks()[0].path == rig.disks[0].path
    # What it lost is given up once nothing needs it there.
    client = rig.store.client
    until(lambda: client.wait(client.fsck().job_id).state == "done", "fsck to find nothing")
    # One copy too many of each is given up in the end, and nothing was set aside.
    shards = {name for one in rig.disks for name in map(os.path.basename, shard_files(one.path))}
    until(
        lambda: sum(len(shard_files(one.path)) for one in rig.disks) == 2 * len(shards),
        "the surplus to go",
    )
    aside = os.path.join(rig.disks[0].path, "quarantine")
    assert not os.path.isdir(aside) or os.listdir(aside) == []
    assert_batch(rig.store, "first", files)
    assert_batch(rig.store, "second", more)
    assert_clean(rig.store)


def heads(store: Store, data: bytes) -> list[str]:
    return list(store.client.head(key_of(data)).disks)


@pytest.mark.fault
def test_two_disks_die_at_once_with_three_copies(rig_of_three_copies: Rig):
    """In the middle of a put, which all disks are slow for: it is not over by then."""
    rig = rig_of_three_copies
    files = rig.put("first")
    settle(rig.store)
    folder, more = rig.source("second", 300)
    rig.slow_down(SLOW)
    job_id = rig.store.client.batch_write(folder, "second").job_id
    report = rig.store.client.report(job_id)
    acknowledged = [next(report)["path"]]
    for one in rig.disks[:2]:
        one.control("die")
    rig.slow_down(0)
    assert rig.store.client.job(job_id).state == "running"
    acknowledged += [line["path"] for line in report if line["key"]]
    assert rig.store.client.wait(job_id).state in ("done", "incomplete")
    living = {disk(rig.store, number).name for number in (2, 3)}
    acked = {path: more[path] for path in acknowledged}
    third = {p: data for p, data in acked.items() if living & set(heads(rig.store, data))}
    assert_readable(rig.store, {**files, **third})
    kill_engine(rig.store.config, group=True)
    for one in rig.disks[:2]:
        one.control("revive")
        one.remount_from(one.crash(2, "lost"))
    rig.store.start()
    assert_batch(rig.store, "first", files)
    assert_readable(rig.store, acked)
    assert set(acknowledged) <= {file.path for file in rig.store.client.batch_files("second")}
    put(rig.store, folder, "second")
    assert_batch(rig.store, "second", more)
    assert_clean(rig.store)


# ---- Two places on one device ----------------------------------------------------------------


@contextlib.contextmanager
def two_partitions(folder: str) -> Iterator[list[str]]:
    """Two filesystems on the partitions of one loop device."""
    image = os.path.join(folder, "device")
    with open(image, "wb") as file:
        file.truncate(2 * DISK_BYTES)
        file.write(partition_table(DISK_BYTES))
    with contextlib.ExitStack() as undo:
        device = run("losetup", "--find", "--show", "--partscan", image)
        undo.callback(run, "losetup", "--detach", device)
        name, paths = os.path.basename(device), [os.path.join(folder, p) for p in ("p1", "p2")]
        if not os.path.exists(f"/sys/block/{name}/{name}p1"):
            pytest.skip("this kernel makes no partitions of loop devices")
        for number, path in enumerate(paths, 1):
            with open(f"/sys/block/{name}/{name}p{number}/dev", encoding="ascii") as file:
                major, minor = map(int, file.read().split(":"))
            os.mknod(f"{path}.node", stat.S_IFBLK | 0o600, os.makedev(major, minor))
            run("mkfs.ext4", "-q", f"{path}.node")
            os.mkdir(path)
            run("mount", f"{path}.node", path)
            undo.callback(run, "umount", "--lazy", path)
        yield paths


@contextlib.contextmanager
def two_folders(folder: str) -> Iterator[list[str]]:
    """Two folders of one filesystem on an emulated disk."""
    with EmulatedDisk(
        os.path.join(folder, "one"), HddModel(2 * DISK_BYTES), fast=True, work=folder
    ) as one:
        yield [os.path.join(one.path, name) for name in ("p1", "p2")]


def partition_table(partition_bytes: int) -> bytes:
    """Return a master boot record with two Linux partitions."""
    sectors = partition_bytes // 512
    first = struct.pack("<B3sB3sII", 0, bytes(3), 0x83, bytes(3), 2048, sectors - 2048)
    second = struct.pack("<B3sB3sII", 0, bytes(3), 0x83, bytes(3), sectors, sectors)
    return bytes(446) + first + second + bytes(32) + b"\x55\xaa"


@pytest.mark.fault
@pytest.mark.parametrize("places", [two_partitions, two_folders])
def test_two_places_on_one_device_are_one_disk_to_copies(short_tmp: str, places):
    with contextlib.ExitStack() as undo:
        paths: list[str] = undo.enter_context(places(short_tmp))
        model = HddModel(DISK_BYTES)
        other = EmulatedDisk(os.path.join(short_tmp, "other"), model, fast=True, work=short_tmp)
        undo.enter_context(other)
        root = os.path.join(short_tmp, "s")
        config = init_store(
            root, [*paths, other.path], None, min_free_bytes=MIB, shard_size_bytes=MIB
        )
        assert not config.store.allow_same_device
        store = Store(root, config, [*paths, other.path])
        undo.callback(store.stop)
        store.start()
        files = {f"{n}": os.urandom(40_000) for n in range(200)}
        put(store, write_files(os.path.join(short_tmp, "source"), files), "first")
        settle(store)
        names = [one.name for one in store.client.disks()]
        for key in keys_of(files).values():
            holders = store.client.head(key).disks
            assert len(holders) == 2 and names[2] in holders, holders
        # Without the other disk there is no place for a second copy: it is said, not done.
        other.vanish()
        wait_for_state(store, 2, "missing")
        more = write_files(os.path.join(short_tmp, "more"), {"one": b"1" * 5000})
        job = store.client.wait(store.client.batch_write(more, "second").job_id)
        assert job.state == "failed" and "independent" in str(job.error), job
        assert_readable(store, files)
