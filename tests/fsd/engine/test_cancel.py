"""Jobs that are cancelled in the middle: nothing is lost, and the same again goes on and ends.

Each is held at a place that it cannot pass by what it waits for in life: a shard or a file that
somebody else has, a disk that does not answer. One is held between two pieces of a shard, where a
cancel comes to copies of any length.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from loop_disks import loop_store, needs_loop
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    key_of,
    keys_of,
    shard_files,
    until,
    write_manifest,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.delete.compact import compact
from fsd.delete.compact_plan import find_garbage, group_rounds
from fsd.delete.purge import purge
from fsd.disks.config import load_config
from fsd.documents.models import BatchWriteRequest, MaterialiseRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.drain import drain
from fsd.engine.engine import Engine
from fsd.engine.rebalance import _plan, rebalance
from fsd.format import layout
from fsd.format.tree import open_verified
from fsd.replicas.removal_check import shards_on
from fsd.replicas.replicate import COPY_SLOTS
from fsd.store.generation import current_generation
from fsd.store.job import Job
from fsd.store.store import Store as OpenStore

WAIT_S = 90.0


def files_of(count: int, size: int = 120_000) -> dict[str, bytes]:
    return {f"{number}": os.urandom(size + number) for number in range(count)}


@contextlib.contextmanager
def opened(store: Store, **settings: object) -> Iterator[Engine]:
    """The store's engine in this process."""
    config = with_settings(store.root, **settings) if settings else load_config(store.config_path)
    engine = Engine(config)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def put(engine: Engine, store: Store, batch: str, files: dict[str, bytes]) -> Job:
    folder = write_files(os.path.join(store.root, f"source-{batch}"), files)
    return engine.batch_write(BatchWriteRequest(folder=folder, batch=batch))


def done(job: Job) -> Job:
    assert job.finished.wait(WAIT_S) and job.state == "done", (job.kind, job.state, job.error)
    return job


def cancelled(job: Job) -> Job:
    job.cancel()
    assert job.finished.wait(WAIT_S), f"the {job.kind} does not end"
    assert job.state == "cancelled", (job.kind, job.state, job.error)
    return job


def check(store: Store, batches: dict[str, dict[str, bytes]]) -> None:
    """With an engine of its own: what the one before knew does not help it."""
    store.start()
    for name, files in batches.items():
        assert_batch(store, name, files)
        assert_copies(store, files, 2)
    assert_clean(store)


@pytest.mark.fault
def test_a_put(store):
    """It waits for a file that another put has begun to write; the other files are stored."""
    made, files = store(3, started=False), files_of(40)
    held = [bytes.fromhex(key_of(files["7"]))]
    with opened(made) as engine:
        for _ in range(3):
            other = object()
            assert engine.claims.decide(held, "raw", other) == ["claimed"]
            job = put(engine, made, "first", files)
            until(lambda job=job: job.done_files == len(files) - 1, "all but one")
            cancelled(job)
            with engine.store.index.read() as reader:
                row = reader.batch("first")
            assert row is not None and not row.sealed and row.files == len(files) - 1
            # What was acknowledged is shown, also beside what a listing had before.
            until(lambda: listed(engine, "first") == len(files) - 1, "a listing of all that")
            engine.claims.settle(held, written=False)
            engine.claims.forget(other)
            files[f"more {len(files)}"] = os.urandom(50_000 + len(files))
        result = done(put(engine, made, "first", files)).result
        assert (result["written"], result["existing"]) == (2, len(files) - 2)
    check(made, {"first": files})


def listed(engine: Engine, batch: str) -> int:
    """Return how many files the listing of a batch has."""
    with engine.store.index.read() as reader:
        row = reader.batch(batch)
    if row is None or not row.tree_file:
        return 0
    try:
        tree = open_verified(engine.store.index.tree_path(row.tree_file))
    except FileNotFoundError:  # Another one takes its place.
        return 0
    with tree:
        return sum(tree.node(number).key is not None for number in range(tree.node_count))


@pytest.mark.fault
def test_a_drain(store):
    made, files = store(4, started=False, shard_size_bytes=MIB), files_of(40)
    with opened(made) as engine:
        done(put(engine, made, "first", files))
        done(engine.rebuild_lost(None, "rebuild"))
        disk = max(engine.store.disks.online(), key=lambda one: len(shards_on(engine.store, one)))
        before = shards_on(engine.store, disk)
        assert len(before) > 2
        with engine.replicator.claim(before[-1].shard_id):
            job = drain(engine, disk.name)
            until(lambda: job.done_files == len(before) - 1, "all shards but one to be moved")
            cancelled(job)
        assert [one.shard_id for one in shards_on(engine.store, disk)] == [before[-1].shard_id]
        assert disk.shown_state == "draining"
        assert done(drain(engine, disk.name)).result["moved"] == 1
        assert shards_on(engine.store, disk) == [] and shard_files(disk.path) == []
    check(made, {"first": files})


