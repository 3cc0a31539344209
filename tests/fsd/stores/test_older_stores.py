"""Stores as an earlier version left them open, and keep what was promised; see `make.py`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from older_stores import AWAY_SUFFIX, Promises, unpack
from purge_checks import reindex
from store_checks import disk, finish, put, read_object, settle, until, wait_for_state
from store_harness import Store, write_files

from fsd.format.errors import NoReplicaError, NotFoundError

Opened = tuple[Store, Promises]
Open = Callable[[str], Opened]


@pytest.fixture(params=["kept", "lost"])
def opened(short_tmp: str, request: pytest.FixtureRequest) -> Iterator[Open]:
    """A function that unpacks a store and starts its engine, with the index as it was or none."""
    made: list[Store] = []

    def open_it(name: str) -> Opened:
        folder = os.path.join(short_tmp, "s")
        store, promises = unpack(str(Path(__file__).with_name(f"{name}.tar.xz")), folder)
        if request.param == "lost":
            shutil.rmtree(store.config.index_root)
        made.append(store)
        store.start()
        return store, promises

    yield open_it
    for store in made:
        store.stop()


def assert_kept(store: Store, promises: Promises) -> None:
    """Whatever was acknowledged of a batch that is shown is in its list, and is read."""
    for batch, keys in promises.acknowledged.items():
        if batch in promises.hidden:
            continue
        listed = {file.path: file.key for file in store.client.batch_files(batch)}
        assert keys.items() <= listed.items(), batch
        for key in keys.values():
            # The client compares what it reads with the key.
            assert read_object(store, key), (batch, key)


def assert_whole(store: Store, promises: Promises) -> None:
    """All of it has two copies that verify, an index made anew agrees, and a put goes on."""
    settle(store)
    finish(store, store.client.verify().job_id)
    finish(store, store.client.fsck().job_id)
    reindex(store)
    assert_kept(store, promises)
    folder = write_files(os.path.join(store.root, "more"), {"a": b"new", "b": b"newer"})
    assert {line["status"] for line in put(store, folder, "more")} == {"written"}
    assert store.client.health().state == "ok"


def bring_back(store: Store, promises: Promises) -> None:
    for number, path in enumerate(store.disks):
        if os.path.basename(path) in promises.away:
            assert disk(store, number).state == "missing"
            os.rename(path + AWAY_SUFFIX, path)
            wait_for_state(store, number, "online")


@pytest.mark.fault
@pytest.mark.parametrize("name", ["killed-in-put", "torn-group"])
def test_the_engine_was_killed_in_a_put(opened: Open, name: str):
    store, promises = opened(name)
    assert_kept(store, promises)
    batch = next(one for one in store.client.batches() if one.batch == "put")
    assert not batch.sealed
    assert_whole(store, promises)


@pytest.mark.fault
def test_a_disk_is_away(opened: Open):
    store, promises = opened("disk-away")
    assert_kept(store, promises)
    assert store.client.health().state == "degraded"
    bring_back(store, promises)
    assert_whole(store, promises)


@pytest.mark.fault
def test_a_purge_is_in_doubt(opened: Open):
    store, promises = opened("purge-in-doubt")
    shown = {one.batch for one in store.client.batches()}
    assert shown == promises.acknowledged.keys() - set(promises.hidden)
    for batch in promises.hidden:
        for key in promises.acknowledged[batch].values():
            with pytest.raises(NotFoundError):
                store.client.head(key)
    assert_kept(store, promises)
    # Nobody knows of a commit: it was not purged.
    bring_back(store, promises)
    promises.hidden = []
    until(lambda: len(store.client.batches()) == len(promises.acknowledged), "the batch")
    assert_whole(store, promises)


@pytest.mark.fault
def test_a_shard_is_vacated(opened: Open):
    store, promises = opened("vacated-shard")
    assert store.client.compact_plan().waiting_shards == promises.waiting_shards > 0
    assert_kept(store, promises)
    assert_whole(store, promises)


@pytest.mark.fault
def test_disks_are_declared_gone(opened: Open):
    store, promises = opened("declared-gone")
    states = {one.name: one.state for one in store.client.disks()}
    assert {name for name, state in states.items() if state == "gone"} == set(promises.gone)
    assert_kept(store, promises)
    for key in promises.lost:
        with pytest.raises((NoReplicaError, NotFoundError)):
            read_object(store, key)
    finish(store, store.client.verify().job_id, "incomplete")
    # One of them comes back after all, with what it alone had.
    number = int(promises.gone[0].removeprefix("d")) - 1
    os.rename(store.disks[number] + AWAY_SUFFIX, store.disks[number])
    store.client.disk_add(store.disks[number])
    wait_for_state(store, number, "online")
    settle(store)
    for key in promises.lost:
        until(lambda key=key: store.client.head(key).copies == 2, "two copies again")
        assert read_object(store, key)
    assert_kept(store, promises)
