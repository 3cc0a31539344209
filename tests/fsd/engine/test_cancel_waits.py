"""Jobs that wait for a shard, or for a round in the background, hear at once that they may end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from store_harness import write_files

from fsd.delete.compact import _Run, compact
from fsd.delete.purge import purge
from fsd.disks.disks import Disk
from fsd.documents.models import BatchWriteRequest, RebuildRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine import drain as drain_module
from fsd.engine.drain import drain
from fsd.engine.engine import Engine
from fsd.engine.rebalance import rebalance
from fsd.store.job import Job

FILES = {f"{number}": os.urandom(60_000) for number in range(12)}


@pytest.fixture
def engine(store, short_tmp: str, monkeypatch) -> Iterator[Engine]:
    """An engine in this process that copies nothing by itself."""
    running = Engine(store(3, started=False).config)
    wanted = running.reconciler.wanted
    monkeypatch.setattr(
        running.reconciler,
        "wanted",
        lambda *, at_once=False: wanted(at_once=True) if at_once else [],
    )
    running.start()
    folder = write_files(os.path.join(short_tmp, "source"), FILES)
    job = running.batch_write(BatchWriteRequest(folder=folder, batch="first"))
    assert job.finished.wait(60) and job.state == "done", job.error
    running.seal_and_project()
    yield running
    running.stop()


@pytest.mark.parametrize("what", ["drain", "rebuild"])
def test_a_job_that_waits_for_a_claimed_shard_is_cancelled(engine: Engine, monkeypatch, what: str):
    store, claim, asked = engine.store, engine.replicator.claim, threading.Event()

    def told(*arguments: Any) -> Any:
        asked.set()
        return claim(*arguments)

    shard = next(iter(store.shards.state.shards.values()))
    disk = store.disks.disks[shard.disks[0]]
    with claim(shard.shard_id):
        monkeypatch.setattr(engine.replicator, "claim", told)
        if what == "drain":
            job = drain(engine, disk.name)
        else:
            store.mark_lost(shard.shard_id, disk)
            job = engine.rebuild(RebuildRequest())
        assert asked.wait(60)
        job.cancel()
        assert job.finished.wait(60), "it waits for the shard"
    assert job.state == "cancelled", (job.state, job.error)


class WatchedLock:
    """A lock of the engine that tells when somebody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.waited = threading.Event()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        held = self._lock.acquire(blocking, timeout)
        if not held:
            self.waited.set()
        return held

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.fault
@pytest.mark.parametrize(
    ("what", "lock_name"),
    [
        *((what, "maintenance") for what in ("compact", "drain", "purge", "rebalance")),
        *((what, "maintenance") for what in ("rebuild", "reindex")),
        *((what, "moving") for what in ("purge", "round")),
    ],
)
def test_a_job_that_waits_for_maintenance_is_cancelled(
    engine: Engine, monkeypatch, what: str, lock_name: str
):
    disk = engine.store.disks.online()[0]

    def compact_nothing(job: Job) -> dict[str, Any]:
        _Run(engine, job).round([])
        return {}

    starts = {
        "compact": lambda: compact(engine.dropper, 0.0),
        "drain": lambda: drain(engine, disk.name),
        "purge": lambda: purge(engine.dropper, PurgeRequest(batch="first")),
        "rebalance": lambda: rebalance(engine),
        "rebuild": lambda: engine.rebuild(RebuildRequest(disk=disk.name)),
        "reindex": engine.reindex,
        "round": lambda: engine.start_job("compact", "", compact_nothing),
    }
    lock = WatchedLock()
    monkeypatch.setattr(engine, lock_name, lock)
    with lock:
        job = starts[what]()
        assert lock.waited.wait(60), (job.phase, job.state, job.error)
        job.cancel()
        assert job.finished.wait(60), "it waits for the lock"
    assert job.state == "cancelled", job.error
    assert disk.state != "gone"


def test_a_drain_that_is_cancelled_at_its_end_retires_no_disk(engine: Engine, monkeypatch):
    lock, retire = WatchedLock(), drain_module.retire
    moved, held = threading.Event(), threading.Event()

    def noted(*arguments: Any, **options: Any) -> Disk:
        moved.set()
        assert held.wait(60)
        return retire(*arguments, **options)

    monkeypatch.setattr(drain_module, "retire", noted)
    disk = engine.store.disks.online()[0]
    job = drain_module._start(engine, drain_module.DRAIN, disk, retire_after=True)
    assert moved.wait(60)
    monkeypatch.setattr(engine, "maintenance", lock)
    with lock:
        held.set()
        assert lock.waited.wait(60)
        job.cancel()
        assert job.finished.wait(60), "it waits for maintenance"
    assert (job.state, disk.retired) == ("cancelled", False), job.error


def test_a_rebuild_that_waits_for_a_round_is_cancelled_and_gives_no_disk_up(engine: Engine):
    disk = engine.store.disks.online()[0]
    with engine.reconciler.busy:
        job = engine.rebuild_lost(disk, "rebuild")
        job.cancel()
        assert job.finished.wait(60), "it waits for the round"
    assert (job.state, disk.state) == ("cancelled", "online")


def test_a_measuring_that_waits_for_another_one_is_cancelled(engine: Engine, monkeypatch):
    monkeypatch.setattr("fsd.watch.calibrate.STORED_BYTES_MIN", 0)
    lock, disk = WatchedLock(), engine.store.disks.online()[0]
    monkeypatch.setattr(engine.watch.calibrator, "_one", lock)
    with lock:
        job = engine.watch.calibrate_now(disk.name, accept=False)
        assert lock.waited.wait(60), (job.phase, job.state, job.error)
        job.cancel()
        assert job.finished.wait(60), "it waits for the other one"
    assert job.state == "cancelled", job.error
