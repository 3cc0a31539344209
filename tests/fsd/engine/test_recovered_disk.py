"""A disk that was full, and takes data again: what ran on it meanwhile goes on undisturbed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest
from loop_disks import loop_store, needs_loop
from shard_fixture import SHARD_ID, build_shard
from store_checks import assert_batch, assert_clean, put, settle, until, wait_for_state
from store_harness import Store, write_files

from fsd.disks.disks import Disk
from fsd.engine.disk_join import join_disk
from fsd.engine.engine import Engine
from fsd.format import layout
from fsd.format.errors import DiskError
from fsd.format.layout import shard_path
from fsd.process.process import Child
from fsd.process.slots import SlotPool
from fsd.replicas.gone_disks import give_up_disk
from fsd.store.job import Job

pytest_plugins = ("child_fixture",)

HEX_ID = SHARD_ID.hex()
STORE = "5" * 32


@pytest.fixture
def engine(store, short_tmp: str) -> Iterator[Engine]:
    """An engine in this process, of a store of three disks whose shards are whole."""
    made: Store = store(3)
    files = {f"{n % 3}/{n}": os.urandom(20_000 + n) for n in range(40)}
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    made.stop()
    running = Engine(made.config)
    running.start()
    yield running
    running.stop()


def fill_up(engine: Engine, disk: Disk) -> None:
    """Let the engine meet a full disk, which has room again by the time that it looks."""
    no_room = DiskError("no space left on device", disk.name, errno.ENOSPC)
    engine.store.disks.note_error(disk, no_room, writing=True)
    assert disk.state == "readonly" and disk.reason.startswith("full")
    until(lambda: disk.state == "online", "the disk to recover")


@pytest.mark.fault
def test_a_copy_goes_on_while_its_full_disk_recovers(engine: Engine, short_tmp: str, monkeypatch):
    """It has its room since it began: only what nobody writes any more is a leftover."""
    store = engine.store
    shard = next(iter(store.shards.state.shards.values()))
    target = next(one for one in store.disks.online() if one.disk_id not in shard.disks)
    left = layout.part_path(target.path, "e" * 32)
    for folder in (os.path.dirname(left), os.path.join(short_tmp, "reports")):
        os.makedirs(folder, exist_ok=True)
    with open(left, "wb") as file:
        file.write(b"of a copy that was given up")
    job, moments = Job("copy", "", os.path.join(short_tmp, "reports")), []

    def check() -> None:
        moments.append(target.state)
        if len(moments) == 1:
            fill_up(engine, target)

    monkeypatch.setattr(job, "check", check)
    with engine.replicator.claim(shard.shard_id) as known:
        assert known is not None
        engine.replicator.copy(known, job, target=target)
        assert moments and target.state == "online", target.reason
        assert not os.path.exists(left)
        assert engine.replicator.prove(shard.shard_id, target)
    job.discard()


def test_a_copy_that_ends_while_the_files_are_listed_is_not_lost(engine: Engine, monkeypatch):
    store = engine.store
    shard = next(iter(store.shards.state.shards.values()))
    target = next(one for one in store.disks.online() if one.disk_id not in shard.disks)
    call, copied, lost = Disk.call, [], []

    def late(self, operation, *arguments, **keywords):
        answer = call(self, operation, *arguments, **keywords)
        if operation == "list_shards" and self is target and not copied:
            copied.append(shard.shard_id)
            with engine.replicator.claim(shard.shard_id) as known:
                assert known is not None
                engine.replicator.copy(known, None, target=target)
        if operation == "measure_quarantine" and copied:
            lost.append((shard.shard_id, target.disk_id) in store.shards.lost)
        return answer

    monkeypatch.setattr(Disk, "call", late)
    fill_up(engine, target)
    assert lost == [False], "what was found out when the inventory ended"


def on_loop(*tests):
    for mark in needs_loop:
        tests = tuple(mark(test) for test in tests)
    return tests[0]


@pytest.mark.fault
@on_loop
def test_a_disk_returns_read_only_with_what_a_crash_left_on_it(short_tmp: str):
    """Nothing can be tidied up there: it is read all the same, and tidied once it takes writes."""
    files = {f"{n % 3}/{n}": os.urandom(9000 + n) for n in range(40)}
    with loop_store(short_tmp, 3) as (store, disks):
        put(store, write_files(os.path.join(short_tmp, "source"), files), "first")
        settle(store)
        part, unknown = (path(disks[0].path, "e" * 32) for path in (layout.part_path, shard_path))
        os.makedirs(os.path.dirname(part), exist_ok=True)
        for path in (part, unknown):
            with open(path, "wb") as file:
                file.write(bytes(20_000))
        disks[0].unmount(lazy=True)
        wait_for_state(store, 0, "missing")
        disks[0].mount_readonly()
        wait_for_state(store, 0, "readonly")
        assert_batch(store, "first", files)
        assert os.path.exists(part) and os.path.exists(unknown)
        disks[0].remount_writable()
        wait_for_state(store, 0, "online")
        assert not os.path.exists(part) and not os.path.exists(unknown)
        assert os.listdir(os.path.join(disks[0].path, "quarantine")) == [os.path.basename(unknown)]
        assert_clean(store)


@pytest.mark.fault
def test_a_part_is_a_leftover_when_nobody_writes_it(
    child: Child, spawn, pool: SlotPool, disk: tuple[str, str]
):
    shard = build_shard([[os.urandom(70_000)]])
    data, slot = shard.sealed(), pool.acquire()
    slot.view[: len(data)] = data
    path = layout.part_path(disk[0], HEX_ID)

    def begin(on: Child) -> None:
        on.call("copy_create", HEX_ID, len(data))
        on.call("copy_write", HEX_ID, 0, slot.number, len(data))
        on.call("copy_prove", HEX_ID, len(data))

    begin(child)
    child.call("remove_leftovers", [HEX_ID])
    child.call("copy_finish", HEX_ID)
    child.call("remove_leftovers", [HEX_ID])
    child.call("adopt_part", HEX_ID)
    assert child.call("verify", HEX_ID).problems == []
    # One that was given up, and one of a process that is no more.
    begin(child)
    child.call("copy_drop", HEX_ID)
    assert not os.path.exists(path)
    begin(child)
    child.kill()
    assert child.wait_dead(5)
    other = spawn()
    other.call("attach", disk[0], disk[1], STORE, 2)
    assert os.path.exists(path)
    other.call("remove_leftovers", [HEX_ID])
    assert not os.path.exists(path)
    assert other.call("verify", HEX_ID).problems == []
    pool.release(slot)


def test_nobody_else_looks_for_a_disk_while_it_is_taken_back(engine: Engine):
    """Two processes of one disk would keep each other out; the watcher comes at any moment."""
    disks, disk = engine.store.disks, next(iter(engine.store.disks.disks.values()))
    job = Job("rebuild", "", engine.config.run_dir)
    job.run(lambda job: give_up_disk(engine.store, disk, job) or {})
    assert (job.state, disk.state) == ("done", "gone"), job.error
    disks.on_change = disks._poll
    assert join_disk(engine, disk.config.path, None) is disk
    assert disk.state == "online" and disk.session == 2


def test_a_part_that_could_not_be_removed_is_a_leftover_then(spawn, disk: tuple[str, str]):
    """Nobody goes on with it. So it is with what was asked before the disk was entered."""
    begin, drop = ("copy_create", HEX_ID, 4096), ("copy_drop", HEX_ID)
    child, path = spawn(), layout.part_path(disk[0], HEX_ID)
    for _ in range(2):
        for one in (begin, drop):
            with pytest.raises(DiskError):
                child.call(*one)
        if os.path.isdir(path):
            os.rmdir(path)
        else:
            child.call("attach", disk[0], disk[1], STORE, 1)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
        child.call("remove_leftovers", [HEX_ID])
        assert not os.path.exists(path)
        os.mkdir(path)  # In the way of the second time, and no file.


@pytest.mark.parametrize(
    "request_of",
    [
        ("copy_create", HEX_ID, 4096),
        ("remove_shard", HEX_ID),
        ("scan", HEX_ID),
        ("read_piece", HEX_ID, 4096, 5, bytes(32), 0),
    ],
)
def test_a_process_without_its_disk_makes_and_misses_no_file(spawn, request_of: tuple[object, ...]):
    """It would look below the folder it was started in; no system call tells of the disk then."""
    with pytest.raises(DiskError, match="not attached") as refused:
        spawn().call(*request_of)
    assert refused.value.errno is None
    assert not os.path.lexists("/shards")
