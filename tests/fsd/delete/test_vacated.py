"""A vacated shard in one run of the engine: kept, dropped or revived by what the others have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest
from store_checks import (
    key_of,
    until,
)
from store_harness import Store, write_files
from test_gone_and_back import done
from test_revive import KEPT, PURGED

from base.errors import DrystoneError
from fsd.delete import compact_drop, purge_vacated
from fsd.delete.compact import compact as compact_verb
from fsd.delete.compact_drop import weakest
from fsd.delete.purge import purge as purge_verb
from fsd.documents.models import BatchWriteRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogShard
from fsd.format.record import RECORD_OBJECT, Entry
from fsd.repair.elsewhere import Found, Worth, are_safe, find_homes
from fsd.store.purge_place import places_of


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
        done(purge_verb(engine.dropper, PurgeRequest(batch="purged")))
        assert done(compact_verb(engine.dropper, 0.01)).result["compacted"] == 1
        old, fresh = engine.store.shards.state.shards.values()
        assert old.vacated and not fresh.vacated
        with engine.reconciler.busy:
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


@pytest.mark.fault
def test_what_the_other_shard_cannot_give_just_now_is_kept_and_what_it_lost_is_revived(store):
    with compacted(store(2, started=False)) as (engine, old, fresh):
        inside = engine.store
        assert proven(engine, old) == Worth.SAFE
        first, second = inside.sound_replicas(fresh.shard_id)
        inside.mark_suspect(fresh.shard_id, first)
        assert proven(engine, old) == Worth.WAITING
        with pytest.raises(DrystoneError, match="too few sound copies now"):
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


@pytest.mark.fault
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
        done(purge_verb(engine.dropper, PurgeRequest(batch="kept")))
        assert proven(engine, old) == Worth.SAFE and old.vacated
        for data in KEPT.values():
            assert engine.store.index.locate(bytes.fromhex(key_of(data))) is None
        engine.dropper._since[old.shard_id] = float("-inf")
        engine.wake()
        until(lambda: old.shard_id not in engine.store.shards.state.shards, "it to be dropped")


def test_a_compaction_relies_on_no_shard_that_is_vacated(store):
    """Also before the index has followed."""
    with compacted(store(2, started=False)) as (engine, _, fresh):
        data = KEPT["kept/0"]
        entry = Entry(bytes.fromhex(key_of(data)), 0, len(data), RECORD_OBJECT)
        home = find_homes(engine.store, "raw", [entry], ()).safe[entry]
        assert home.shard_id == fresh.shard_id and are_safe(engine.store, "raw", [home])
        with engine.maintenance:  # So that nobody revives it.
            engine.store.catalog.append(("shard_vacate", {"shard": fresh.shard_id}))
            assert not are_safe(engine.store, "raw", [home])
            assert find_homes(engine.store, "raw", [entry], ()) == Found()
            engine.store.catalog.append(("shard_revive", {"shard": fresh.shard_id}))
            assert are_safe(engine.store, "raw", [home])


@pytest.mark.fault
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
        done(purge_verb(engine.dropper, PurgeRequest(batch="kept")))
        engine.store.catalog.append(("replica_add", words[0]))
        engine.store.behind = True  # As whenever a disk comes back.
        engine.dropper._again.clear()
        assert proven(engine, old) == Worth.SAFE and old.vacated
        for data in KEPT.values():
            assert engine.store.index.locate(bytes.fromhex(key_of(data))) is None


def test_a_purge_waits_for_a_vacated_shard_that_cannot_be_read_just_now(store, monkeypatch):
    with compacted(store(3, started=False)) as (engine, old, _):
        with monkeypatch.context() as patch:
            patch.setattr(purge_vacated, "footer_of", lambda *_: None)
            job = purge_verb(engine.dropper, PurgeRequest(batch="kept"))
            assert job.finished.wait(90) and job.state == "failed"
            assert "cannot be read now" in (job.error or "")
        done(purge_verb(engine.dropper, PurgeRequest(batch="kept")))
        assert old.vacated
