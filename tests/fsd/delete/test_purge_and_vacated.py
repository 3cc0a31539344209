"""Purges beside compacted shards that still have what nothing else has, or come back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from loop_disks import LoopDisk, loop_store
from purge_checks import compact, files_of, purge, quick_store, store_batch
from store_checks import (
    assert_batch,
    assert_clean,
    damage,
    disk,
    settle,
    shard_files,
    until,
)
from store_harness import Store, with_settings
from test_gone_and_back import declare_gone, done
from test_revive import KEPT, Folders, Loops, give_up_apart, on_loop

from fsd.delete.purge import purge as purge_verb
from fsd.delete.purge_check import settle_purges
from fsd.delete.purge_vacated import VacatedShards
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.format.layout import shard_path
from fsd.format.purge_marks import EVERY_RECORD
from fsd.store.job import Job


@contextmanager
def slow_house(store: Store, disks: Sequence[LoopDisk] = ()) -> Iterator[Engine]:
    """The store's engine in this process, whose housekeeping looks at no vacated shard.

    Then the disks are repaired, and the store is started.
    """
    store.stop()
    engine = Engine(store.config)
    engine.dropper.tick = lambda: 0
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
    for one in disks:
        one.repair()
    store.start()


def test_a_purge_lets_a_compacted_shard_count_first_that_alone_has_another_batch(store, short_tmp):
    """Its list of files is in no other shard either: nothing else says what the purge must keep."""
    made = quick_store(store, 4)
    folders = Folders(made)
    shard_id, second = give_up_apart(made, folders, short_tmp)
    away = made.disks[second[0]] + ".away"
    (fresh,) = (path for path in shard_files(away) if path != shard_path(away, shard_id))
    with open(fresh, "rb") as file:
        damage(fresh, file.read().index(KEPT["kept/3"]) + 100)
    with slow_house(made) as engine:
        folders.bring(second[0])
        back = engine.add_disk(made.disks[second[0]], None)
        shards = engine.store.shards.state.shards
        until(lambda: not back.found and shards[shard_id].vacated, "what it says to be known")
        job = done(purge_verb(engine.dropper, PurgeRequest(batch="again")))
        assert not shards[shard_id].vacated
        assert job.result["kept_objects"] == len(KEPT)
    assert_batch(made, "kept", KEPT)
    assert [one.batch for one in made.client.batches()] == ["kept"]
    made.stop()
    made.start()
    assert_batch(made, "kept", KEPT)
    # Only now does a disk give what the index knows of the compaction there.
    folders.bring(second[1])
    made.client.disk_add(made.disks[second[1]])
    made.client.wait(made.client.rebuild().job_id)
    assert_clean(made)
    assert_batch(made, "kept", KEPT)


def gone_and_vacated(store: Store, tmp: str) -> tuple[str, list[int]]:
    """Compact a shard of two batches, and declare the disks gone that have it; returns these."""
    files = {name: files_of(name, 4) for name in ("left", "other")}
    for name in files:
        store_batch(store, tmp, name, files[name])
    settle(store)
    purge(store, "other")
    (before,) = {os.path.basename(path) for one in store.disks for path in shard_files(one)}
    assert compact(store, 0.01)["compacted"] == 1
    held = [
        n
        for n, path in enumerate(store.disks)
        if before in map(os.path.basename, shard_files(path))
    ]
    settle(store)
    for number in held:
        declare_gone(store, number)
        until(lambda: store.client.health().rebuild_queue == 0, "copies on the others")
    return before.removesuffix(".shard"), held


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_compacted_shard_that_no_disk_has_is_asked_for_again(store, short_tmp, comes_back):
    made = store(5)
    made.stop()
    made.config = with_settings(made.root, grace_s=3600)
    made.start()
    shard_id, held = gone_and_vacated(made, short_tmp)
    with slow_house(made) as engine:
        job = Job("purge", "", short_tmp)
        vacated = VacatedShards(engine.store, job)
        vacated.look([])
        assert vacated.marks([]) == {shard_id: EVERY_RECORD}
        if comes_back:
            path = made.disks[held[0]]
            os.rename(path + ".away", path)
            back = engine.add_disk(path, None)
            shards = engine.store.shards.state.shards
            until(lambda: back.disk_id in shards[shard_id].disks, "its file to count again")
        vacated.look([])
        assert vacated.marks([]) == ({} if comes_back else {shard_id: EVERY_RECORD})
        job.discard()


@on_loop
def test_nothing_is_decided_of_a_compacted_shard_on_a_disk_that_is_read_only(short_tmp):
    """It was declared gone, and came back: its file counts once it can be verified and written."""
    with loop_store(short_tmp, 5) as (store, disks):
        store.stop()
        store.config = with_settings(store.root, grace_s=3600)
        store.start()
        loops = Loops(disks)
        files = {name: files_of(name, 4) for name in ("left", "other", "last")}
        for name in ("left", "other"):
            store_batch(store, short_tmp, name, files[name])
        settle(store)
        purge(store, "other")
        (before,) = {os.path.basename(path) for one in store.disks for path in shard_files(one)}
        assert compact(store, 0.01)["compacted"] == 1
        settle(store)
        held = [
            n
            for n, path in enumerate(store.disks)
            if before in map(os.path.basename, shard_files(path))
        ]
        for number in held:
            store.stop()
            loops.take(number)
            store.start()
            until(lambda n=number: disk(store, n).state == "missing", "it to be missing")
            store.client.wait(store.client.rebuild(disk(store, number).name).job_id)
            until(lambda: store.client.health().rebuild_queue == 0, "copies on the others")
        store_batch(store, short_tmp, "last", files["last"])
        loops.bring(held[0], readonly=True)
        store.client.disk_add(store.disks[held[0]])
        assert disk(store, held[0]).state == "readonly"
        job = store.client.wait(store.client.purge("last").job_id)
        assert job.state == "failed"
        assert "is being verified" in job.error
        assert_batch(store, "last", files["last"])
        disks[held[0]].remount_writable()
        until(lambda: disk(store, held[0]).state == "online", "it to take data")
        settle(store)
        purge(store, "last")
        assert_batch(store, "left", files["left"])
        assert_clean(store)


@on_loop
def test_a_purge_in_doubt_that_no_disk_takes_a_word_of_stops_no_start(short_tmp):
    with loop_store(short_tmp, 2) as (store, disks):
        files = files_of("first", 4)
        store_batch(store, short_tmp, "first", files)
        with slow_house(store, disks) as engine:
            engine.store.catalog.append(
                ("purge_begin", {"purge": "ab" * 8, "batch": "first"}), everywhere=True
            )
            for one in disks:
                one.turn_readonly()
            for _ in range(2):
                assert not settle_purges(engine.store)
            told = [one for one in engine.store.disks.last_errors if "stays in doubt" in one]
            assert len(told) == 1
            assert "ab" * 8 in engine.store.shards.state.purges
        until(lambda: [one.batch for one in store.client.batches()] == ["first"], "it to be void")
        assert_batch(store, "first", files)
