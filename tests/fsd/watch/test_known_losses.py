"""`drystone health` says by its exit code what is lost, and what is only not whole."""

from __future__ import annotations

import os

import pytest
from command import drystone, environment
from store_checks import (
    damage,
    disk,
    finish,
    keys_of,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from fsd.format.layout import shard_path

OK, LOST, DEGRADED = 0, 1, 3
FILES = {f"{number}": os.urandom(200_000) for number in range(20)}


@pytest.fixture
def filled(store, short_tmp) -> Store:
    """Three disks with two copies of one batch."""
    made = store(3, shard_size_bytes=MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    return made


def health(made: Store, expect: int) -> str:
    return drystone("health", env=environment(made), expect=expect).stdout.decode()


def codes(made: Store) -> set[str]:
    return {one.code for one in made.client.warnings()}


def away(made: Store, number: int) -> None:
    os.rename(made.disks[number], made.disks[number] + ".away")
    wait_for_state(made, number, "missing")


def back(made: Store, number: int) -> None:
    os.rename(made.disks[number] + ".away", made.disks[number])
    wait_for_state(made, number, "online")


@pytest.mark.fault
def test_one_disk_away_is_degraded_and_two_lose_something_and_its_list_of_files(filled: Store):
    assert health(filled, OK).startswith("ok: ")
    away(filled, 0)
    assert health(filled, DEGRADED).startswith("degraded (")
    away(filled, 1)
    away(filled, 2)
    assert health(filled, LOST).startswith("failed (")
    assert {"unreadable", "lost-list"} <= codes(filled)
    lists = next(one for one in filled.client.warnings() if one.code == "lost-list")
    assert "first" in lists.message and lists.severity == "critical"
    for number in range(3):
        back(filled, number)
    until(lambda: filled.client.health().state == "ok", "all copies")
    assert "lost-list" not in codes(filled)


@pytest.mark.fault
def test_what_is_damaged_on_every_disk_is_lost(filled: Store):
    head = filled.client.head(keys_of(FILES)["7"])
    paths = {found.name: found.path for found in filled.client.disks()}
    for name in head.disks:
        damage(shard_path(paths[name], head.shard_id), head.offset + 2000)
    finish(filled, filled.client.verify().job_id, "incomplete")
    until(lambda: "damaged" in codes(filled), "the engine to try to reconstruct it")
    health(filled, LOST)
    put(filled, write_files(os.path.join(filled.root, "again"), {"7": FILES["7"]}), "again")
    until(lambda: filled.client.health().state == "ok", "it to be whole again")


@pytest.mark.fault
def test_a_damaged_sole_copy_is_lost(store, short_tmp):
    """Nothing else may have it, and it can be tried nowhere: there is one disk."""
    made = store(1, copies_raw=1, copies_generated=1)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    settle(made)
    health(made, OK)
    (path, *_) = shard_files(made.disks[0])
    damage(path, os.path.getsize(path) // 2)
    finish(made, made.client.verify().job_id, "incomplete")
    health(made, LOST)


@pytest.mark.fault
def test_damage_here_is_a_loss_while_the_sound_copy_is_away(filled: Store):
    head = filled.client.head(keys_of(FILES)["7"])
    here, gone = head.disks
    paths = {found.name: found.path for found in filled.client.disks()}
    number = filled.disks.index(paths[gone])
    away(filled, number)
    health(filled, DEGRADED)
    damage(shard_path(paths[here], head.shard_id), head.offset + 2000)
    finish(filled, filled.client.verify().job_id, "incomplete")
    health(filled, LOST)
    back(filled, number)
    until(lambda: filled.client.health().state == "ok", "it to be whole again")


@pytest.mark.fault
def test_damage_of_one_of_two_copies_is_not_lost(filled: Store):
    head = filled.client.head(keys_of(FILES)["7"])
    path = next(found.path for found in filled.client.disks() if found.name == head.disks[0])
    damage(shard_path(path, head.shard_id), head.offset + 2000)
    finish(filled, filled.client.verify().job_id, "incomplete")
    assert filled.client.health().state in ("ok", "degraded")
    until(lambda: filled.client.health().state == "ok", "it to be healed")


@pytest.mark.fault
def test_what_was_given_up_with_its_disks_is_lost(filled: Store):
    first, second = (disk(filled, number).name for number in (0, 1))
    lost = {
        path
        for path, key in keys_of(FILES).items()
        if set(filled.client.head(key).disks) == {first, second}
    }
    assert lost
    away(filled, 0)
    away(filled, 1)
    for name in (first, second):
        filled.client.disk_retire(name, force=True)
    health(filled, LOST)
    assert "unreadable" in codes(filled)
