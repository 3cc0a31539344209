"""A vacated shard of which something lives nowhere else counts again, and its files stay."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from loop_disks import LoopDisk, loop_store, needs_loop
from purge_checks import compact, files_of, purge, quick_store, reindex
from store_checks import (
    assert_batch,
    assert_clean,
    damage,
    disk,
    key_of,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import Store, with_settings, write_files
from test_gone_and_back import done

from fsd import compact_drop, purge_marking
from fsd.catalog import CatalogShard
from fsd.compact import _Round
from fsd.compact import compact as compact_verb
from fsd.compact_proof import Worth, weakest
from fsd.engine import Engine
from fsd.errors import FsdError
from fsd.index import Location
from fsd.job import Job
from fsd.layout import shard_path
from fsd.models import BatchWriteRequest
from fsd.purge import purge as purge_verb
from fsd.purge_models import PurgeRequest
from fsd.purge_place import places_of

SIZE = 9000
KEPT, PURGED = files_of("kept", 8, SIZE), files_of("purged", 8, SIZE)


def on_loop(test):
    for mark in needs_loop:
        test = mark(test)
    return test


# Two runs of the engine that saw different disks


class Folders:
    """Disks that are folders: one that is away has another name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, number: int) -> None:
        os.rename(self._store.disks[number], self._store.disks[number] + ".away")

    def bring(self, number: int) -> None:
        os.rename(self._store.disks[number] + ".away", self._store.disks[number])


class Loops:
    """Disks that are filesystems."""

    def __init__(self, disks: list[LoopDisk]) -> None:
        self._disks = disks

    def take(self, number: int) -> None:
        self._disks[number].unmount()

    def bring(self, number: int, *, readonly: bool = False) -> None:
        self._disks[number].mount_readonly() if readonly else self._disks[number].mount()


def one_shard(store: Store, tmp: str) -> tuple[str, list[int], list[int]]:
    """Store two batches in one shard; returns it, and two pairs of disks: each pair has a copy."""
    for name, files in (("kept", KEPT), ("purged", PURGED)):
        put(store, write_files(os.path.join(tmp, f"source-{name}"), files), name)
    settle(store)
    held = [number for number, path in enumerate(store.disks) if shard_files(path)]
    (path,) = shard_files(store.disks[held[0]])
    spare = [number for number in range(4) if number not in held]
    shard_id = os.path.basename(path).removesuffix(".shard")
    assert len(held) == 2 and [os.path.basename(p) for p in shard_files(store.disks[held[1]])] == [
        os.path.basename(path)
    ]
    return shard_id, [held[0], spare[0]], [held[1], spare[1]]


def without(store: Store, disks: Folders | Loops, away: list[int], back: list[int]) -> None:
    """Start the engine with other disks than before."""
    store.stop()
    for number in away:
        disks.take(number)
    for number in back:
        disks.bring(number)
    store.start()
    for number in away:
        wait_for_state(store, number, "missing")


def give_up_apart(store: Store, disks: Folders | Loops, tmp: str) -> tuple[str, list[int]]:
    """Let two disks vacate a shard, and the two others, which know nothing of it, rely on it.

    Returns the shard, and the two disks that gave it up: declared gone, and still away.
    """
    shard_id, first, second = one_shard(store, tmp)
    purge(store, "purged")
    without(store, disks, first, [])
    assert compact(store, 0.01)["compacted"] == 1
    assert store.client.compact_plan().waiting_shards == 1, "dropped without all of its disks"
    without(store, disks, second, first)
    for number in second:
        store.client.wait(store.client.rebuild(disk(store, number).name).job_id)
    assert {disk(store, number).state for number in second} == {"gone"}
    until(lambda: store.client.health().rebuild_queue == 0, "its copies on the two")
    lines = put(store, os.path.join(tmp, "source-kept"), "again")
    assert {line["status"] for line in lines} == {"existing"}
    return shard_id, second


