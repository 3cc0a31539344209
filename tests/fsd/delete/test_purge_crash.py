"""Kill -9 of the engine at every barrier of a purge, a compaction and a drop.

Afterwards the index is as the kill left it, of before, or lost. What was purged is purged wholly
or not at all, what lives is read, and a reindex changes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from purge_checks import (
    assert_gone,
    compact,
    crash,
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
    finish,
    keys_of,
    settle,
    shard_files,
    until,
    write_manifest,
)
from store_harness import Store, with_settings, write_files

from fsd.delete import compact as compact_verb
from fsd.delete import compact_drop
from fsd.delete import purge as purge_verb
from fsd.delete.compact_plan import SMALL_SHARDS_MIN
from fsd.format.errors import NotFoundError

BATCHES = 4
PURGED_FROM = ("committed", "followed", *compact_drop.BARRIERS)
INDEXES = ("kept", "old", "lost")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every barrier an index; `--slow` gives each of them every index.

    Without it some tests run at a few of their barriers only.
    """
    slow = metafunc.config.getoption("--slow")
    barriers = getattr(metafunc.function, "barriers", ())
    barriers = barriers if slow else getattr(metafunc.function, "short", barriers)
    chosen = [
        (barrier, index)
        for number, barrier in enumerate(barriers)
        for place, index in enumerate(INDEXES)
        if slow or number % len(INDEXES) == place
    ]
    if barriers:
        metafunc.parametrize(("barrier", "index"), chosen)


def at_barriers(*barriers: str, short: Sequence[str] = ()) -> Callable[[Any], Any]:
    """Run a test at each of these barriers, or at fewer in the `short` form."""

    def mark(test: Any) -> Any:
        test.barriers = barriers
        test.short = short or barriers
        return test

    return mark


@pytest.fixture
def filled(store, short_tmp) -> Iterator[tuple[Store, dict[str, dict[str, bytes]]]]:
    """A stopped store with batches that share shards, and what is in them."""
    made = quick_store(store, 3)
    files = {f"b{n}": files_of(f"b{n}", 15, 20_000) for n in range(BATCHES)}
    for name, content in files.items():
        store_batch(made, short_tmp, name, content)
    settle(made)
    yield made, files


def check(store: Store, files: dict[str, dict[str, bytes]], gone: set[str]) -> None:
    """What should be gone is gone, the rest is whole, and a reindex agrees."""
    for turn in range(2):
        for name, content in files.items():
            if name in gone:
                assert_gone(store, own(content))
            else:
                assert_batch(store, name, content)
        assert_clean(store)
        if turn == 0:
            before = everything(store)
            reindex(store)
            assert everything(store) == before


@pytest.mark.fault
@at_barriers(*purge_verb.BARRIERS)
def test_killed_in_a_purge(filled, short_tmp, barrier, index):
    store, files = filled
    crash(store, "purge", "b1", barrier, index)
    store.start()
    check(store, files, {"b1"} if barrier in PURGED_FROM else set())
    if barrier not in PURGED_FROM:
        purge(store, "b1")
    store_batch(store, short_tmp, "b1", files["b1"])
    check(store, files, set())


@pytest.mark.fault
@at_barriers(*compact_verb.BARRIERS, *compact_drop.BARRIERS)
def test_killed_in_a_compaction(filled, barrier, index):
    store, files = filled
    for name in ("b0", "b2"):
        purge(store, name)
    crash(store, "compact", "", barrier, index)
    store.start()
    check(store, files, {"b0", "b2"})
    compact(store, 0.01)
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    assert store.client.compact_plan().store_garbage_bytes == 0
    check(store, files, {"b0", "b2"})


