"""One copy's way: what its target is asked for, in which order, and what is learnt from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from store_checks import put, settle
from store_harness import MIB, write_files

from fsd.disks.disks import Disk
from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogShard
from fsd.planning.disk_model import DEFAULT_MODEL, DiskModel
from fsd.replicas import shard_copy
from fsd.replicas.copy_plan import TARGET_PASSES, Need, Planned, Room

PROVEN_PIECES = 4


@pytest.fixture
def engine(store, short_tmp: str) -> Iterator[Engine]:
    made = store(3, shard_size_bytes=16 * MIB)
    files = {f"{n}": os.urandom(MIB) for n in range(10)}
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    made.stop()
    running = Engine(made.config)
    running.start()
    running.seal_and_project()
    yield running
    running.stop()


def copy_one(engine: Engine) -> tuple[CatalogShard, Planned]:
    """Copy a shard of several pieces to the disk that has none of it."""
    store = engine.store
    shard = max(store.shards.state.shards.values(), key=lambda one: one.length_bytes)
    assert shard.length_bytes > 2 * PROVEN_PIECES * MIB
    target = next(disk for disk in store.disks.online() if disk.disk_id not in shard.disks)
    need = Need(shard.shard_id, shard.length_bytes, 2, shard.disks, [target.disk_id])
    planned = Planned(need, shard.disks[0], target.disk_id)
    with engine.replicator.claim(shard.shard_id) as known:
        assert known is not None
        engine.replicator.copy(known, None, wished=planned)
    return shard, planned


def test_a_target_reads_back_in_pieces_what_it_was_sent_before(engine: Engine, monkeypatch):
    monkeypatch.setattr(shard_copy, "PIECE_BYTES_MAX", MIB)
    monkeypatch.setattr(shard_copy, "PROVEN_BYTES", PROVEN_PIECES * MIB)
    asked, request = list[tuple[str, int]](), Disk.request

    def noted(disk: Disk, operation: str, *arguments: Any, **options: Any) -> Any:
        if operation in ("copy_write", "copy_prove", "copy_finish"):
            asked.append((operation, arguments[-1]))
        return request(disk, operation, *arguments, **options)

    monkeypatch.setattr(Disk, "request", noted)
    shard, planned = copy_one(engine)
    written = proven = 0
    for operation, size in asked[:-1]:
        assert 0 < size <= MIB
        written += size if operation == "copy_write" else 0
        proven += size if operation == "copy_prove" else 0
        assert proven <= written
        # It neither holds back what may be proven, nor asks before there is a run of it.
        if operation == "copy_prove":
            assert written == shard.length_bytes or written >= PROVEN_PIECES * MIB
    assert written == proven == shard.length_bytes
    assert asked[-1][0] == "copy_finish"
    done = planned.progress
    assert done.read_bytes == done.written_bytes == done.proven_bytes == shard.length_bytes


def test_what_a_target_took_is_kept_as_if_it_had_been_at_the_outer_edge(engine, monkeypatch):
    noted = list[tuple[str, float]]()
    monkeypatch.setattr(DiskModel, "slowdown", lambda *_: 3.0)
    note_pace = engine.replicator.turns.note_pace

    def note(disk_id: str, seconds: float, size_bytes: int, *, writes: bool) -> None:
        if writes:
            noted.append((disk_id, size_bytes))
        note_pace(disk_id, seconds, size_bytes, writes=writes)

    monkeypatch.setattr(engine.replicator.turns, "note_pace", note)
    shard, planned = copy_one(engine)
    assert {disk_id for disk_id, _ in noted} == {planned.target}
    assert sum(size for _, size in noted) == 3 * shard.length_bytes


def test_targets_are_planned_by_the_tracks_that_are_still_to_come(engine: Engine):
    first, second, _ = engine.store.disks.online()
    outer_s = 1e-8
    for disk in (first, second):  # So many that what was expected counts for nothing.
        for _ in range(2000):
            seconds = outer_s * TARGET_PASSES * (1 << 40)
            engine.replicator.turns.note_pace(disk.disk_id, seconds, 1 << 40, writes=True)
    rooms = {first.disk_id: Room(1 << 40, 1 << 40), second.disk_id: Room(1 << 39, 1 << 40)}
    pass_s = engine.replicator._target_pass_s
    nothing = pass_s(rooms, 0)
    assert nothing[first.disk_id] == pytest.approx(outer_s, rel=0.001)
    assert nothing[second.disk_id] == pytest.approx(
        outer_s * DEFAULT_MODEL.slowdown(0.5), rel=0.001
    )
    # Half of what comes is for each of them; in the mean it lies behind a half of that.
    much = pass_s(rooms, 1 << 39)
    assert much[first.disk_id] == pytest.approx(outer_s * DEFAULT_MODEL.slowdown(0.125), rel=0.001)
    assert much[second.disk_id] == pytest.approx(outer_s * DEFAULT_MODEL.slowdown(0.625), rel=0.001)