def assert_kept(store: Store, shard_id: str) -> None:
    """What was acknowledged is read; the shard has all of it."""
    until(lambda: store.client.compact_plan().waiting_shards == 0, "nothing vacated any more")
    files = [path for folder in store.disks for path in shard_files(folder)]
    assert shard_id in {os.path.basename(path).removesuffix(".shard") for path in files}
    for batch in ("kept", "again"):
        assert_batch(store, batch, KEPT)
    assert any(f"{shard_id} counts again" in one for one in store.client.health().last_errors)
    assert {store.client.head(key_of(data)).shard_id for data in KEPT.values()} == {shard_id}


@on_loop
def test_a_disk_that_comes_back_read_only_says_vacated_and_has_nothing_that_counts(short_tmp: str):
    with loop_store(short_tmp, 4) as (store, disks):
        store.stop()
        store.config = with_settings(store.root, grace_s=0)
        store.start()
        loops = Loops(disks)
        shard_id, second = give_up_apart(store, loops, short_tmp)
        loops.bring(second[0], readonly=True)
        store.client.disk_add(store.disks[second[0]])
        assert disk(store, second[0]).state == "readonly"
        assert_kept(store, shard_id)
        # It says so again, and so does the next engine; the answer is known by then.
        store.stop()
        store.start()
        assert_kept_still(store)
        disks[second[0]].remount_writable()
        wait_for_state(store, second[0], "online")
        settle(store)
        compact(store, 0.01)
        until(lambda: store.client.compact_plan().waiting_shards == 0, "one of the two to go")
        assert_kept_still(store)
        assert_clean(store)


def assert_kept_still(store: Store) -> None:
    for batch in ("kept", "again"):
        assert_batch(store, batch, KEPT)


@pytest.mark.parametrize("indexed", ["rolled forward", "made anew"])
def test_a_disk_comes_back_with_a_damaged_copy_of_what_it_relied_on(store, short_tmp, indexed):
    made = quick_store(store, 4)
    folders = Folders(made)
    shard_id, second = give_up_apart(made, folders, short_tmp)
    away = made.disks[second[0]] + ".away"
    (fresh,) = (path for path in shard_files(away) if path != shard_path(away, shard_id))
    with open(fresh, "rb") as file:
        damage(fresh, file.read().index(KEPT["kept/3"]) + 100)
    folders.bring(second[0])
    made.client.disk_add(made.disks[second[0]])
    assert_kept(made, shard_id)
    if indexed == "made anew":
        reindex(made)
    made.stop()
    made.start()
    assert_kept_still(made)
    # The other one has what this one lost; now there are two shards of the same.
    folders.bring(second[1])
    made.client.disk_add(made.disks[second[1]])
    made.client.wait(made.client.rebuild().job_id)
    settle(made)
    compact(made, 0.01)
    until(lambda: made.client.compact_plan().waiting_shards == 0, "one of the two to go")
    assert_kept_still(made)
    assert_clean(made)


def test_a_purge_that_was_committed_on_disks_declared_gone_is_void_for_its_bytes_too(
    store, short_tmp
):
    """A compaction there left out what the purge marks: here it was put again, as existing."""
    made = quick_store(store, 4)
    folders = Folders(made)
    shard_id, first, second = one_shard(made, short_tmp)
    made.stop()
    engine = Engine(made.config)
    engine.start()
    try:

        def lose(name: str) -> None:
            if name == "begun":
                for number in first:
                    folders.take(number)
                disks = {one.path: one for one in engine.store.disks.disks.values()}
                lost = [disks[made.disks[number]] for number in first]
                until(lambda: all(one.state == "missing" for one in lost), "them to be missing")

        engine.on_barrier = lose
        done(purge_verb(engine, PurgeRequest(batch="purged")))
        assert done(compact_verb(engine, 0.01)).result["compacted"] == 1
    finally:
        engine.stop()
    for number in second:
        folders.take(number)
    for number in first:
        folders.bring(number)
    made.start()
    for number in second:
        wait_for_state(made, number, "missing")
        made.client.wait(made.client.rebuild(disk(made, number).name).job_id)
    until(lambda: "purged" in {one.batch for one in made.client.batches()}, "the purge to be void")
    lines = put(made, os.path.join(short_tmp, "source-purged"), "again")
    assert {line["status"] for line in lines} == {"existing"}
    folders.bring(second[0])
    made.client.disk_add(made.disks[second[0]])
    until(lambda: made.client.compact_plan().waiting_shards == 0, "nothing vacated any more")
    assert os.path.exists(shard_path(made.disks[first[0]], shard_id))
    for batch, files in (("kept", KEPT), ("purged", PURGED), ("again", PURGED)):
        assert_batch(made, batch, files)
    made.stop()
    made.start()
    for batch, files in (("kept", KEPT), ("purged", PURGED), ("again", PURGED)):
        assert_batch(made, batch, files)
    assert_clean(made)


