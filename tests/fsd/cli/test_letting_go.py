"""A copy and the disk of the other one, given up at one moment: one of the two stays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from command import PROGRAM, environment
from store_checks import assert_batch, put, settle
from store_harness import Store, write_files

from fsd.disks.disks import Disk
from fsd.documents.models import BatchWriteRequest, RebuildRequest
from fsd.engine.drain import REPLACE, _start, drain, retire, undrain
from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogShard
from fsd.format.errors import QuotaError
from fsd.replicas.gone_disks import mark_disks
from fsd.replicas.removal_check import check_room, shards_on
from fsd.replicas.replicate import Replicator
from fsd.store.catalog_log import CatalogLog
from fsd.store.job import Job

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
    with running.reconciler.busy:
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
    engine.reconciler.busy.release()
    try:
        assert job.finished.wait(60)
    finally:
        engine.reconciler.busy.acquire()
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


@pytest.mark.parametrize("engine", [1], indirect=True)
def test_two_disks_that_are_emptied_at_once_share_the_room_of_the_others(engine: Engine, short_tmp):
    store = engine.store
    while len({disk for shard in store.shards.state.shards.values() for disk in shard.disks}) < 2:
        number = len(store.shards.state.batches)
        folder = write_files(f"{short_tmp}/{number}", {"one": os.urandom(400_000)})
        job = engine.batch_write(BatchWriteRequest(folder=folder, batch=f"b{number}"))
        assert job.finished.wait(60) and job.state == "done", job.error
        engine.seal_and_project()
    held = {disk: shards_on(store, disk) for disk in store.disks.disks.values()}
    first, second = [disk for disk in held if held[disk]][:2]
    # The rest has room for what either has, not for both; nobody measures it any more.
    store.disks._stop.set()
    store.disks._thread.join()
    sizes = [sum(shard.length_bytes for shard in held[disk]) for disk in (first, second)]
    taker, *full = (disk for disk in held if disk not in (first, second))
    reserve = store.config.store.min_free_bytes
    taker.free_bytes = reserve + len(held) * (max(sizes) + 1)
    for disk in (*full, first, second):
        disk.free_bytes = 0
    for disk in (first, second):
        check_room(store, disk)
    store.catalog.append(("disk_drain", {"disk": first.disk_id}))
    mark_disks(store)
    with pytest.raises(QuotaError, match=f"with {first.name}, which is being emptied"):
        drain(engine, second.name)
    assert second.disk_id not in store.shards.state.draining


@pytest.mark.parametrize("engine", [1], indirect=True)
def test_a_disk_taken_back_while_somebody_begins_to_replace_it_is_not_retired(engine: Engine):
    shard, first, (other,) = one_too_many(engine)
    engine.replicator._drop(shard, other, [first])
    # As after a drain that was cancelled.
    engine.store.catalog.append(("disk_drain", {"disk": first.disk_id}))
    mark_disks(engine.store)
    with engine.replicator.claim(shard.shard_id):  # Nothing moves before it is taken back.
        begun: list[Job] = []

        def begin_again() -> None:
            begun.append(_start(engine, REPLACE, first, retire_after=True))

        at_undrain(engine, begin_again)
        undrain(engine, first.name)
    assert begun[0].finished.wait(60) and begun[0].state == "cancelled"
    assert first.shown_state == "online" and not first.draining


def at_undrain(engine: Engine, act: Callable[[], None]) -> None:
    """Act when the catalog is about to be told that a disk is taken back."""
    append = engine.store.catalog.append

    def watched(*items, **more) -> None:
        if items[0][0] == "disk_undrain":
            act()
        append(*items, **more)

    engine.store.catalog.append = watched


def test_force_takes_no_more_than_what_was_told(store, short_tmp: str):
    """Both disks of two copies, each forced while the other one has all: nobody agreed to that."""
    made: Store = store(2)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    command = [sys.executable, PROGRAM, "disk", "retire", "--force", "d2"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **environment(made)}, **pipes) as asking:
        assert b"will be retired for good" in asking.stderr.readline()
        made.client.disk_retire("d1", force=True)
        _, said = asking.communicate(b"y\n", timeout=60)
    assert asking.returncode == 2 and b"WOULD BE LOST" not in said
    assert b"would be lost" in said.splitlines()[-1] and b"safe-to-remove d2" in said
    assert [one.state for one in made.client.disks()] == ["retired", "online"]
    assert_batch(made, "first", FILES)
    # Who is told, and says so again, has it done.
    lost = made.client.disk_removal("d2").sole_shards
    assert lost and made.client.disk_retire("d2", force=True, lost_shards_max=lost)
