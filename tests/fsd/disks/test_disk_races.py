"""A disk that is lost, found, declared gone and taken back in the wrong moment."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from store_checks import until
from store_harness import MIB, write_files

from base.errors import DrystoneError
from fsd.disks import disks as disks_module
from fsd.disks.disks import Disk, DiskSet
from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.planning.placement import DiskSpace
from fsd.process import fork_server
from fsd.process.process import Child
from fsd.watch.report import capacity


@pytest.fixture
def engine(store, monkeypatch) -> Iterator[Engine]:
    """An engine in this process, whose disks are looked for without a pause."""
    monkeypatch.setattr(disks_module, "POLL_S", 0.02)
    monkeypatch.setattr(disks_module, "LOOK_AGAIN_S", 0.02)
    engine = Engine(store(3, started=False).config)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def disks(engine: Engine) -> DiskSet:
    return engine.store.disks


def failing_once(disks: DiskSet) -> list[str]:
    """Let the next disk that returns meet an error that nobody thought of; lists who met it."""
    welcome, failed = disks.on_return, []

    def fail(disk: Disk, writable: bool) -> None:
        if not failed:
            failed.append(disk.name)
            raise ValueError("nobody thought of this")
        welcome(disk, writable)

    disks.on_return = fail
    return failed


@pytest.mark.fault
def test_whatever_fails_no_process_is_left_with_the_lock(disks: DiskSet):
    disk, failed = disks.online()[0], failing_once(disks)
    disks.lose(disk, "by the test")
    until(lambda: failed and disk.state == "online", "the disk to be entered after all")
    assert any("ValueError" in line for line in disks.last_errors)


@pytest.mark.warns("a disk goes missing")
def test_a_disk_that_was_not_entered_for_any_reason_may_join_again(disks: DiskSet, monkeypatch):
    disk = disks.online()[0]
    disks.declare_gone(disk)
    del disks.disks[disk.disk_id]
    failing_once(disks)
    tried: list[Disk] = []
    monkeypatch.setattr(disks, "_join", lambda one: tried.append(one) or DiskSet._join(disks, one))
    with pytest.raises(ValueError, match="nobody thought"):
        disks.add(disk.config)
    assert disk.disk_id not in disks.disks
    disks._poll(tried[0])  # Whoever has gone through the disks meanwhile may still hold it.
    assert tried[0].child is None, "it would have the lock for good"
    others = iter(disks.disks.values())
    next(others)
    assert disks.add(disk.config).state == "online"
    assert len(list(others)) == 1, "whoever goes through the disks is not disturbed"


@pytest.mark.warns("a disk goes missing")
def test_a_disk_that_gets_no_process_is_looked_for_again(disks: DiskSet, monkeypatch):
    disk = disks.online()[0]
    disks.declare_gone(disk)
    disks.wait_buried(disk)
    fork, failed = fork_server.fork, list[str]()

    def fails_once(module: str, label: str, fds: list[int]) -> fork_server.ForkedChild:
        if failed:
            return fork(module, label, fds)
        failed.append(label)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(fork_server, "fork", fails_once)
    with pytest.raises(DrystoneError, match="no process could be started"):
        disks.take_back(disk, disk.config.path)
    until(lambda: disk.state == "online", "the disk to be found all the same")


@pytest.mark.fault
def test_a_disk_that_is_declared_gone_while_it_is_looked_for_stays_gone(
    disks: DiskSet, monkeypatch
):
    disk, find = disks.online()[0], DiskSet.find
    disk.look_again_at = float("inf")  # This thread looks for it, the watcher does not.
    disks.lose(disk, "by the test")
    disks.wait_buried(disk)

    def found_too_late(self: DiskSet, disk: Disk, child: Child) -> str:
        path = find(self, disk, child)
        self.declare_gone(disk)
        return path

    monkeypatch.setattr(DiskSet, "find", found_too_late)
    disks._look_for(disk)
    assert (disk.state, disk.child) == ("gone", None)
    monkeypatch.undo()
    disks.take_back(disk, disk.config.path)
    assert disk.state == "online"


@pytest.mark.warns("a disk goes missing")
@pytest.mark.parametrize("how", ["gone", "lost"])
def test_what_a_former_process_tells_counts_no_more(disks: DiskSet, monkeypatch, how: str):
    """It says that the filesystem is read-only, which a disk that is away cannot be."""
    disk, request = disks.online()[0], Child.request
    acts: dict[str, Callable[[], None]] = {
        "gone": lambda: disks.declare_gone(disk),
        "lost": lambda: disks.lose(disk, "by the test"),
    }
    disk.look_again_at = float("inf")

    def late(self: Child, operation: str, *arguments: Any, **options: Any) -> Future[Any]:
        future = request(self, operation, *arguments, **options)
        if operation != "check" or threading.current_thread() is not threading.main_thread():
            return future
        size_bytes, free_bytes, _ = future.result()
        acts[how]()
        told: Future[Any] = Future()
        told.set_result((size_bytes, free_bytes, True))
        return told

    monkeypatch.setattr(Child, "request", late)
    disks._poll(disk)
    assert (disk.state, disk.child) == ({"gone": "gone", "lost": "missing"}[how], None)


@pytest.mark.warns("a disk goes missing")
def test_capacity_may_be_asked_for_while_a_disk_is_taken_back(
    engine: Engine, short_tmp, monkeypatch
):
    """It is there when its shards are counted, and was not when the free space was."""
    folder = write_files(os.path.join(short_tmp, "source"), {"a": b"one"})
    job = engine.batch_write(BatchWriteRequest(folder=folder, batch="first"))
    assert job.finished.wait(60) and job.state == "done", job.error
    engine.seal_and_project()
    (shard,) = engine.store.shards.state.shards.values()
    disk, spaces = engine.store.disks.disks[shard.disks[0]], DiskSet.spaces
    # Others fill and empty the same filesystem beside this.
    monkeypatch.setattr(Disk, "room_bytes", lambda disk, _: 1024 * MIB if disk.readable else 0)
    before = capacity(engine.watch).usable_bytes
    engine.reconciler.stop()  # What has one copy keeps that: another takes room on the others.
    engine.store.disks.declare_gone(disk)

    def just_before(self: DiskSet, without: str = "") -> list[DiskSpace]:
        found = spaces(self, without)
        monkeypatch.setattr(DiskSet, "spaces", spaces)
        self.take_back(disk, disk.path)
        return found

    monkeypatch.setattr(DiskSet, "spaces", just_before)
    assert capacity(engine.watch).usable_bytes < before
    assert capacity(engine.watch).usable_bytes > 0.9 * before
