"""An index that is older than what was deleted since: it follows, or tells nothing of that."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import pytest
from store_checks import (
    assert_batch,
    assert_clean,
    finish,
    key_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
)
from store_harness import Store, write_files

from fsd.engine.engine import Engine
from fsd.format.errors import NotFoundError, QuotaError, ReindexingError
from fsd.store import purge_place
from fsd.store.read import head

FILES = {f"{number}": os.urandom(9_000 + number) for number in range(20)}


def fill_ssd(patched: pytest.MonkeyPatch) -> None:
    """Let the index find no room to follow, as `test_ssd_full_start` does in earnest."""

    def full(*_: Any) -> int:
        raise QuotaError("the SSD is full")

    patched.setattr("fsd.engine.index_start.project", full)
    patched.setattr("fsd.engine.engine.project", full)
    patched.setattr("fsd.running.engine_core.project", full)


@pytest.mark.parametrize("dropped", ["raw", "generated"])
def test_what_was_in_a_dropped_shard_is_found_in_the_other_that_has_it(
    store, short_tmp: str, monkeypatch, dropped: str
):
    made: Store = store(2)
    source = write_files(os.path.join(short_tmp, "source"), FILES)
    for class_name in ("generated", "raw"):
        job = made.client.batch_write(source, class_name, class_name)
        assert made.client.wait(job.job_id).state == "done"
    # The contents are in two shards each: the raw one is their place, the other one is a spare.
    settle(made)
    made.stop()
    older = os.path.join(short_tmp, "older")
    shutil.copytree(made.config.index_root, older)
    engine = Engine(made.config)
    engine.start()
    try:
        shards = engine.store.shards.state.shards.values()
        gone = {shard.shard_id for shard in shards if shard.class_name == dropped}
        numbers = {engine.store.shards.numbers[shard_id] for shard_id in gone}
        for shard_id in gone:
            entry = {"shard": shard_id}
            engine.store.catalog.append(("shard_vacate", entry), ("shard_drop", entry))
    finally:
        engine.stop()
    shutil.rmtree(made.config.index_root)
    shutil.copytree(older, made.config.index_root)
    monkeypatch.setattr(purge_place, "PIECE_RECORDS", 3)
    engine = Engine(made.config)
    engine.start()
    try:
        with engine.store.index.read() as reader:
            places = [*reader.keys(), *reader.all_spares()]
    finally:
        engine.stop()
    assert not [key for key, location in places if location.shard_number in numbers]
    found = {key.hex() for key, _ in places}
    assert found >= {key_of(data) for data in FILES.values()}
    made.start()
    # Parts of the batch lay in its shards alone.
    other = "generated" if dropped == "raw" else "raw"
    assert_batch(made, other, FILES)
    for data in FILES.values():
        head = made.client.head(key_of(data))
        assert head.shard_id not in gone and read_object(made, key_of(data)) == data
    put(made, source, "again")
    assert_batch(made, "again", FILES)


@pytest.mark.fault
def test_what_was_deleted_since_is_not_told_while_the_index_cannot_follow(
    store, short_tmp: str, monkeypatch
):
    """Nor is there a job each second that fails, and housekeeping does what else there is."""
    made: Store = store(2)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "gone")
    key = key_of(FILES["0"])
    made.stop()
    older = os.path.join(short_tmp, "older")
    shutil.copytree(made.config.index_root, older)
    made.start()
    finish(made, made.client.purge("gone").job_id)
    made.stop()
    shutil.rmtree(made.config.index_root)
    shutil.copytree(older, made.config.index_root)

    rounds: list[float] = []
    engine = Engine(made.config)
    engine.on_housekeeping = lambda: rounds.append(time.monotonic())
    with monkeypatch.context() as patched:
        fill_ssd(patched)
        engine.start()
        assert engine.store.index.locate(bytes.fromhex(key)) is not None
        with pytest.raises(ReindexingError, match="nothing is lost"):
            head(engine.store, bytes.fromhex(key))
        engine.store.misplaced.add(key)
        until(lambda: len(rounds) > 1, "two rounds of housekeeping")
        assert engine.jobs.all() == []
    engine.wake()
    until(lambda: not engine.store.is_unfinished, "the index to follow")
    with pytest.raises(NotFoundError, match="no object"):
        head(engine.store, bytes.fromhex(key))
    engine.stop()


@pytest.mark.fault
def test_lost_copies_of_shards_that_the_index_does_not_know_are_made_again(
    store, short_tmp: str, monkeypatch
):
    made: Store = store(2)
    made.stop()
    older = os.path.join(short_tmp, "older")
    shutil.copytree(made.config.index_root, older)
    made.start()
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "new")
    settle(made)
    made.stop()
    shutil.rmtree(made.config.index_root)
    shutil.copytree(older, made.config.index_root)
    lost = shard_files(made.disks[0])
    assert lost
    for path in lost:
        os.unlink(path)
    engine = Engine(made.config)
    with monkeypatch.context() as patched:
        fill_ssd(patched)
        engine.start()
        until(lambda: shard_files(made.disks[0]) == lost, "the copies")
        until(lambda: not engine.reconciler.wanted(), "all of them to count")
        # As a copy does at its end: it needs no number of the shard.
        for shard in list(engine.store.shards.state.shards.values()):
            assert shard.shard_id not in engine.store.shards.numbers
            engine.replicator.adopt(shard, engine.store.disks.by_name("d1"))
        assert engine.store.is_unfinished
    engine.wake()
    until(lambda: not engine.store.is_unfinished, "the index to follow")
    engine.stop()
    made.start()
    assert_batch(made, "new", FILES)
    assert_clean(made)
