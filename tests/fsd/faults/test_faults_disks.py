"""Disks that die, fill up, turn read-only, vanish and return: on real small ext4 filesystems."""

from __future__ import annotations

import os
import signal

import pytest
from engine_processes import child
from loop_disks import LoopDisk, needs_loop
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    assert_readable,
    contents_of,
    disk,
    finish,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from fsd.engine.setup import init_store

pytestmark = needs_loop


@pytest.fixture
def loop_store(short_tmp):
    """A started store on four loop-mounted disks, and the disks."""
    root = os.path.join(short_tmp, "s")
    os.makedirs(root)
    disks: list[LoopDisk] = []
    stores: list[Store] = []
    try:
        for number in range(4):
            image = os.path.join(short_tmp, f"d{number}.ext4")
            disks.append(LoopDisk(image, os.path.join(root, f"d{number}")))
        paths = [one.path for one in disks]
        config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=2 * MIB)
        assert not config.store.allow_same_device
        stores.append(Store(root, config, paths))
        stores[0].start()
        yield stores[0], disks
    finally:
        for store in stores:
            store.stop()
        for one in disks:
            one.unmount_surely()


def make_source(short_tmp: str, name: str, count: int = 1500) -> tuple[str, dict[str, bytes]]:
    files = {f"{n % 9}/{n}": os.urandom(500 + n * 37 % 24_000) for n in range(count)}
    files["large.bin"] = os.urandom(5 * MIB)
    folder = os.path.join(short_tmp, name)
    return write_files(folder, files), files


def begin_put(store: Store, folder: str, batch: str) -> str:
    """Start a put and return its job's id when its first files are acknowledged."""
    job_id = store.client.batch_write(folder, batch).job_id
    next(iter(store.client.report(job_id)))
    assert store.client.job(job_id).state == "running", "the put is too small for this test"
    return job_id


def assert_two_copies_besides(store: Store, number: int, files: dict[str, bytes]) -> None:
    settle(store)
    assert_copies(store, files, 2, disk(store, number).name)


@pytest.mark.fault
def test_a_disk_dies_in_the_middle_of_a_put(loop_store, short_tmp):
    store, disks = loop_store
    folder, files = make_source(short_tmp, "source")
    job_id = begin_put(store, folder, "first")
    disks[0].die()
    finish(store, job_id)
    assert_batch(store, "first", files)
    wait_for_state(store, 0, "missing", "readonly")
    finish(store, store.client.rebuild(disk(store, 0).name).job_id)
    assert_two_copies_besides(store, 0, files)


@pytest.mark.fault
def test_all_disks_but_one_die(loop_store, short_tmp):
    """What was acknowledged stays readable or is said to be unreadable; nothing hangs."""
    store, disks = loop_store
    folder, files = make_source(short_tmp, "source")
    put(store, folder, "first")
    settle(store)
    for one in disks[1:]:
        one.die()
    for number in (1, 2, 3):
        wait_for_state(store, number, "missing", "readonly")
    more, _ = make_source(short_tmp, "more", 20)
    assert store.client.wait(store.client.batch_write(more, "more").job_id).state == "failed"
    store.stop()
    for one in disks[1:]:
        one.repair()
    store.start()
    assert_batch(store, "first", files)


@pytest.mark.fault
def test_a_full_disk_takes_no_more_and_is_read_on(loop_store, short_tmp):
    store, disks = loop_store
    first, files = make_source(short_tmp, "first", 600)
    put(store, first, "first")
    folder, more = make_source(short_tmp, "source", 3000)
    job_id = begin_put(store, folder, "second")
    process = child(store.config, disk(store, 0).name).pid
    os.kill(process, signal.SIGSTOP)  # Else all of it may be written before the disk is full.
    filler = disks[0].fill()
    os.kill(process, signal.SIGCONT)
    finish(store, job_id)
    until(
        lambda: any(
            warning.code in ("disk-full", "disk-readonly")
            and disk(store, 0).name in warning.message
            for warning in store.client.warnings()
        ),
        "a warning of the full disk",
    )
    before = shard_files(disks[0].path)
    last, yet_more = make_source(short_tmp, "last", 300)
    put(store, last, "third")
    assert set(shard_files(disks[0].path)) <= set(before)
    assert_readable(store, {**files, **more, **yet_more})
    assert disk(store, 0).state in ("online", "readonly")
    os.unlink(filler)
    wait_for_state(store, 0, "online")
    assert_clean(store)