# One run


@contextlib.contextmanager
def compacted(store: Store) -> Iterator[tuple[Engine, CatalogShard, CatalogShard]]:
    """The store's engine in this process, a shard that a compaction vacated, and the fresh one.

    Nobody makes copies meanwhile, and the grace lasts.
    """
    engine = Engine(store.config)
    engine.start()
    try:
        for name, files in (("kept", KEPT), ("purged", PURGED)):
            folder = write_files(os.path.join(store.root, f"source-{name}"), files)
            done(engine.batch_write(BatchWriteRequest(folder=folder, batch=name)))
        done(engine.rebuild_lost(None, "rebuild"))
        done(purge_verb(engine, PurgeRequest(batch="purged")))
        assert done(compact_verb(engine, 0.01)).result["compacted"] == 1
        old, fresh = engine.store.shards.state.shards.values()
        assert old.vacated and not fresh.vacated
        with engine.reconciler._busy:
            yield engine, old, fresh
    finally:
        engine.stop()


def proven(engine: Engine, shard: CatalogShard) -> Worth:
    """Wait for a proof of the shard as it is now; returns what it is worth."""

    def is_proven() -> bool:
        engine.wake()
        proof = engine.dropper._proofs.get(shard.shard_id)
        return proof is not None and proof.mark == shard.mark

    until(is_proven, "a look at the shard")
    return weakest(engine.store, engine.dropper._proofs[shard.shard_id])


def test_what_the_other_shard_cannot_give_just_now_is_kept_and_what_it_lost_is_revived(store):
    with compacted(store(2, started=False)) as (engine, old, fresh):
        inside = engine.store
        assert proven(engine, old) == Worth.SAFE
        first, second = inside.sound_replicas(fresh.shard_id)
        inside.mark_suspect(fresh.shard_id, first)
        assert proven(engine, old) == Worth.WAITING
        with pytest.raises(FsdError, match="too few sound copies now"):
            engine.dropper._drop_due(old.shard_id)
        assert old.vacated
        inside.mark_suspect(fresh.shard_id, second)
        engine.wake()
        until(lambda: not old.vacated, "the shard to count again")
        keys = [bytes.fromhex(key_of(data)) for data in KEPT.values()]
        number = inside.shards.numbers[old.shard_id]

        def is_known() -> bool:
            with inside.index.read() as reader:
                places = [{one.shard_number for one in places_of(reader, key)} for key in keys]
            return all(number in some for some in places)

        until(is_known, "the index to know it")


def test_shards_are_revived_when_the_disks_of_the_others_are_declared_gone(store):
    """The index still says that they have it; nobody will ever read it there."""
    made = store(4, started=False)
    with compacted(made) as (engine, old, fresh):
        assert proven(engine, old) == Worth.SAFE
        with engine.replicator.claim(old.shard_id):
            others = [d for d in engine.store.disks.online() if d.disk_id not in fresh.disks]
            if not any(one.disk_id in old.disks for one in others):
                engine.replicator.copy(old, None, target=others[0])
        entries = [("disk_gone", {"disk": disk_id}) for disk_id in fresh.disks]
        engine.store.catalog.append(*entries)
        engine.wake()
        until(lambda: not old.vacated, "the shard to count again")