@pytest.mark.fault
def test_a_drain_in_the_middle_of_a_copy(store, monkeypatch):
    """What is written of the copy goes at once, and nothing that it held stays taken."""
    made, files = store(3, started=False), {"large": os.urandom(70 * MIB)}
    with opened(made) as engine:
        done(put(engine, made, "first", files))
        done(engine.rebuild_lost(None, "rebuild"))
        known, pool = engine.store.shards.state.shards, engine.store.pool
        large = max(known.values(), key=lambda shard: shard.length_bytes)
        disk = engine.store.disks.disks[large.disks[0]]
        (other,) = (one for one in engine.store.disks.online() if one.disk_id not in large.disks)
        part = layout.part_path(other.path, large.shard_id)
        pause, written, go_on = engine.replicator._pause, threading.Event(), threading.Event()

        def held(job: Job | None, done_bytes: int) -> None:
            pause(job, done_bytes)
            if done_bytes > MIB:
                written.set()
                assert go_on.wait(WAIT_S)

        monkeypatch.setattr(engine.replicator, "_pause", held)
        job = drain(engine, disk.name)
        assert written.wait(WAIT_S)
        assert 0 < job.done_bytes < large.length_bytes and os.path.getsize(part) > 0
        job.cancel()
        go_on.set()
        cancelled(job)
        assert not os.path.exists(part) and shard_files(other.path).count(large.shard_id) == 0
        assert known[large.shard_id].disks == large.disks
        until(lambda: pool._free.qsize() == len(pool.slots), "all slots to be free")
        assert engine.replicator.turns._slots_left == COPY_SLOTS
        assert not engine.replicator.turns._requests.total()
        done(drain(engine, disk.name))
        assert shards_on(engine.store, disk) == []
    check(made, {"first": files})


class TestOnDisksOfTheirOwn:
    pytestmark = needs_loop

    @pytest.mark.fault
    def test_a_rebalance(self, short_tmp):
        files = files_of(150)
        with loop_store(short_tmp, 4, in_use=3) as (made, disks):
            made.stop()
            with opened(made) as engine:
                done(put(engine, made, "first", files))
                done(engine.rebuild_lost(None, "rebuild"))
                engine.add_disk(disks[3].path, "new")
                made.disks.append(disks[3].path)
                moves = planned_moves(engine.store)
                assert len(moves) > 2
                with engine.replicator.claim(moves[-1]):
                    job = rebalance(engine)
                    until(lambda: job.done_files == len(moves) - 1, "all moves but one")
                    cancelled(job)
                left = len(planned_moves(engine.store))
                assert left <= 1 and len(shard_files(disks[3].path)) == len(moves) - 1
                assert done(rebalance(engine)).result["moved"] == left
                assert planned_moves(engine.store) == []
            check(made, {"first": files})


def planned_moves(store: OpenStore) -> list[str]:
    return [move.shard_id for move in _plan(store)[1]]


@pytest.mark.fault
def test_a_compaction(store):
    made = store(3, started=False, shard_size_bytes=MIB)
    # Small ones, which share shards.
    batches = {f"b{number}": files_of(6) for number in range(8)}
    with opened(made) as engine:
        for name, files in batches.items():
            done(put(engine, made, name, files))
        done(engine.rebuild_lost(None, "rebuild"))
        for name in ("b1", "b3", "b5", "b7"):
            done(purge(engine.dropper, PurgeRequest(batch=name)))
            del batches[name]
        victims = find_garbage(engine.store, 0.01).victims
        rounds = group_rounds(victims, engine.config.store.shard_size_bytes)
        assert len(rounds) > 1
        with engine.replicator.claim(rounds[-1][0].shard_id):
            job = compact(engine.dropper, 0.01)
            earlier = sum(map(len, rounds[:-1]))
            until(lambda: job.done_files == earlier, "all rounds but one")
            cancelled(job)
        left = {victim.shard_id for victim in find_garbage(engine.store, 0.01).victims}
        assert left == {victim.shard_id for victim in rounds[-1]}
        assert done(compact(engine.dropper, 0.01)).result["compacted"] == len(left)
        assert find_garbage(engine.store, 0.01).victims == ()
    check(made, batches)


@pytest.mark.fault
def test_a_reindex(store, short_tmp):
    """The index before is in use again, with what has changed meanwhile; and so after a restart."""
    made, files = store(3, started=False, shard_size_bytes=MIB), files_of(40)
    manifest = write_manifest(os.path.join(short_tmp, "m"), keys_of(files))
    with opened(made, stall_timeout_s=120.0) as engine:
        done(put(engine, made, "first", files))
        view(engine, manifest, "kept")
        view(engine, manifest, "unpublished")
        done(engine.rebuild_lost(None, "rebuild"))  # Seals the shard of the manifest.
        index = engine.store.index
        processes = [disk.child.pid for disk in engine.store.disks.online() if disk.child]
        signal_all(processes, signal.SIGSTOP)
        job = engine.reindex()
        until(lambda: engine.store.index is not index, "another generation")
        begun = engine.store.index
        with begun.write():
            # What it reads now it can only put into the index when this is over.
            signal_all(processes, signal.SIGCONT)
            words = {"view_kind": "exports", "view": "unpublished", "layout": "plain"}
            engine.store.catalog.append(("view_unpublish", words))
            job.cancel()
        # The shard that it was at, and none after that.
        assert cancelled(job).done_files == 1 < job.total_files
        assert engine.store.index is index and not os.path.exists(begun.path)
        assert current_generation(engine.config.index_root) == index.generation
        with index.read() as reader:
            assert [row.name for row in reader.views()] == ["exports/kept/plain"]
            shards = {row.shard_id: row.number for row in reader.shards()}
        assert shards == engine.store.shards.numbers
        more = files_of(3)
        done(put(engine, made, "second", more))
    check(made, {"first": files, "second": more})
    made.stop()
    with opened(made) as engine:
        assert engine.store.index.generation == index.generation
        assert done(engine.reindex()).result["problems"] == []
        assert engine.store.index.generation > index.generation
    check(made, {"first": files, "second": more})


def view(engine: Engine, manifest: str, name: str) -> None:
    request = MaterialiseRequest(manifest=manifest, target_id=name, layout_id="plain", mode="view")
    answer = engine.materialise("exports", request)
    done(engine.jobs.get(answer.job_id))


def signal_all(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)
