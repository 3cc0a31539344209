"""Lists of a batch that was purged: what comes back of them joins no later batch of that name."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from engine_processes import kill_engine
from purge_checks import (
    assert_gone,
    compact,
    crash,
    everything,
    purge,
    quick_store,
    reindex,
    store_batch,
)
from store_checks import (
    assert_batch,
    assert_clean,
    damage,
    disk,
    key_of,
    read_object,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import Store, with_settings
from test_purge_crash import is_stored

from fsd.format.batch_part import PartFile, format_part
from fsd.format.catalog import CatalogEntry, CatalogState

OTHER = {"other": b"of another batch" * 100}
OLD = {f"old/{n}": os.urandom(3000) for n in range(5)}
BAD = os.urandom(5000)
WASTE = os.urandom(90_000)
NEW = {f"new/{n}": os.urandom(3000) for n in range(5)}


def four_disks(make: Callable[..., Store]) -> Store:
    """Make a started store: three copies of raw, two of them acknowledged, and one of generated."""
    made = make(4, started=False, copies_raw=3, copies_generated=1)
    made.config = with_settings(made.root, grace_s=0)
    made.start()
    return made


def lose(store: Store, tmp: str, files: dict[str, bytes], class_name: str = "raw") -> list[int]:
    """Put batch "b", and declare all disks gone that have it; the index knows nothing of it.

    Its shard was still open where it is raw. The batch "waste" is in the same shard.
    """
    store_batch(store, tmp, "other", OTHER)
    settle(store)
    store_batch(store, tmp, "b", files, class_name)
    store_batch(store, tmp, "waste", {"waste": WASTE}, class_name)
    if class_name == "generated":
        settle(store)
    names = store.client.head(key_of(next(iter(files.values())))).disks
    lost = [n for n in range(len(store.disks)) if disk(store, n).name in names]
    kill_engine(store.config, group=True)
    for number in lost:
        os.rename(store.disks[number], f"{store.disks[number]}-away")
    store.start()
    for number in lost:
        wait_for_state(store, number, "missing")
        store.client.wait(store.client.rebuild(disk(store, number).name).job_id)
        assert disk(store, number).state == "gone"
    reindex(store)
    return lost


def take_back(store: Store, lost: list[int]) -> None:
    for number in lost:
        os.rename(f"{store.disks[number]}-away", store.disks[number])
        store.client.disk_add(store.disks[number])
        wait_for_state(store, number, "online")
    settle(store)
    until(lambda: is_stored(store, key_of(WASTE)), "the lost shard")
    settle(store)


def check(store: Store, files: dict[str, bytes] | None) -> None:
    """What batch "b" has is what was put after the purge, and a reindex agrees."""
    for _ in range(2):
        names = [one.batch for one in store.client.batches() if "waste" not in one.batch]
        assert names == (["other"] if files is None else ["b", "other"])
        if files is not None:
            assert_batch(store, "b", files)
        assert_batch(store, "other", OTHER)
        assert_clean(store)
        before = everything(store)
        reindex(store)
        assert everything(store) == before


@pytest.mark.fault
@pytest.mark.parametrize("class_name", ["raw", "generated"])
def test_a_list_that_comes_back_after_the_purge_joins_no_later_batch(
    store: Callable[..., Store], short_tmp: str, class_name: str
):
    made = four_disks(store)
    lost = lose(made, short_tmp, OLD, class_name)
    purge(made, "b")
    store_batch(made, os.path.join(short_tmp, "new"), "b", NEW, class_name)
    take_back(made, lost)
    check(made, NEW)
    # Nor does a compaction make a part of it again, which writes the rest of its shard anew.
    purge(made, "waste")
    assert compact(made, 0.01)["compacted"] == 1
    until(lambda: made.client.compact_plan().waiting_shards == 0, "what is empty to be dropped")
    check(made, NEW)
    purge(made, "b")
    assert_gone(made, list(NEW.values()))


@pytest.mark.fault
def test_a_list_that_comes_back_makes_no_batch(store: Callable[..., Store], short_tmp: str):
    made = four_disks(store)
    lost = lose(made, short_tmp, OLD)
    purge(made, "b")
    take_back(made, lost)
    check(made, None)


@pytest.mark.fault
def test_nor_does_a_salvage_make_a_part_of_it_again(store: Callable[..., Store], short_tmp: str):
    """The open shard that comes back is damaged everywhere: what is sound is written anew."""
    made = four_disks(store)
    lost = lose(made, short_tmp, {**OLD, "bad": BAD})
    for number in lost:
        for path in shard_files(f"{made.disks[number]}-away"):
            with open(path, "rb") as file:
                place = file.read().find(BAD)
            if place >= 0:
                damage(path, place)
    purge(made, "b")
    store_batch(made, os.path.join(short_tmp, "new"), "b", NEW)
    take_back(made, lost)
    assert not is_stored(made, key_of(BAD))
    check(made, NEW)


@pytest.mark.fault
def test_the_same_files_put_again_after_the_purge_are_a_batch(
    store: Callable[..., Store], short_tmp: str
):
    """Their list has the same bytes as the one that counts for none, and must not rely on it."""
    made = four_disks(store)
    lost = lose(made, short_tmp, OLD, "generated")
    purge(made, "b")
    store_batch(made, short_tmp, "b", OLD, "generated")
    store_batch(made, os.path.join(short_tmp, "new"), "new waste", NEW, "generated")
    take_back(made, lost)
    check(made, OLD)
    purge(made, "new waste")
    assert compact(made, 0.01)["compacted"] == 1
    until(lambda: made.client.compact_plan().waiting_shards == 0, "what is empty to be dropped")
    check(made, OLD)


@pytest.mark.fault
@pytest.mark.parametrize(("barrier", "index"), [("begun", "kept"), ("committed", "lost")])
def test_killed_in_the_purge(store: Callable[..., Store], short_tmp: str, barrier: str, index: str):
    made = four_disks(store)
    lost = lose(made, short_tmp, OLD)
    crash(made, "purge", "b", barrier, index)
    made.start()
    if barrier == "begun":
        # It was not committed: what comes back counts.
        take_back(made, lost)
        check(made, OLD)
        purge(made, "b")
        check(made, None)
        return
    store_batch(made, os.path.join(short_tmp, "new"), "b", NEW)
    kill_engine(made.config, group=True)
    made.start()
    take_back(made, lost)
    check(made, NEW)


@pytest.mark.fault
def test_a_file_with_the_bytes_of_a_list_outlives_it(store: Callable[..., Store], short_tmp: str):
    """Somebody stored a purged batch's list as a file: it is read, and is nobody's list."""
    made = quick_store(store, 3)
    files = [PartFile(path, key_of(data), len(data)) for path, data in sorted(OLD.items())]
    part = format_part("b", "raw", 0, files)
    store_batch(made, short_tmp, "b", OLD)
    store_batch(made, short_tmp, "other", {**OTHER, "list": part})
    settle(made)
    assert made.client.head(key_of(part)).copies == 2
    purge(made, "b")
    store_batch(made, os.path.join(short_tmp, "new"), "b", NEW)
    for _ in range(2):
        settle(made)
        assert_batch(made, "b", NEW)
        assert read_object(made, key_of(part)) == part
        reindex(made)
        assert_batch(made, "b", NEW)
        compact(made, 0.01)
        until(lambda: made.client.compact_plan().waiting_shards == 0, "old shards to go")
    reindex(made)
    assert_batch(made, "b", NEW)
    assert_batch(made, "other", {**OTHER, "list": part})


def state_of(*items: tuple[str, dict[str, object]]) -> CatalogState:
    return CatalogState.of([CatalogEntry(n, 1, *item) for n, item in enumerate(items, 1)])


def test_the_order_of_the_catalog_says_which_parts_count():
    def opened(shard: str) -> tuple[str, dict[str, object]]:
        return "shard_open", {"shard": shard, "class_name": "raw", "disks": ["d"]}

    def sealed(shard: str) -> tuple[str, dict[str, object]]:
        return "shard_seal", {"shard": shard, "length": 9, "disks": ["d"], "time_ns": 1}

    def purged(purge: str, batch: str, **more: object) -> list[tuple[str, dict[str, object]]]:
        begin = ("purge_begin", {"purge": purge, "batch": batch})
        return [begin, ("purge_commit", {"purge": purge, **more})]

    shards = ("before", "left", "written", "after")
    state = state_of(
        *map(opened, shards[:3]),
        sealed("before"),
        *purged("p1", "b", ended=["left", "unknown"]),
        opened("after"),
        *map(sealed, shards[1:]),
        *purged("p2", "c"),
        sealed("before"),
    )
    joined = [one for one in shards if state.joins(state.shards[one], "b")]
    assert joined == ["written", "after"]
    assert not any(state.joins(state.shards[one], "c") for one in shards)
    assert all(state.joins(state.shards[one], "d") for one in shards)
    void = state_of(
        opened("left"), *purged("p1", "b", ended=["left"]), ("purge_void", {"purge": "p1"})
    )
    assert void.joins(void.shards["left"], "b")
