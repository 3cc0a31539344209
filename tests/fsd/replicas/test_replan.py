"""Copies are planned by what disks really do, and planned anew while they are made."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from store_checks import put, settle
from store_harness import MIB, Store, write_files

from fsd.disks.disks import Disk
from fsd.documents.models import RebuildRequest
from fsd.engine.engine import Engine
from fsd.replicas import reconcile
from fsd.replicas.copy_plan import Left

FILES = {f"{n % 5}/{n}": os.urandom(200_000 + n) for n in range(120)}
NOTED_BYTES = 1 << 30


@pytest.fixture
def engine(store, short_tmp: str) -> Iterator[Engine]:
    made: Store = store(4, shard_size_bytes=MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    made.stop()
    running = Engine(made.config)
    running.start()
    yield running
    running.stop()


def targets(engine: Engine, lost: Disk, left=None) -> Counter[str]:
    """Return how many copies of what the lost disk held the plan lets come to each disk."""
    shards = [s for s in engine.store.shards.state.shards.values() if lost.disk_id in s.disks]
    planned = engine.replicator.plan([(shard, 1) for shard in shards], left)
    assert all(one.target and one.source for one in planned)
    return Counter(one.target for one in planned)


@pytest.mark.warns("a disk is declared gone, and works on while the engine ends")
def test_a_plan_goes_by_what_disks_did_and_have_to_do(engine: Engine):
    turns = engine.replicator.turns
    with engine.reconciler.busy:
        lost, slow, *others = engine.store.disks.online()
        engine.store.disks.declare_gone(lost)
        before = targets(engine, lost)
        assert min(before[disk.disk_id] for disk in (slow, *others)) > 0
        busy = targets(engine, lost, {slow.disk_id: Left(0, 1 << 35)})
        assert busy[slow.disk_id] == 0
        for disk in (slow, *others):
            turns.note_pace(disk.disk_id, 10.0, NOTED_BYTES, writes=False)
            seconds = 2000.0 if disk is slow else 20.0
            turns.note_pace(disk.disk_id, seconds, NOTED_BYTES, writes=True)
        # It writes at a hundredth of their rate, though it reads as they do.
        assert targets(engine, lost)[slow.disk_id] <= 1 < before[slow.disk_id]


@pytest.mark.warns("a disk is declared gone")
def test_a_rebuild_turns_away_from_a_disk_that_takes_copies_slowly(engine: Engine, monkeypatch):
    """What it shows with the first copies holds for all that were not begun then."""
    monkeypatch.setattr(reconcile, "REPLAN_S", 0.0)
    monkeypatch.setattr(reconcile, "REPLAN_SHARE_MAX", 1e9)
    monkeypatch.setattr(reconcile, "COPIES_AT_ONCE_MAX", 1)
    turns, taken = engine.replicator.turns, list[str]()
    lost, *others = engine.store.disks.online()
    # The one that would take most of them: which one it is, the lanes' chance decides.
    planned = targets(engine, lost)
    slow = max(others, key=lambda disk: planned[disk.disk_id])
    others.remove(slow)
    record = engine.replicator._record

    def note(kind: str, shard, disk: Disk, patient=None) -> None:
        # As if it had been slow with this one, and the others had not.
        for one in (slow, *others):
            seconds = 2000.0 if one is slow else 20.0
            turns.note_pace(one.disk_id, seconds, NOTED_BYTES, writes=True)
        taken.append(disk.disk_id)
        record(kind, shard, disk, patient)

    monkeypatch.setattr(engine.replicator, "_record", note)
    with engine.reconciler.busy:
        engine.store.disks.declare_gone(lost)
        assert targets(engine, lost)[slow.disk_id] > 2
    job = engine.rebuild(RebuildRequest())
    assert job.finished.wait(60)
    assert job.state == "done", (job.state, job.error)
    # By the rebuild, or by the reconciler if its round began first: the plan is made alike.
    assert len(taken) >= max(job.result["copied"], 9)
    # The first one, perhaps: nobody knew it then.
    assert Counter(taken)[slow.disk_id] <= 1
