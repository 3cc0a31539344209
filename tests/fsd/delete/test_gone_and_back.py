"""Disks that were declared gone and come back while something was at work on what they hold."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest
from store_checks import (
    assert_batch,
    assert_clean,
    disk,
    put,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import Store, with_settings, write_files

from fsd.delete.compact import BARRIERS, compact
from fsd.delete.purge import purge
from fsd.documents.models import BatchWriteRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.drain import drain
from fsd.engine.engine import Engine
from fsd.replicas.removal_check import shards_on
from fsd.store.job import Job

FILES = {f"{number}": os.urandom(60_000) for number in range(12)}
MORE = {f"{number}": os.urandom(60_000) for number in range(12)}


def declare_gone(store: Store, number: int) -> None:
    """Take a disk away and say so."""
    os.rename(store.disks[number], store.disks[number] + ".away")
    wait_for_state(store, number, "missing")
    store.client.wait(store.client.rebuild(disk(store, number).name).job_id)
    assert disk(store, number).state == "gone"


def take_back(store: Store, number: int) -> None:
    os.rename(store.disks[number] + ".away", store.disks[number])
    store.client.disk_add(store.disks[number])


@pytest.mark.parametrize("copies", [1, 2])
def test_open_shards_come_back_with_the_disks_that_alone_hold_them(store, short_tmp, copies):
    """What was acknowledged last lies in a shard that nobody could seal: not an unknown file."""
    made = store(3, copies_raw=copies, copies_generated=copies)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    held = [number for number in range(3) if shard_files(made.disks[number])]
    for number in held:
        declare_gone(made, number)
    for number in held:
        take_back(made, number)
    until(lambda: made.client.health().state == "ok", "its open shards to count")
    assert_batch(made, "first", FILES)
    assert_clean(made)


@contextlib.contextmanager
def opened(store: Store) -> Iterator[Engine]:
    """The store's engine in this process, with two batches that share shards; one is purged."""
    engine = Engine(with_settings(store.root, grace_s=0))
    engine.start()
    try:
        for name, files in (("first", FILES), ("second", MORE)):
            folder = write_files(os.path.join(store.root, name), files)
            done(engine.batch_write(BatchWriteRequest(folder=folder, batch=name)))
        done(engine.rebuild_lost(None, "rebuild"))
        done(purge(engine.dropper, PurgeRequest(batch="second")))
        yield engine
    finally:
        engine.stop()


def done(job: Job) -> Job:
    assert job.finished.wait(90) and job.state == "done", (job.state, job.error)
    return job


@pytest.mark.parametrize("barrier", ["copied", "vacated"])
def test_a_disk_is_gone_and_back_in_the_middle_of_a_compaction(store, barrier):
    made = store(3, started=False)
    with opened(made) as engine:

        def away_and_back(name: str) -> None:
            if name != barrier:
                return
            engine.on_barrier = lambda _name: None
            shards = [s for s in engine.store.shards.state.shards.values() if not s.vacated]
            disk = engine.store.disks.disks[shards[-1].disks[0]]
            os.rename(disk.path, disk.path + ".away")
            until(lambda: disk.state == "missing", "the disk to be missing")
            done(engine.rebuild_lost(disk, "rebuild"))
            assert disk.state == "gone"
            os.rename(disk.path + ".away", disk.path)
            engine.add_disk(disk.path, None)

        engine.on_barrier = away_and_back
        job = compact(engine.dropper, 0.01)
        assert job.finished.wait(90) and job.state == "done", (job.state, job.error)
        assert job.result["compacted"] > 0
    made.start()
    until(lambda: made.client.health().state == "ok", "all copies")
    assert [one.state for one in made.client.disks()] == ["online"] * 3
    assert_batch(made, "first", FILES)
    assert_clean(made)


def test_a_compaction_gives_nothing_up_while_somebody_else_does(store):
    """Such as a salvage: each may rely on what the other one is about to give up."""
    made = store(2, started=False)
    with opened(made) as engine:
        barriers = {name: threading.Event() for name in BARRIERS}
        engine.on_barrier = lambda name: barriers[name].set() if name in barriers else None
        with engine.store.letting_go:
            job = compact(engine.dropper, 0.01)
            assert barriers["settled"].wait(60)
            assert not barriers["vacated"].wait(0.3)
        assert done(job).result["compacted"] > 0 and barriers["vacated"].is_set()


def test_a_drain_is_cancelled_and_begun_again_while_a_rebuild_runs(store):
    made = store(4, started=False)
    with opened(made) as engine:
        shard = next(iter(engine.store.shards.state.shards.values()))
        gone, drained = (engine.store.disks.disks[disk_id] for disk_id in shard.disks)
        os.rename(gone.path, gone.path + ".away")
        until(lambda: gone.state == "missing", "the disk to be missing")
        with engine.replicator.claim(shard.shard_id):  # Neither of them ends before this.
            rebuild = engine.rebuild_lost(gone, "rebuild")
            until(lambda: gone.state == "gone", "the rebuild to begin")
            first = drain(engine, drained.name)
            first.cancel()
        assert first.finished.wait(90) and first.state == "cancelled"
        again = drain(engine, drained.name)
        assert done(rebuild).result["stuck"] == 0 and done(again).result["stuck"] == 0
        assert shards_on(engine.store, drained) == [] and drained.shown_state == "draining"
        os.rename(gone.path + ".away", gone.path)
        engine.add_disk(gone.path, None)
    made.start()
    until(lambda: made.client.health().state == "ok", "all copies")
    assert_batch(made, "first", FILES)
    assert_clean(made)
