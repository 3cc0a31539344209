"""Purging single objects: killed at every barrier, with disks that are away or declared gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest
from older_stores import unpack
from purge_checks import (
    assert_gone,
    bring_back,
    compact,
    crash,
    everything,
    files_of,
    forget_last_entries,
    purge_keys,
    quick_store,
    reindex,
    store_batch,
    take_away,
)
from store_checks import (
    assert_batch,
    assert_clean,
    disk,
    finish,
    key_of,
    settle,
    until,
    wait_for_state,
)
from store_harness import Store
from test_joined_parts import NEW, OLD, OTHER, WASTE, four_disks, lose, take_back
from test_purge_crash import INDEXES, PURGED_FROM

from fsd.delete import purge as purge_verb
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogState, unpack_frames
from fsd.format.errors import FsdError

Files = dict[str, dict[str, bytes]]


@pytest.fixture
def filled(store: Callable[..., Store], short_tmp: str) -> tuple[Store, Files, list[bytes]]:
    """A store of four disks with two batches that share shards, and what is to go of both."""
    made = quick_store(store, 4)
    files = {name: files_of(name, 10, 20_000) for name in ("b1", "b2")}
    for name, content in files.items():
        store_batch(made, short_tmp, name, content)
    settle(made)
    return made, files, [files["b1"]["b1/1"], files["b1"]["b1/2"], files["b2"]["b2/1"]]


def keys(contents: list[bytes]) -> str:
    return ",".join(key_of(data) for data in contents)


def check(store: Store, files: Files, gone: list[bytes]) -> None:
    """What should be gone is gone, the rest is whole, and a reindex agrees."""
    for turn in range(2):
        assert_gone(store, gone)
        for name, content in files.items():
            left = {path: data for path, data in content.items() if data not in gone}
            until(partial(is_listed, store, name, len(left)), "the listing")
            assert_batch(store, name, left)
        assert_clean(store)
        if turn == 0:
            before = everything(store)
            reindex(store)
            assert everything(store) == before


def is_listed(store: Store, name: str, files: int) -> bool:
    return store.client.batch(name).files == files


def barriers_and_indexes() -> list[tuple[str, str]]:
    return [(barrier, index) for barrier in purge_verb.BARRIERS for index in INDEXES]


@pytest.mark.fault
@pytest.mark.parametrize(("barrier", "index"), barriers_and_indexes())
def test_killed_while_single_objects_are_purged(
    filled: tuple[Store, Files, list[bytes]],
    short_tmp: str,
    pytestconfig: pytest.Config,
    barrier: str,
    index: str,
):
    number, place = purge_verb.BARRIERS.index(barrier), INDEXES.index(index)
    if number % len(INDEXES) != place and not pytestconfig.getoption("--slow"):
        pytest.skip("the same with another index: --slow")
    store, files, gone = filled
    crash(store, "purge-keys", keys(gone), barrier, index)
    store.start()
    is_done = barrier in PURGED_FROM
    check(store, files, gone if is_done else [])
    told, _ = purge_keys(store, gone)
    assert told["purged_objects"] == (0 if is_done else len(gone))
    check(store, files, gone)
    store_batch(store, short_tmp, "again", {"a": gone[0]})
    settle(store)
    check(store, {**files, "again": {"a": gone[0]}}, gone[1:])


@pytest.mark.fault
def test_nothing_is_purged_while_a_disk_is_away(filled, short_tmp):
    store, files, gone = filled
    take_away(store, 3)
    wait_for_state(store, 3, "missing")
    job = store.client.wait(store.client.purge(keys=keys(gone).split(",")).job_id)
    assert job.state == "failed" and "bring it back" in (job.error or "")
    assert_batch(store, "b1", files["b1"])
    bring_back(store, 3)
    purge_keys(store, gone)
    check(store, files, gone)


@pytest.mark.fault
def test_a_disk_that_took_the_marks_and_was_away_at_the_commit_brings_nothing_back(
    filled, short_tmp
):
    store, files, gone = filled
    crash(store, "purge-keys", keys(gone), "committed", "old")
    for number in (0, 1):
        forget_last_entries(store, number, "purge_commit")
    # Those that know of the commit are away: it is in doubt, and hidden.
    take_away(store, 2, 3)
    store.start()
    assert_gone(store, gone)
    # Stored anew meanwhile it lives, whatever is found out later.
    again = {"b3": {"a": gone[0]}}
    store_batch(store, short_tmp, "b3", again["b3"])
    bring_back(store, 2, 3)
    until(lambda: store.client.health().state == "ok", "the store to be whole")
    check(store, {**files, **again}, gone[1:])


@pytest.mark.fault
def test_begun_and_never_committed_is_shown_again_when_all_disks_are_here(filled, short_tmp):
    store, files, gone = filled
    crash(store, "purge-keys", keys(gone), "begun", "kept")
    take_away(store, 3)
    store.start()
    assert_gone(store, gone)
    # Stored anew, and not by what is in doubt.
    store_batch(store, short_tmp, "b3", {"a": gone[0]})
    bring_back(store, 3)
    until(lambda: is_stored(store, gone[1]), "what was hidden")
    check(store, {**files, "b3": {"a": gone[0]}}, [])


def is_stored(store: Store, data: bytes) -> bool:
    return bool(store.client.known([key_of(data)]))


@pytest.mark.fault
@pytest.mark.parametrize("is_known", [True, False])
def test_what_was_purged_while_its_disk_was_declared_gone_stays_purged(
    store: Callable[..., Store], short_tmp: str, is_known: bool
):
    """Whether the index knew of it, or was made anew without the disks."""
    made = quick_store(store, 3)
    files = {name: files_of(name, 8, 9000) for name in ("b1", "b2")}
    for name, content in files.items():
        store_batch(made, short_tmp, name, content)
    settle(made)
    gone = [files["b1"]["b1/1"], files["b2"]["b2/2"]]
    number = next(
        n for n in range(3) if disk(made, n).name in made.client.head(key_of(gone[0])).disks
    )
    away = f"{made.disks[number]}-away"
    os.rename(made.disks[number], away)
    wait_for_state(made, number, "missing")
    finish(made, made.client.rebuild(disk(made, number).name).job_id)
    if not is_known:
        reindex(made)
    purge_keys(made, gone)
    os.rename(away, made.disks[number])
    made.client.disk_add(made.disks[number])
    wait_for_state(made, number, "online")
    settle(made)
    check(made, files, gone)


@pytest.mark.fault
@pytest.mark.parametrize("class_name", ["raw", "generated"])
def test_objects_that_only_gone_disks_had_stay_purged_when_these_return(
    store: Callable[..., Store], short_tmp: str, class_name: str
):
    """Their shard, open or sealed, is on no disk, and the index knows nothing of it."""
    made = four_disks(store)
    # Another batch names them, so that something knows of them.
    lost = lose(made, short_tmp, {**OLD, "kept": NEW["new/0"]}, class_name)
    named = dict(list(OLD.items())[:2])
    store_batch(made, os.path.join(short_tmp, "again"), "again", named, class_name)
    gone = list(named.values())
    purge_keys(made, gone)
    take_back(made, lost)
    left = {path: data for path, data in OLD.items() if data not in gone}
    for _ in range(2):
        assert_gone(made, gone)
        assert_batch(made, "b", {**left, "kept": NEW["new/0"]})
        assert_batch(made, "waste", {"waste": WASTE})
        assert_batch(made, "other", OTHER)
        assert_batch(made, "again", {})
        assert_clean(made)
        before = everything(made)
        reindex(made)
        assert everything(made) == before
    # Nor does a compaction write them anew, as what lives.
    compact(made, 0.001)
    until(lambda: made.client.compact_plan().waiting_shards == 0, "what is empty to be dropped")
    assert_gone(made, gone)
    # Put again they are another record.
    store_batch(made, os.path.join(short_tmp, "third"), "third", named, class_name)
    assert_batch(made, "third", named)
    assert_batch(made, "b", {**OLD, "kept": NEW["new/0"]})


@pytest.mark.fault
def test_a_disk_that_joins_while_it_is_decided_is_looked_into_first(
    store: Callable[..., Store], short_tmp: str
):
    """By then its shard is found, and the index knows nothing of it."""
    made = four_disks(store)
    first, *others = lose(made, short_tmp, {**OLD, "kept": NEW["new/0"]}, "generated")
    named = dict(list(OLD.items())[:2])
    store_batch(made, os.path.join(short_tmp, "again"), "again", named, "generated")
    made.stop()
    engine = Engine(made.config)

    def join(barrier: str) -> None:
        if barrier == "decided":
            os.rename(f"{made.disks[first]}-away", made.disks[first])
            joined = engine.add_disk(made.disks[first], None)
            until(lambda: joined.state == "online" and joined.found, "the disk")

    try:
        engine.start()
        engine.on_barrier = join
        asked = PurgeRequest(keys=tuple(key_of(data) for data in named.values()))
        job = purge_verb.purge(engine.dropper, asked)
        job.finished.wait()
        assert job.state == "failed" and "ask again" in (job.error or ""), (job.error, job.result)
    finally:
        engine.stop()
    made.start()
    take_back(made, others)
    assert_batch(made, "again", named)
    purge_keys(made, named.values())
    for _ in range(2):
        assert_gone(made, list(named.values()))
        assert_clean(made)
        reindex(made)


class _Older(CatalogState):
    """What the version before this one knows."""

    _apply_purge_keys = None
    _apply_keys_stored = None


@pytest.mark.fault
def test_an_engine_before_this_version_refuses_a_store_that_purged_single_objects(filled):
    store, _, gone = filled
    purge_keys(store, gone)
    for path in store.disks:
        with open(os.path.join(path, "catalog.log"), "rb") as file:
            entries = list(unpack_frames(file.read()))
        CatalogState.of(entries)
        with pytest.raises(FsdError, match=r"'purge_keys'.* is not known .* use a newer one"):
            _Older.of(entries)


@pytest.mark.fault
def test_a_store_of_the_version_before_is_purged_of_single_objects(short_tmp: str):
    folder = os.path.join(short_tmp, "s")
    archive = os.path.join(os.path.dirname(__file__), "..", "stores", "vacated-shard.tar.xz")
    store, promises = unpack(archive, folder)
    store.start()
    try:
        batch, named = next(
            (b, k) for b, k in promises.acknowledged.items() if b not in promises.hidden
        )
        key = next(iter(named.values()))
        finish(store, store.client.purge(keys=[key]).job_id)
        for _ in range(2):
            assert key not in {file.key for file in store.client.batch_files(batch)}
            assert not store.client.known([key])
            assert_clean(store)
            reindex(store)
    finally:
        store.stop()