def test_a_purge_reaches_what_lies_in_a_vacated_shard(store):
    """Its records there are the last ones of their content: they are dead, not homeless."""
    with compacted(store(3, started=False)) as (engine, old, _):
        assert proven(engine, old) == Worth.SAFE
        done(purge_verb(engine, PurgeRequest(batch="kept")))
        assert proven(engine, old) == Worth.SAFE and old.vacated
        for data in KEPT.values():
            assert engine.store.index.locate(bytes.fromhex(key_of(data))) is None
        engine.dropper._since[old.shard_id] = float("-inf")
        engine.wake()
        until(lambda: old.shard_id not in engine.store.shards.state.shards, "it to be dropped")


def test_a_compaction_relies_on_no_shard_that_is_vacated(store):
    """Also before the index has followed."""
    made = store(2, started=False)
    with compacted(made) as (engine, _, fresh):
        reports = os.path.join(made.root, "reports")
        os.makedirs(reports)
        job = Job("compact", "", reports)
        number = engine.store.shards.numbers[fresh.shard_id]
        with engine.store.index.read() as reader:
            place = reader.locate(bytes.fromhex(key_of(KEPT["kept/0"])))
        assert isinstance(place, Location) and place.shard_number == number
        assert _Round(engine, job, [])._holds(place, "raw")
        with engine.maintenance:  # So that nobody revives it.
            engine.store.catalog.append(("shard_vacate", {"shard": fresh.shard_id}))
            assert not _Round(engine, job, [])._holds(place, "raw")
            engine.store.catalog.append(("shard_revive", {"shard": fresh.shard_id}))
            assert _Round(engine, job, [])._holds(place, "raw")
        job.discard()


def test_it_counts_again_when_no_disk_gives_the_other_shard_for_long(store, monkeypatch):
    """Then it gets its copies, and no disk that has it is taken for one that nothing needs."""
    with compacted(store(4, started=False)) as (engine, old, fresh):
        assert proven(engine, old) == Worth.SAFE
        with engine.replicator.claim(old.shard_id):
            others = [d for d in engine.store.disks.online() if d.disk_id not in fresh.disks]
            if not any(one.disk_id in old.disks for one in others):
                engine.replicator.copy(old, None, target=others[0])
        away = [engine.store.disks.disks[disk_id] for disk_id in fresh.disks]
        for one in away:
            os.rename(one.path, one.path + ".away")
        until(lambda: all(one.state == "missing" for one in away), "its disks to be missing")
        assert proven(engine, old) == Worth.WAITING
        for _ in range(3):
            engine.dropper.tick()
        assert old.vacated
        monkeypatch.setattr(compact_drop, "NEEDED_AFTER_S", 0.0)
        engine.wake()
        until(lambda: not old.vacated, "the shard to count again")
        for one in away:
            os.rename(one.path + ".away", one.path)
        until(lambda: all(one.state == "online" for one in away), "its disks to be back")


def test_a_purge_reaches_a_vacated_shard_that_is_on_no_disk_and_comes_back(store):
    """What was purged stays purged, whatever a disk that was declared gone still has."""
    with compacted(store(3, started=False)) as (engine, old, _):
        assert proven(engine, old) == Worth.SAFE
        disks = list(old.disks)
        words = [{"shard": old.shard_id, "disk": disk_id} for disk_id in disks]
        engine.store.catalog.append(*(("replica_drop", one) for one in words))
        assert old.disks == []
        done(purge_verb(engine, PurgeRequest(batch="kept")))
        engine.store.catalog.append(("replica_add", words[0]))
        engine.store.behind = True  # As whenever a disk comes back.
        engine.dropper._again.clear()
        assert proven(engine, old) == Worth.SAFE and old.vacated
        for data in KEPT.values():
            assert engine.store.index.locate(bytes.fromhex(key_of(data))) is None


def test_a_purge_waits_for_a_vacated_shard_that_cannot_be_read_just_now(store, monkeypatch):
    with compacted(store(3, started=False)) as (engine, old, _):
        with monkeypatch.context() as patch:
            patch.setattr(purge_marking, "footer_of", lambda *_: None)
            job = purge_verb(engine, PurgeRequest(batch="kept"))
            assert job.finished.wait(90) and job.state == "failed"
            assert "cannot be read now" in (job.error or "")
        done(purge_verb(engine, PurgeRequest(batch="kept")))
        assert old.vacated