@pytest.mark.fault
def test_a_disk_that_turns_read_only_is_read_on(loop_store, short_tmp):
    store, disks = loop_store
    first, files = make_source(short_tmp, "first", 600)
    put(store, first, "first")
    folder, more = make_source(short_tmp, "source")
    job_id = begin_put(store, folder, "second")
    disks[0].turn_readonly()
    finish(store, job_id)
    wait_for_state(store, 0, "readonly")
    before = shard_files(disks[0].path)
    last, yet_more = make_source(short_tmp, "last", 300)
    put(store, last, "third")
    assert shard_files(disks[0].path) == before
    assert_readable(store, {**files, **more, **yet_more})
    assert disk(store, 0).state == "readonly"
    assert any(w.code == "disk-readonly" for w in store.client.warnings())
    # An engine that starts with a disk like that reads from it just the same.
    store.stop()
    store.start()
    assert_readable(store, files)
    # It lacks what was written since, and nothing is said to be written there again.
    job_id = store.client.scrub().job_id
    finish(store, job_id)
    assert list(store.client.report(job_id)) == []
    store.stop()
    disks[0].repair()
    store.start()
    wait_for_state(store, 0, "online")
    assert_clean(store)


@pytest.mark.fault
def test_a_disk_vanishes_and_returns(loop_store, short_tmp):
    store, disks = loop_store
    first, files = make_source(short_tmp, "first", 600)
    put(store, first, "first")
    folder, more = make_source(short_tmp, "source")
    job_id = begin_put(store, folder, "second")
    disks[0].unmount(lazy=True)
    finish(store, job_id)
    wait_for_state(store, 0, "missing")
    assert contents_of(disks[0].path) == {}, "bytes went below an unmounted mount point"
    assert_readable(store, {**files, **more})
    disks[0].mount()
    wait_for_state(store, 0, "online")
    assert_batch(store, "second", more)
    assert_clean(store)


@pytest.mark.fault
def test_a_disk_returns_with_older_content(loop_store, short_tmp):
    store, disks = loop_store
    first, files = make_source(short_tmp, "first", 300)
    put(store, first, "first")
    old = disks[0].copy_image(os.path.join(short_tmp, "old.ext4"))
    folder, more = make_source(short_tmp, "source")
    put(store, folder, "second")
    settle(store)
    disks[0].unmount(lazy=True)
    wait_for_state(store, 0, "missing")
    os.replace(old, disks[0].image)
    disks[0].mount()
    wait_for_state(store, 0, "online")
    assert_readable(store, {**files, **more})
    assert_clean(store)
    third, yet_more = make_source(short_tmp, "third", 200)
    put(store, third, "third")
    store.stop()
    store.start()
    for batch, expected in (("first", files), ("second", more), ("third", yet_more)):
        assert_batch(store, batch, expected)
    assert_clean(store)


@pytest.mark.fault
def test_a_disk_is_missing_at_the_start_and_returns(loop_store, short_tmp):
    store, disks = loop_store
    first, files = make_source(short_tmp, "first", 600)
    put(store, first, "first")
    store.stop()
    disks[0].unmount()
    store.start()
    assert disk(store, 0).state == "missing"
    second, more = make_source(short_tmp, "second", 300)
    put(store, second, "second")
    assert_readable(store, {**files, **more})
    assert contents_of(disks[0].path) == {}
    disks[0].mount()
    wait_for_state(store, 0, "online")
    assert_clean(store)


@pytest.mark.fault
def test_a_disk_mounted_elsewhere_is_recognised(loop_store, short_tmp):
    store, disks = loop_store
    first, files = make_source(short_tmp, "first", 200)
    put(store, first, "first")
    store.stop()
    disks[0].unmount()
    disks[0].path = os.path.join(short_tmp, "elsewhere")
    os.makedirs(disks[0].path)
    disks[0].mount()
    store.start()
    assert [d.state for d in store.client.disks()] == ["online"] * 4
    assert any(d.path == disks[0].path for d in store.client.disks())
    assert_batch(store, "first", files)
