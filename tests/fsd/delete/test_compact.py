"""Compaction: garbage goes, what lives stays readable all the time, and it can be cut off."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from dataclasses import replace

import pytest
from purge_checks import (
    assert_gone,
    compact,
    everything,
    files_of,
    own,
    purge,
    quick_store,
    reindex,
    store_batch,
)
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    damage,
    finish,
    key_of,
    keys_of,
    settle,
    shard_files,
    until,
    write_manifest,
)
from store_harness import MIB, Store

from fsd.delete.compact_plan import choose_small
from fsd.ingest.open_shard import SHARD_RECORDS_MAX
from fsd.store.index import ShardRow

SIZE = 30_000


@pytest.fixture
def quick(store):
    """A function that makes a started store whose grace is over at once."""
    return lambda disks=3, **settings: quick_store(store, disks, **settings)


def mixed_store(store: Store, tmp: str, batches: int = 6, count: int = 40) -> dict[str, dict]:
    """Store batches that share shards; returns their files by name."""
    made = {f"b{n}": files_of(f"b{n}", count, SIZE) for n in range(batches)}
    for name, files in made.items():
        store_batch(store, tmp, name, files)
    settle(store)
    return made


def stored_bytes(store: Store) -> int:
    size = 0
    for path in (path for disk in store.disks for path in shard_files(disk)):
        with contextlib.suppress(FileNotFoundError):  # It is being deleted just now.
            size += os.path.getsize(path)
    return size


@pytest.mark.seconds(14)
def test_garbage_goes_and_what_lives_stays(quick, short_tmp):
    store = quick()
    made = mixed_store(store, short_tmp)
    before = stored_bytes(store)
    for name in ("b0", "b2", "b3", "b5"):
        purge(store, name)
    plan = store.client.compact_plan()
    assert plan.shards and plan.garbage_bytes > plan.live_bytes > 0
    result = compact(store)
    assert result["compacted"] == plan.shards and result["skipped"] == 0
    assert result["copied_bytes"] == plan.live_bytes
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    until(lambda: stored_bytes(store) < before / 2, "the files of the last one to go")
    assert store.client.compact_plan().store_garbage_bytes == 0
    for _ in range(2):
        for name in ("b1", "b4"):
            assert_batch(store, name, made[name])
        for name in ("b0", "b2", "b3", "b5"):
            assert_gone(store, own(made[name]))
        assert_clean(store)
        before_reindex = everything(store)
        reindex(store)
        assert everything(store) == before_reindex
        store.stop()
        store.start()
    assert compact(store)["compacted"] == 0


def test_a_dry_run_changes_nothing_and_a_threshold_is_kept(quick, short_tmp):
    store = quick()
    made = mixed_store(store, short_tmp, 4)
    purge(store, "b0")
    assert store.client.compact_plan(0.9).shards == 0
    assert store.client.compact_plan(0.01).shards > 0
    assert compact(store, 0.9)["compacted"] == 0
    assert compact(store, 0.01)["compacted"] > 0
    for name in ("b1", "b2", "b3"):
        assert_batch(store, name, made[name])


def test_a_purge_after_a_compaction_reaches_the_moved_records(quick, short_tmp):
    store = quick(grace_s=3600)
    made = mixed_store(store, short_tmp, 4)
    purge(store, "b0")
    compact(store, 0.01)
    # The old shards are still there, with their records of b1.
    purge(store, "b1")
    for _ in range(2):
        assert_gone(store, own(made["b1"]))
        assert_batch(store, "b2", made["b2"])
        reindex(store)
    store.stop()
    store.start()
    assert_gone(store, own(made["b1"]))
    assert_clean(store)


def test_promoted_copies_are_garbage(quick, short_tmp):
    store = quick()
    files = files_of("one", 40, SIZE)
    store_batch(store, short_tmp, "generated", files, "generated")
    settle(store)
    store_batch(store, short_tmp, "raw", files, "raw")
    assert store.client.compact_plan().store_garbage_bytes == sum(map(len, files.values()))
    compact(store)
    assert store.client.compact_plan().store_garbage_bytes == 0
    for _ in range(2):
        assert_batch(store, "raw", files)
        assert_batch(store, "generated", files)
        assert store.client.head(key_of(files["one/1"])).class_name == "raw"
        assert_clean(store)
        reindex(store)


def test_bad_blocks_are_healed_first_and_nothing_unverified_is_dropped(quick, short_tmp):
    store = quick(3)
    made = mixed_store(store, short_tmp, 4)
    purge(store, "b0")
    data = made["b1"]["b1/3"]
    hit = 0
    for path in (path for disk in store.disks for path in shard_files(disk)):
        with open(path, "rb") as file:
            place = file.read().find(data)
        if place >= 0 and hit == 0:
            damage(path, place + 100)
            hit += 1
    assert compact(store, 0.01)["skipped"] == 0
    for name in ("b1", "b2", "b3"):
        assert_batch(store, name, made[name])
    assert_clean(store)


def test_a_shard_that_lost_a_record_is_kept(quick, short_tmp):
    store = quick(2)
    made = mixed_store(store, short_tmp, 3)
    purge(store, "b0")
    data = made["b1"]["b1/3"]
    for path in (path for disk in store.disks for path in shard_files(disk)):
        with open(path, "rb") as file:
            place = file.read().find(data)
        if place >= 0:
            damage(path, place + 100)
    before = {path for disk in store.disks for path in shard_files(disk)}
    result = compact(store, 0.01, "incomplete")
    assert result["skipped"] >= 1
    kept = {path for disk in store.disks for path in shard_files(disk)}
    assert before & kept
    rest = {path: d for path, d in made["b1"].items() if d != data}
    assert_readable(store, {**rest, **made["b2"]})


@pytest.mark.fault
def test_readers_of_the_mount_are_not_disturbed(quick, short_tmp):
    store = quick()
    made = mixed_store(store, short_tmp)
    point = store.mount()
    wanted = {f"{n}/{path}": data for n in ("b1", "b4") for path, data in made[n].items()}
    stop, failures, reads = threading.Event(), [], [0]

    def read() -> None:
        rng = random.Random(0)
        try:
            while not stop.is_set():
                path = rng.choice(list(wanted))
                fd = os.open(f"{point}/batches/{path}", os.O_RDONLY)
                # Without the page cache, every time.
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                with os.fdopen(fd, "rb") as file:
                    assert file.read() == wanted[path], path
                reads[0] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for name in ("b0", "b2", "b3", "b5"):
        purge(store, name)
    compact(store)
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    done = reads[0]
    until(lambda: failures or reads[0] > done + 300, "more reads")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures


@pytest.mark.fault
def test_exports_go_on_while_their_shards_are_compacted(quick, short_tmp):
    store = quick(stall_timeout_s=20)
    made = mixed_store(store, short_tmp)
    files = {**made["b1"], **made["b4"]}
    manifest = write_manifest(f"{short_tmp}/m", keys_of(files))
    stop, failures = threading.Event(), []

    def export() -> None:
        number = 0
        try:
            while not stop.is_set() or number < 3:
                number += 1
                answer = store.client.export_to_3d(manifest, f"e{number}", "plain")
                finish(store, answer.job_id)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=export)
    thread.start()
    for name in ("b0", "b2", "b3", "b5"):
        purge(store, name)
    compact(store)
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    stop.set()
    thread.join()
    assert not failures, failures
    assert_readable(store, files)


@pytest.mark.seconds(18)
@pytest.mark.fault
def test_a_disk_that_vanishes_in_the_middle(quick, short_tmp):
    store = quick(4)
    made = mixed_store(store, short_tmp, 8, 60)
    for name in ("b0", "b2", "b3", "b5"):
        purge(store, name)
    job_id = store.client.compact(0.01).job_id
    until(lambda: store.client.job(job_id).done_bytes > MIB // 2, "some copying")
    os.rename(store.disks[0], store.disks[0] + "-away")
    assert store.client.wait(job_id).state in ("done", "incomplete")
    for name in ("b1", "b4", "b6", "b7"):
        assert_batch(store, name, made[name])
    os.rename(store.disks[0] + "-away", store.disks[0])
    until(lambda: all(d.state == "online" for d in store.client.disks()), "the disk")
    settle(store)
    compact(store, 0.01)
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    for name in ("b1", "b4", "b6", "b7"):
        assert_batch(store, name, made[name])
    for name in ("b0", "b2", "b3", "b5"):
        assert_gone(store, own(made[name]))
    assert_clean(store)


def test_big_batches_have_shards_of_their_own(quick, short_tmp):
    store = quick()
    store_batch(store, short_tmp, "small", files_of("small", 20, SIZE))
    big = {f"{n}": os.urandom(MIB // 4) for n in range(100)}
    store_batch(store, short_tmp, "big", big)
    small = files_of("after", 20, SIZE)
    store_batch(store, short_tmp, "after", small)
    settle(store)
    before = stored_bytes(store)
    result, _ = purge(store, "big")
    assert result["garbage_bytes"] < sum(map(len, big.values())) // 4
    assert result["dropped_shards"] >= 4
    until(lambda: stored_bytes(store) < before / 2, "whole shards to go")
    assert_batch(store, "after", small)
    assert_clean(store)


def small_rows(count: int, payload_bytes: int, class_name: str = "raw") -> list[ShardRow]:
    return [
        ShardRow(
            n,
            f"{n:032x}",
            class_name,
            ["d"],
            sealed=True,
            length_bytes=payload_bytes + 8192,
            object_count=1 + n % 3,
            payload_bytes=payload_bytes + n,
        )
        for n in range(1, count + 1)
    ]


def test_small_shards_are_merged_when_there_are_enough_and_not_again():
    assert choose_small(small_rows(7, MIB), (), 64 * MIB) == []
    assert choose_small(small_rows(9, 8 * MIB), (), 64 * MIB) == []  # An eighth is not small.
    (group,) = choose_small(small_rows(9, MIB), (), 64 * MIB)
    assert len(group) == 9
    # Of all that are left beside a compaction's victims, and never across classes.
    assert choose_small(small_rows(9, MIB), {one.number for one in group[:2]}, 64 * MIB) == []
    mixed = [*small_rows(6, MIB), *small_rows(6, MIB, "generated")]
    assert choose_small(mixed, (), 64 * MIB) == []
    # One that would be written by itself stays; four whole ones are made at most.
    groups = choose_small(small_rows(100, 7 * MIB), (), 64 * MIB)
    assert [len(some) for some in groups] == [9] * 4
    assert [len(some) for some in choose_small(small_rows(10, 7 * MIB), (), 64 * MIB)] == [9]
    # One with as many records as a shard takes is full, however few bytes that are.
    full = [replace(row, object_count=SHARD_RECORDS_MAX) for row in small_rows(9, MIB)]
    assert choose_small(full, (), 64 * MIB) == []


@pytest.mark.seconds(14)
def test_small_shards_become_one_and_all_of_it_stays(quick, short_tmp):
    store = quick()
    made = {f"b{n}": files_of(f"b{n}", 3, SIZE) for n in range(8)}
    for name, files in made.items():
        store_batch(store, short_tmp, name, files)
        settle(store)
    plan = store.client.compact_plan()
    assert (plan.shards, plan.small_shards) == (0, 8)
    result = compact(store)
    assert (result["merged"], result["compacted"], result["skipped"]) == (8, 0, 0)
    assert result["copied_bytes"] == plan.small_bytes
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    until(lambda: len(shard_files(store.disks[0])) <= 1, "the old files to go")
    assert compact(store)["merged"] == 0
    reindex(store)
    for name, files in made.items():
        assert_batch(store, name, files)
    assert_clean(store)
