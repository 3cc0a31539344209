"""Purges after a loss that a person accepted: what to do is said, it works, nothing else goes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from engine_processes import kill_engine
from purge_checks import (
    SHARED,
    assert_gone,
    compact,
    files_of,
    own,
    purge,
    reindex,
    store_batch,
)
from store_checks import (
    assert_batch,
    assert_clean,
    damage,
    disk,
    key_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.engine.engine import Engine

FIRST = files_of("one")
SECOND = files_of("two")


def quick(make: Callable[..., Store], disks: int, **copies: int) -> Store:
    """Make a started store whose grace is over at once."""
    made = make(disks, started=False, **copies)
    made.config = with_settings(made.root, grace_s=0)
    made.start()
    return made


def numbers_of(store: Store, names: tuple[str, ...]) -> list[int]:
    return [n for n in range(len(store.disks)) if disk(store, n).name in names]


def take_away(store: Store, numbers: list[int]) -> None:
    for number in numbers:
        os.rename(store.disks[number], store.disks[number] + ".away")


def declare_gone(store: Store, numbers: list[int]) -> None:
    for number in numbers:
        wait_for_state(store, number, "missing")
        store.client.wait(store.client.rebuild(disk(store, number).name).job_id)
        assert disk(store, number).state == "gone"


def take_back(store: Store, numbers: list[int]) -> None:
    for number in numbers:
        os.rename(store.disks[number] + ".away", store.disks[number])
        store.client.disk_add(store.disks[number])


def refused(store: Store, batch: str) -> str:
    """Ask for a purge that must be refused; returns why."""
    ended = store.client.wait(store.client.purge(batch).job_id)
    assert ended.state == "failed", ended
    return ended.error or ""


def warning(store: Store, code: str) -> str:
    found = (one for one in store.client.warnings() if one.code == code)
    return next((f"{one.message}: {one.advice}" for one in found), "")


@pytest.fixture
def half_lost(store: Callable[..., Store], short_tmp: str) -> tuple[Store, list[int]]:
    """A store that has lost the open shard with the batch "second" with its disks; their numbers.

    Of the batch "first" three of the four disks have a copy.
    """
    made = quick(store, 4, copies_raw=3)
    store_batch(made, short_tmp, "first", FIRST)
    settle(made)
    store_batch(made, short_tmp, "second", SECOND)
    lost = numbers_of(made, made.client.head(key_of(SECOND["two/3"])).disks)
    kill_engine(made.config, group=True)
    take_away(made, lost)
    made.start()
    declare_gone(made, lost)
    return made, lost


@pytest.mark.fault
def test_an_open_shard_whose_disks_are_all_gone_keeps_no_purge(half_lost):
    """Who it was and what to do is said; what its disks have counts again when they come back."""
    store, lost = half_lost
    assert "disk add PATH" in warning(store, "open-shards")
    why = refused(store, "first")
    assert "batch second" in why and "drystone put FOLDER --batch second" in why
    # The batch's own list was in it too: a reindex gives that up.
    reindex(store)
    result, _ = purge(store, "first")
    assert result["files"] == len(FIRST)
    assert_gone(store, own(FIRST))
    take_back(store, lost)
    until(lambda: not warning(store, "open-shards"), "the shard to be sealed")
    settle(store)
    for path, data in SECOND.items():
        if data != SHARED:  # That was the first batch's, and nobody knew of another reference.
            assert read_object(store, key_of(data)) == data, path
    assert_gone(store, own(FIRST))
    reindex(store)
    assert_gone(store, own(FIRST))


@pytest.mark.fault
def test_a_batch_that_is_put_again_lists_what_a_lost_part_did(half_lost, short_tmp: str):
    """A part of it alone is not enough. What both batches have stays when one is purged."""
    store, lost = half_lost
    half = dict(list(SECOND.items())[:10])
    some = write_files(os.path.join(short_tmp, "some"), half)
    put(store, some, "second")
    assert "batch second" in refused(store, "first")
    for _ in range(2):
        store_batch(store, short_tmp, "second", SECOND)
    _, stays = purge(store, "first")
    assert [line["holder"] for line in stays] == ["batch second"]
    for _ in range(2):
        assert_gone(store, own(FIRST))
        assert_batch(store, "second", SECOND)
        reindex(store)
    take_back(store, lost)
    until(lambda: not warning(store, "open-shards"), "the shard to be sealed")
    for _ in range(2):
        assert_gone(store, own(FIRST))
        assert_batch(store, "second", SECOND)
        assert_clean(store)
        reindex(store)
    purge(store, "second")
    assert_gone(store, list(SECOND.values()))


@pytest.mark.fault
def test_a_sealed_batch_takes_no_other_files_though_a_part_of_it_is_lost(half_lost, short_tmp):
    store, _ = half_lost
    other = {"two/3": b"other content", "new": b"a new file"}
    folder = write_files(os.path.join(short_tmp, "other"), other)
    lines = put(store, folder, "second", "incomplete")
    assert [line["status"] for line in lines] == ["failed"] * 2
    assert {one.path for one in store.client.batch_files("second")} == set(SECOND)


@pytest.mark.fault
def test_a_batch_with_a_lost_part_is_purged_by_its_listing(half_lost):
    """Then nothing keeps the other one; and neither comes back with the disks."""
    store, lost = half_lost
    result, stays = purge(store, "second")
    assert result["files"] == len(SECOND)
    assert [line["holder"] for line in stays] == ["batch first"]
    purge(store, "first")
    gone = [*FIRST.values(), *SECOND.values()]
    assert_gone(store, gone)
    take_back(store, lost)
    until(lambda: not warning(store, "open-shards"), "the shard to be sealed")
    for _ in range(2):
        assert_gone(store, gone)
        assert list(store.client.batches()) == []
        reindex(store)


@pytest.mark.fault
def test_a_sealed_shard_whose_disks_are_all_gone_keeps_no_purge(store, short_tmp: str):
    """It had one copy. The batch is put again, or a reindex gives up what its list named."""
    made = quick(store, 3, copies_generated=1)
    store_batch(made, short_tmp, "first", FIRST)
    store_batch(made, short_tmp, "second", SECOND, "generated")
    store_batch(made, short_tmp, "third", {"3": b"third"})
    settle(made)
    lost = numbers_of(made, made.client.head(key_of(SECOND["two/3"])).disks)
    take_away(made, lost)
    declare_gone(made, lost)
    assert "batch second" in refused(made, "third")
    store_batch(made, short_tmp, "second", SECOND, "generated")
    purge(made, "third")
    reindex(made)
    _, stays = purge(made, "first")
    assert [line["holder"] for line in stays] == ["batch second"]
    assert_batch(made, "second", SECOND)


@pytest.mark.fault
def test_a_list_that_is_damaged_on_disks_that_are_here(store, short_tmp: str):
    """Once the batch is put again nobody looks for it any more, whatever is made anew."""
    made = quick(store, 2)
    for name, files in (("first", FIRST), ("second", SECOND), ("third", {"3": b"third"})):
        store_batch(made, short_tmp, name, files)
    settle(made)
    made.stop()
    for path in (path for one in made.disks for path in shard_files(one)):
        with open(path, "rb") as file:
            place = file.read().find(b'{"batch": "second"')
        if place >= 0:
            damage(path, place, 8)
    made.start()
    assert "drystone put FOLDER --batch second" in refused(made, "first")
    store_batch(made, short_tmp, "second", SECOND)
    _, stays = purge(made, "first")
    assert [line["holder"] for line in stays] == ["batch second"]
    reindex(made)
    assert_batch(made, "second", SECOND)
    purge(made, "third")
    reindex(made)
    assert_batch(made, "second", SECOND)
    assert_gone(made, [*own(FIRST), b"third"])


@pytest.mark.fault
def test_an_open_shard_without_anything_in_it_goes_with_its_disks(store, short_tmp: str):
    """Killed when a shard was opened, before its first group; then both of its disks are dead."""
    made = quick(store, 4, copies_raw=3)
    store_batch(made, short_tmp, "first", FIRST)
    settle(made)
    made.stop()
    engine = Engine(made.config)
    engine.start()
    shard = engine.shard_writer.create("raw", MIB, large=False)
    names = tuple(one.name for one in shard.disks)
    engine.stop()
    take_away(made, lost := [n for n, one in enumerate(made.config.disk) if one.name in names])
    made.start()
    declare_gone(made, lost)
    assert not warning(made, "open-shards")
    assert made.client.health().unreadable_shards == 0
    purge(made, "first")
    assert_gone(made, list(FIRST.values()))
    take_back(made, lost)
    settle(made)
    assert not warning(made, "quarantine")
    compact(made)


@pytest.mark.fault
def test_files_that_are_on_none_of_their_disks_are_given_up_by_a_reindex(store, short_tmp: str):
    made = quick(store, 3)
    store_batch(made, short_tmp, "first", FIRST)
    settle(made)
    store_batch(made, short_tmp, "second", SECOND)
    head = made.client.head(key_of(SECOND["two/3"]))
    kill_engine(made.config, group=True)
    for path in made.disks:
        name = os.path.join(path, "shards", head.shard_id[:2], f"{head.shard_id}.shard")
        if os.path.exists(name):
            os.unlink(name)
    made.start()
    # The list of the batch is in these files too, and is met first.
    store_batch(made, short_tmp, "second", SECOND)
    assert "drystone reindex" in refused(made, "first")
    reindex(made)
    purge(made, "first")
    assert_gone(made, own(FIRST))
    assert_batch(made, "second", SECOND)
