"""A vacated shard of which something lives nowhere else counts again, and its files stay."""

from __future__ import annotations

import os

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

from fsd.delete.compact import compact as compact_verb
from fsd.delete.purge import purge as purge_verb
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.format.layout import shard_path

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


@pytest.mark.fault
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


@pytest.mark.fault
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


@pytest.mark.fault
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
        done(purge_verb(engine.dropper, PurgeRequest(batch="purged")))
        assert done(compact_verb(engine.dropper, 0.01)).result["compacted"] == 1
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
