"""A shard that cannot be copied for a reason that nobody thought of: the others are copied."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from store_checks import put, settle, until
from store_harness import MIB, Store, write_files

from fsd.disks.disks import Disk
from fsd.documents.models import RebuildRequest
from fsd.engine.engine import Engine

FILES = {f"{n % 5}/{n}": os.urandom(90_000 + n) for n in range(60)}


@pytest.fixture
def engine(store, short_tmp: str) -> Iterator[Engine]:
    made: Store = store(2, shard_size_bytes=MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    made.stop()
    running = Engine(made.config)
    running.start()
    yield running
    running.stop()


@pytest.mark.fault
def test_one_shards_error_does_not_end_the_round(engine: Engine, monkeypatch):
    """The process of its source forgets the copy: what it answers then is no error of a disk."""
    store = engine.store
    lost = store.disks.online()[0]
    victim, *others = sorted(store.shards.state.shards)
    assert len(others) > 3
    request = Disk.request

    def forgetful(self, operation, *arguments, **keywords):
        if operation == "copy_next" and arguments[0] == victim:
            request(self, "copy_end", victim, priority=0).result()
        return request(self, operation, *arguments, **keywords)

    monkeypatch.setattr(Disk, "request", forgetful)
    with engine.reconciler.busy:
        for shard_id in (victim, *others):
            store.mark_lost(shard_id, lost)
    job = engine.rebuild(RebuildRequest())
    assert job.finished.wait(60)
    assert job.state == "incomplete", (job.state, job.error)
    assert (job.result["copied"], job.result["stuck"]) == (len(others), 1)
    with open(job.report_path, encoding="ascii") as file:
        assert victim in file.read()
    # In the background as well: it goes on by itself when that has passed.
    for shard_id in others:
        store.mark_lost(shard_id, lost)
    engine.reconciler.poke()
    until(lambda: all(store.sound_copies(one) == 2 for one in others), "the others")
    assert store.sound_copies(victim) == 1 and victim in engine.reconciler._stuck
    monkeypatch.undo()
    job = engine.rebuild(RebuildRequest())
    assert job.finished.wait(60) and job.state == "done", job.error
    assert store.sound_copies(victim) == 2


def test_a_cancelled_rebuild_is_no_stuck_shard(engine: Engine, monkeypatch):
    store = engine.store
    request, lost = Disk.request, store.disks.online()[0]
    jobs = []

    def cancelling(self, operation, *arguments, **keywords):
        if operation == "copy_next":
            jobs[0].cancel()
        return request(self, operation, *arguments, **keywords)

    monkeypatch.setattr(Disk, "request", cancelling)
    with engine.reconciler.busy:
        for shard_id in store.shards.state.shards:
            store.mark_lost(shard_id, lost)
        jobs.append(engine.rebuild(RebuildRequest()))
    assert jobs[0].finished.wait(60)
    assert jobs[0].state == "cancelled", (jobs[0].state, jobs[0].error)
