"""A copy and the disk of the other one, given up at one moment: one of the two stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from store_harness import Store, write_files

from fsd.catalog import CatalogShard
from fsd.disks import Disk
from fsd.drain import retire
from fsd.engine import Engine
from fsd.models import BatchWriteRequest, RebuildRequest
from fsd.replicate import Replicator
from fsd.store import CatalogLog

FILES = {f"{number}": os.urandom(90_000) for number in range(4)}


@pytest.fixture(params=[1, 2])
def engine(request, store, short_tmp: str) -> Iterator[Engine]:
    """A store of so many copies, and one that is one too many, which nobody trims."""
    copies = request.param
    made: Store = store(4, started=False, copies_raw=copies, copies_generated=copies)
    one_domain = made.config.store.model_copy(update={"allow_same_device": True})
    running = Engine(made.config.model_copy(update={"store": one_domain}))
    running.start()
    folder = write_files(os.path.join(short_tmp, "source"), FILES)
    with running.reconciler._busy:
        job = running.batch_write(BatchWriteRequest(folder=folder, batch="first"))
        assert job.finished.wait(60) and job.state == "done", job.error
        running.seal_and_project()
        yield running
    running.stop()


def one_too_many(engine: Engine) -> tuple[CatalogShard, Disk, list[Disk]]:
    """Return a shard with a copy too many, a disk that has it and the others that do."""
    shard_id = min(engine.store.shards.state.shards)
    with engine.replicator.claim(shard_id) as shard:
        assert shard is not None
        engine.replicator.copy(shard, None)
    first, *others = engine.store.sound_replicas(shard_id)
    return shard, first, others


def after_proof(monkeypatch, act: Callable[[Disk], object]) -> None:
    """Act when a copy was just read back and found whole, the first time."""
    prove, done = Replicator.prove, []

    def proven(self, shard_id: str, disk: Disk) -> bool:
        result = prove(self, shard_id, disk)
        if not done:
            done.append(disk)
            act(disk)
        return result

    monkeypatch.setattr(Replicator, "prove", proven)


def test_a_copy_stays_when_the_disk_of_the_other_is_retired(engine: Engine, monkeypatch):
    shard, first, others = one_too_many(engine)
    after_proof(monkeypatch, lambda disk: retire(engine, disk.name, force=False))
    assert engine.replicator.give_up(shard.shard_id, first) is False
    assert engine.store.sound_copies(shard.shard_id) == len(others)
    assert [disk.shown_state for disk in others].count("retired") == 1


def test_a_copy_moves_only_when_as_many_others_are_left(engine: Engine, monkeypatch):
    shard, first, others = one_too_many(engine)
    after_proof(monkeypatch, lambda disk: retire(engine, disk.name, force=False))
    assert engine.replicator.vacate(shard.shard_id, first, None) > 0
    left = engine.store.sound_replicas(shard.shard_id)
    assert len(left) == len(others) and first not in left


def test_a_disk_that_waits_to_be_declared_gone_may_be_needed_by_then(engine: Engine):
    """Background copies and trims end first, which may take hours."""
    shard, first, others = one_too_many(engine)
    job = engine.rebuild(RebuildRequest(disk=others[0].name))
    for disk in (first, *others[1:]):
        engine.replicator._drop(shard, disk, [])
    # Nobody else makes copies meanwhile.
    engine.reconciler.stop()
    engine.reconciler._busy.release()
    try:
        assert job.finished.wait(60)
    finally:
        engine.reconciler._busy.acquire()
    assert job.state == "failed" and "the only disk that gives" in str(job.error)
    assert others[0].readable and engine.store.sound_copies(shard.shard_id) > 0


def test_what_gives_copies_up_is_judged_and_said_under_one_lock(engine: Engine, monkeypatch):
    held: dict[str, bool] = {}
    append = CatalogLog.append

    def watched(self, *items, **more) -> None:
        held.update((kind, engine.store.letting_go.locked()) for kind, _ in items)
        append(self, *items, **more)

    monkeypatch.setattr(CatalogLog, "append", watched)
    shard, first, _ = one_too_many(engine)
    assert engine.replicator.give_up(shard.shard_id, first)
    assert held == {"replica_add": False, "replica_drop": True}
