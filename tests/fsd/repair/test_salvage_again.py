"""Salvages that are done again: what an earlier try wrote is relied on, and nothing grows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from engine_processes import kill_engine
from store_checks import assert_batch, assert_readable, damage, finish, keys_of, put
from store_harness import Store, write_files
from test_salvage import FILES, replica_paths

from fsd.engine.engine import Engine
from fsd.format.errors import DiskError, NotEnoughDisksError
from fsd.ingest.open_shard import OpenShard
from fsd.ingest.shard_writer import ShardWriter
from fsd.repair import salvage
from fsd.repair.elsewhere import Found, Homes
from fsd.repair.recover import recover_shard
from fsd.store.index import Location

VICTIM = "folder/7.bin"
BEFORE = {"before": os.urandom(3000)}
"""A batch whose part lies before the other files."""
SMALL_BYTES = 100_000
"""Of the shards of a salvage that needs several."""


@contextmanager
def hampered() -> Iterator[list[int]]:
    """Let a salvage write little into a shard, and as many shards as the list that is yielded says.

    The disks seem to be full then.
    """
    create, room = ShardWriter.create, [0]

    def with_little_room(self: ShardWriter, *arguments: Any, **options: Any) -> OpenShard:
        if not room[0]:
            raise NotEnoughDisksError("the disks are full")
        room[0] -= 1
        made = create(self, *arguments, **options)
        made.capacity_bytes = SMALL_BYTES
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardWriter, "create", with_little_room)
        yield room


@pytest.fixture
def damaged(store, short_tmp: str) -> tuple[Store, str]:
    """A store that is off, with an open shard in which a record is damaged everywhere; its id."""
    made = store()
    for name, files in (("before", BEFORE), ("first", FILES)):
        put(made, write_files(os.path.join(short_tmp, name), files), name)
    keys = keys_of({**BEFORE, **FILES})
    head, paths = made.client.head(keys[VICTIM]), replica_paths(made, keys[VICTIM])
    assert made.client.head(keys["before"]).shard_id == head.shard_id
    kill_engine(made.config, group=True)
    for path in paths:
        damage(path, head.offset + 200)
    return made, head.shard_id


def assert_all_but_one(store: Store) -> None:
    """All is there once, but for the lost file; also when the index is made anew."""
    left = {name: data for name, data in FILES.items() if name != VICTIM}
    for reindexed in (False, True):
        assert_readable(store, left)
        assert_batch(store, "before", BEFORE)
        assert {one.path for one in store.client.batch_files("first")} == set(FILES)
        job_id = store.client.fsck().job_id
        finish(store, job_id, "incomplete")
        assert [line["path"] for line in store.client.report(job_id)] == [VICTIM]
        assert store.client.compact_plan().store_garbage_bytes == 0
        if not reindexed:
            finish(store, store.client.reindex().job_id)
    finish(store, store.client.verify().job_id)


@pytest.mark.fault
def test_a_try_that_fails_half_way_is_gone_on_with(damaged):
    """Disks that have room for one shard each time: nothing is written twice, no part is lost.

    The index has never seen the batch, and the engine ends after each try.
    """
    store, shard_id = damaged
    shutil.rmtree(store.config.index_root)
    tries, shards = 0, {shard_id}
    with hampered() as room:
        while shard_id in shards:
            room[0], tries = 1, tries + 1
            assert tries < 9, "each try writes the same"
            engine = Engine(store.config)
            engine.start()
            shards = set(engine.store.shards.state.shards)
            engine.stop()
    assert tries > 1
    store.start()
    assert_all_but_one(store)


def test_a_try_that_comes_to_nothing_leaves_nothing(damaged, monkeypatch):
    """Its shard was opened, and no group was written into it: nobody writes it any more."""
    store, shard_id = damaged
    payload, given = salvage._Pieces.payload, list[Any]()

    def once(self: Any, entry: Any) -> bytes | None:
        if given:
            raise DiskError("a disk has gone away")
        given.append(entry)
        return payload(self, entry)

    monkeypatch.setattr(salvage._Pieces, "payload", once)
    engine = Engine(store.config)
    engine.start()
    try:
        assert (set(engine.store.shards.state.shards), given != []) == ({shard_id}, True)
        assert engine.store.shards.writing == set()
        monkeypatch.undo()
        engine.seal_and_project()
        assert shard_id not in engine.store.shards.state.shards
    finally:
        engine.stop()


def test_what_a_salvage_relies_on_is_looked_at_again_at_the_end(damaged, monkeypatch):
    """It is no sound copy any more when the damaged shard is to be given up: that stays."""
    store, shard_id = damaged
    engine = Engine(store.config)
    with hampered() as room:
        room[0] = 1
        engine.start()
    try:
        (fresh,) = engine.store.shards.state.shards.keys() - {shard_id}
        find = salvage.find_homes
        own = engine.store.disks.readable(engine.store.shards.state.shards[fresh].disks)

        def then_damaged(*arguments: Any) -> Any:
            kept = find(*arguments)
            engine.store.mark_suspect(fresh, own[0])
            return kept

        monkeypatch.setattr(salvage, "find_homes", then_damaged)
        engine.seal_and_project()
        assert shard_id in engine.store.shards.state.shards
        monkeypatch.undo()
        engine.seal_and_project()
        assert shard_id not in engine.store.shards.state.shards
    finally:
        engine.stop()
    store.start()
    left = {name: data for name, data in FILES.items() if name != VICTIM}
    assert_readable(store, left)


def test_what_a_salvage_relies_on_is_where_it_is_found_afterwards(damaged, monkeypatch):
    """Also what the index knew as a spare of the place in the damaged shard."""
    store, shard_id = damaged
    engine = Engine(store.config)
    with hampered() as room:
        room[0] = 1
        engine.start()
    try:
        find, index, found = salvage.find_homes, engine.store.index, Homes()

        def as_spares(*arguments: Any) -> Found:
            (number,) = arguments[-1]
            found.update(find(*arguments).safe)
            with index.write() as writer:
                for entry, home in found.items():
                    own = Location(number, entry.offset, entry.length_bytes)
                    writer.put_object(entry.key, own)
                    writer.delete_spare(entry.key, own)
                    writer.add_spare(entry.key, home.place)
            return Found(found)

        monkeypatch.setattr(salvage, "find_homes", as_spares)
        assert recover_shard(engine.store, engine.store.shards.state.shards[shard_id])
        assert found
        for entry, home in found.items():
            assert index.locate(entry.key) == home.place
            with index.read() as reader:
                assert reader.spares(entry.key) == []
    finally:
        engine.stop()


@pytest.mark.fault
def test_a_crash_when_the_damaged_shard_is_given_up(damaged):
    """The catalog knows it no more, and the index still does: it is put right by the next start."""
    store, _ = damaged
    pid = os.fork()
    if not pid:
        try:
            engine = Engine(store.config)
            with hampered() as room:
                room[0] = 1
                engine.start()
                salvage.unplace = lambda *_: os._exit(3)
                room[0] = 9
                engine.seal_and_project()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    store.start()
    assert_all_but_one(store)