@pytest.mark.fault
@at_barriers(*compact_verb.BARRIERS)
def test_killed_while_small_shards_are_written_together(store, short_tmp, barrier, index):
    """What was copied is not copied again, whatever the index knows."""
    store = quick_store(store, 2)
    files = {f"b{n}": files_of(f"b{n}", 2, 9_000) for n in range(SMALL_SHARDS_MIN)}
    for name, content in files.items():
        store_batch(store, short_tmp, name, content)
        settle(store)
    assert store.client.compact_plan().small_shards == SMALL_SHARDS_MIN
    store.stop()
    crash(store, "compact", "", barrier, index)
    store.start()
    check(store, files, set())
    again = compact(store)
    assert (again["copied_bytes"], again["compacted"]) == (0, 0)
    until(lambda: store.client.compact_plan().waiting_shards == 0, "the old shards to go")
    until(lambda: len(shard_files(store.disks[0])) == 1, "the old files to go")
    assert store.client.compact_plan().store_garbage_bytes == 0
    check(store, files, set())


@pytest.mark.fault
@at_barriers(*purge_verb.BARRIERS, short=("begun", "committed"))
def test_killed_in_a_collection(filled, short_tmp, barrier, index):
    """A manifest that nothing names goes the way of a purge, wholly or not at all; others stay."""
    store, files = filled
    client, keys = store.client, {}
    for name in ("b0", "b1"):
        path = write_manifest(os.path.join(short_tmp, name), keys_of(files[name]))
        answer = client.export_to_3d(path, name, "plain", mode="view")
        finish(store, answer.job_id)
        keys[name] = answer.manifest_key
    client.unpublish("exports", "b0", "plain")
    settle(store)
    store.config = with_settings(store.root, manifest_grace_days=0)
    crash(store, "compact", "", barrier, index)
    store.start()
    assert is_stored(store, keys["b0"]) == (barrier not in PURGED_FROM)
    assert compact(store)["collected_manifests"] == (barrier not in PURGED_FROM)
    assert not is_stored(store, keys["b0"]) and client.head(keys["b1"]).copies == 2
    check(store, files, set())
    assert [view.name for view in client.views()] == ["exports/b1/plain"]
    # What it named lives; published again it is made again.
    path = write_manifest(os.path.join(short_tmp, "again"), keys_of(files["b0"]))
    answer = client.export_to_3d(path, "again", "plain", mode="view")
    finish(store, answer.job_id)
    assert answer.manifest_key == keys["b0"] and is_stored(store, keys["b0"])


def is_stored(store: Store, key: str) -> bool:
    try:
        return store.client.head(key).copies > 0
    except NotFoundError:
        return False


@pytest.mark.fault
@at_barriers(*compact_drop.BARRIERS)
def test_killed_in_a_drop_after_a_purge(filled, barrier, index):
    store, files = filled
    for name in ("b0", "b2", "b3"):
        purge(store, name)
    crash(store, "purge", "b1", barrier, index)
    store.start()
    check(store, files, set(files))
    until(lambda: not any(shard_files(disk) for disk in store.disks), "all files to go")
    for disk in store.disks:
        assert not os.path.isdir(f"{disk}/quarantine") or not os.listdir(f"{disk}/quarantine")


@pytest.mark.fault
@at_barriers(*compact_drop.REVIVE_BARRIERS)
def test_killed_while_a_shard_is_revived(filled, barrier, index):
    store, files = filled
    purge(store, "b1")
    crash(store, "revive", "b2", barrier, index)
    store.start()
    check(store, files, {"b1"})
    assert store.client.compact_plan().waiting_shards == 0


def test_an_index_from_before_the_purge_and_the_next_put(filled, short_tmp):
    """The old index has parts of the batch that was purged; the one of its name is another."""
    store, files = filled
    store.stop()
    old = os.path.join(store.root, "old-index")
    shutil.copytree(store.config.index_root, old)
    store.start()
    purge(store, "b1")
    again = files_of("b1", 5, 20_000)
    folder = write_files(os.path.join(short_tmp, "again"), again)
    finish(store, store.client.batch_write(folder, "b1").job_id)
    store.stop()
    shutil.rmtree(store.config.index_root)
    shutil.copytree(old, store.config.index_root)
    store.start()
    assert store.client.batch("b1").files == len(again)
    assert_gone(store, own(files["b1"]))
    check(store, {**files, "b1": again}, set())
