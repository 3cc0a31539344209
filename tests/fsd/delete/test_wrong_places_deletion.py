"""What a wrong place in the index would delete: purges and compactions compare it before."""

from __future__ import annotations

import os

import pytest
from purge_checks import assert_gone, compact, own, purge, quick_store, reindex, store_batch
from store_checks import assert_batch, keys_of, settle, until
from wrong_places import Change, misplace

from fsd.engine.engine import Engine
from fsd.repair.index_heal import check_places
from fsd.store.index import Location
from fsd.store.job import Job


def note(found: dict[str, Location], name: str) -> Change:
    """Change nothing, and tell the place."""

    def tell(place: Location) -> Location:
        found[name] = place
        return place

    return tell


@pytest.mark.fault
def test_a_purge_takes_its_own_records_and_no_others(store, short_tmp: str):
    """A flipped bit names the first record of another shard, which lies where its own does."""
    made = quick_store(store)
    files = {name: {f"{name}/{n}": os.urandom(9000) for n in range(3)} for name in ("b1", "b2")}
    for name, class_name in zip(files, ("raw", "generated"), strict=True):
        store_batch(made, short_tmp, name, files[name], class_name)
    settle(made)
    keys = {name: keys_of(some) for name, some in files.items()}
    first = {
        name: min(some.values(), key=lambda key: made.client.head(key).offset)
        for name, some in keys.items()
    }
    places: dict[str, Location] = {}
    misplace(made, {key: note(places, name) for name, key in first.items()})
    assert places["b1"].offset == places["b2"].offset
    misplace(made, {first["b1"]: lambda _place: places["b2"]})
    purge(made, "b1")
    assert_gone(made, own(files["b1"]))
    reindex(made)
    assert_gone(made, own(files["b1"]))
    assert_batch(made, "b2", files["b2"])


@pytest.mark.fault
def test_a_compaction_drops_nothing_for_a_wrong_place(store, short_tmp: str):
    """The record lives nowhere else, though the index says so."""
    made = quick_store(store)
    files = {name: {f"{name}/{n}": os.urandom(9000) for n in range(3)} for name in ("b1", "b2")}
    for name in files:
        store_batch(made, short_tmp, name, files[name])
    settle(made)
    other = {"other": os.urandom(9000)}
    store_batch(made, short_tmp, "b3", other)
    settle(made)
    purge(made, "b1")
    victim, elsewhere = min(keys_of(files["b2"]).values()), keys_of(other)["other"]
    former = made.client.head(victim).shard_id
    assert former != made.client.head(elsewhere).shard_id
    places: dict[str, Location] = {}
    misplace(made, {elsewhere: note(places, "other")})
    misplace(made, {victim: lambda _place: places["other"]})
    assert compact(made, 0.01)["compacted"] == 1
    until(lambda: made.client.compact_plan().waiting_shards == 0, "the old shard to be dropped")
    reindex(made)
    assert_batch(made, "b2", files["b2"])
    assert_batch(made, "b3", other)
    assert made.client.head(victim).shard_id != former


def test_what_is_lost_is_looked_for_once_and_not_by_every_purge(store, short_tmp: str):
    """A salvage gave its shard up. All footers were read for it each time that something went."""
    made = quick_store(store)
    files = {name: {f"{name}/{n}": os.urandom(9000) for n in range(3)} for name in ("b1", "b2")}
    for name in files:
        store_batch(made, short_tmp, name, files[name])
        settle(made)
    lost, kept = ([bytes.fromhex(key) for key in keys_of(some).values()] for some in files.values())
    shard_id = made.client.head(lost[0].hex()).shard_id
    made.stop()
    engine = Engine(made.config)
    engine.start()
    try:
        engine.store.catalog.append(("shard_abandon", {"shard": shard_id}))
        for _ in range(2):
            job = Job("purge", "", os.path.join(made.config.run_dir, "jobs"))
            check_places(engine.store, lost + kept, job)
            assert engine.store.sought == {key.hex() for key in lost}
            job.discard()
        assert job.total_files == 0, "footers were looked through again"
    finally:
        engine.stop()
