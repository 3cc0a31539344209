"""Disks that are emptied, retired and replaced: real engines, killed at any moment of it."""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from command import drystone, environment
from engine_processes import kill_engine
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    damage,
    disk,
    finish,
    put,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, write_files

from base.errors import UsageError
from fsd.disk_io.place.identity import read_identity
from fsd.format.errors import QuotaError


def make_files(count: int = 120, seed: int = 1) -> dict[str, bytes]:
    rng = random.Random(seed)
    files = {f"{n % 5}/{n}": rng.randbytes(60_000 + n * 977 % 300_000) for n in range(count)}
    return {**files, "large.bin": rng.randbytes(5 * MIB)}


@pytest.fixture
def full(store, short_tmp) -> tuple[Store, dict[str, bytes]]:
    """A store on four disks with a settled batch `first`."""
    made = store(4, shard_size_bytes=MIB)
    files = make_files()
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    return made, files


def assert_empty(store: Store, number: int) -> None:
    assert shard_files(store.disks[number]) == []
    assert disk(store, number).shards == 0


def names(store: Store) -> list[str]:
    return [disk(store, number).name for number in range(len(store.disks))]


def test_a_drained_disk_is_empty_and_takes_nothing_new(full, short_tmp):
    store, files = full
    name = names(store)[0]
    assert not store.client.disk_removal(name).safe
    result = finish(store, store.client.disk_drain(name).job_id)
    assert result["moved"] > 0 and result["stuck"] == 0
    assert_empty(store, 0)
    assert disk(store, 0).state == "draining"
    assert any("retire" in w.advice for w in store.client.warnings() if w.code == "disk-draining")
    assert_batch(store, "first", files)
    assert_copies(store, files, 2, name)
    more = make_files(60, seed=2)
    put(store, write_files(os.path.join(short_tmp, "more"), more), "second")
    settle(store)
    assert_empty(store, 0)
    assert_clean(store)
    assert store.client.disk_removal(name).safe
    # It survives a restart, until it is taken back.
    store.stop()
    store.start()
    assert disk(store, 0).state == "draining"
    assert store.client.disk_undrain(name).state == "online"
    store.stop()
    store.start()
    assert disk(store, 0).state == "online"
    with pytest.raises(UsageError, match="not draining"):
        store.client.disk_undrain(name)
    assert_batch(store, "second", more)


def test_a_drain_runs_beside_a_put_and_a_verify(full, short_tmp):
    store, files = full
    more = make_files(300, seed=3)
    folder = write_files(os.path.join(short_tmp, "more"), more)
    jobs = [
        store.client.batch_write(folder, "second").job_id,
        store.client.disk_drain(names(store)[1]).job_id,
        store.client.verify().job_id,
    ]
    for job_id in jobs:
        finish(store, job_id)
    settle(store)
    assert_empty(store, 1)
    assert_batch(store, "first", files)
    assert_batch(store, "second", more)
    assert_clean(store)


def test_two_of_three_disks_cannot_be_drained(store, short_tmp):
    made = store(3)
    files = make_files(30)
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    finish(made, made.client.disk_drain(names(made)[0]).job_id)
    with pytest.raises(QuotaError, match=r"2 copies need 2 .* there are 1 \(\w+ [\d.]+ \wB free\)"):
        made.client.disk_drain(names(made)[1])
    assert [d.state for d in made.client.disks()] == ["draining", "online", "online"]
    assert_clean(made)


def wait_for_drains(store: Store) -> None:
    for job in store.client.jobs():
        if job.kind == "drain":
            finish(store, job.job_id)


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_during_a_drain(full, seed):
    """It is killed again and again: everything stays whole, and in the end the disk is empty."""
    store, files = full
    rng = random.Random(seed)
    store.client.disk_drain(names(store)[0])
    at_first = len(shard_files(store.disks[0]))
    for number in range(1, 5):
        # After so many replicas have left, and a random moment into the next.
        enough = at_first * (5 - number) // 5
        until(lambda most=enough: len(shard_files(store.disks[0])) <= most, "some moves")
        time.sleep(rng.uniform(0, 0.05))
        kill_engine(store.config, group=True)
        store.start()
        assert disk(store, 0).state == "draining"
    # It was resumed by the start itself.
    wait_for_drains(store)
    settle(store)
    until(lambda: disk(store, 0).shards == 0, "the disk to be empty")
    assert store.client.disk_removal(names(store)[0]).safe
    assert_batch(store, "first", files)
    assert_copies(store, files, 2, names(store)[0])
    assert_clean(store)


def test_only_a_disk_that_nobody_needs_is_retired(full):
    store, files = full
    name = names(store)[0]
    with pytest.raises(UsageError, match="fewer copies than wanted; drystone disk drain"):
        store.client.disk_retire(name)
    finish(store, store.client.disk_drain(name).job_id)
    assert store.client.disk_retire(name).state == "retired"
    assert read_identity(store.disks[0])["retired"] is True
    for refused in (store.client.disk_drain, store.client.disk_retire):
        with pytest.raises(UsageError, match="is retired"):
            refused(name)
    store.stop()
    store.start()
    assert disk(store, 0).state == "retired"
    assert_batch(store, "first", files)
    assert_clean(store)
    with pytest.raises(UsageError, match="already is a disk"):
        store.client.disk_add(store.disks[0])


def test_retire_by_the_command_line(full):
    store, files = full
    name = names(store)[3]
    result = drystone("disk", "safe-to-remove", name, env=environment(store), expect=3)
    assert result.stdout.startswith(b"no: ") and b"drystone disk drain" in result.stdout
    answer = json.loads(
        drystone("disk", "safe-to-remove", name, "--json", env=environment(store), expect=3).stdout
    )
    assert answer["safe"] is False and answer["short_bytes"] > 0 and answer["sole_bytes"] == 0
    drystone("disk", "retire", name, "--yes", env=environment(store), expect=2)
    drystone("disk", "drain", name, env=environment(store))
    assert drystone("disk", "safe-to-remove", name, env=environment(store)).stdout.startswith(b"y")
    drystone("disk", "retire", name, env=environment(store), input=b"n\n", expect=1)
    assert disk(store, 3).state == "draining"
    drystone("disk", "retire", name, "--yes", env=environment(store))
    assert b"retired" in drystone("disk", "list", env=environment(store)).stdout
    assert_batch(store, "first", files)


def test_a_forced_retirement_says_what_is_lost(store, short_tmp):
    made = store(2, copies_raw=1, copies_generated=1)
    files = make_files(40)
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    number = max((0, 1), key=lambda n: disk(made, n).shards)
    name = names(made)[number]
    answer = made.client.disk_removal(name)
    assert answer.sole_shards == disk(made, number).shards and answer.sole_objects > 0
    arguments = ("disk", "retire", name, "--force")
    result = drystone(*arguments, env=environment(made), input=b"n\n", expect=1)
    assert b"WOULD BE LOST" in result.stderr and disk(made, number).state == "online"
    drystone(*arguments, "--yes", env=environment(made))
    assert disk(made, number).state == "retired"
    assert made.client.health().unreadable_shards == answer.sole_shards


def test_a_suspect_disk_takes_what_has_no_other_place(store, short_tmp):
    """Three others are steady with the disk that leaves, and too few without it."""
    made = store(4, shard_size_bytes=MIB, copies_raw=3)
    files = make_files(40)
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    spoilt = max(range(4), key=lambda number: len(shard_files(made.disks[number])))
    for path in shard_files(made.disks[spoilt])[:6]:
        damage(path, os.path.getsize(path) // 2)
    finish(made, made.client.verify().job_id, "incomplete")
    settle(made)
    assert disk(made, spoilt).health == "suspect"
    leaving = (spoilt + 1) % 4
    finish(made, made.client.disk_drain(names(made)[leaving]).job_id)
    assert_empty(made, leaving)
    assert_batch(made, "first", files)
    assert_clean(made)


@pytest.mark.fault
def test_a_living_disk_is_replaced(full, short_tmp):
    store, files = full
    name = names(store)[1]
    new = os.path.join(short_tmp, "new")
    os.makedirs(new)
    drystone("disk", "replace", name, new, "--name", "d9", "--yes", env=environment(store))
    assert disk(store, 1).state == "retired"
    assert_batch(store, "first", files)
    assert_clean(store)
    assert {d.name: d.state for d in store.client.disks()}["d9"] == "online"
    store.stop()
    store.start()
    assert disk(store, 1).state == "retired"
    assert_clean(store)


@pytest.mark.fault
def test_a_replacement_goes_on_after_kill_9(full, short_tmp):
    store, files = full
    name = names(store)[1]
    new = os.path.join(short_tmp, "new")
    os.makedirs(new)
    store.client.disk_replace(name, new)
    kill_engine(store.config, group=True)
    store.start()
    until(lambda: disk(store, 1).state == "retired", "the drain to go on and to retire it")
    finish(store, store.client.disk_replace(name, new).job_id)
    assert len(store.client.disks()) == 5
    assert_batch(store, "first", files)
    assert_clean(store)


@pytest.mark.fault
def test_a_dead_disk_is_replaced(full, short_tmp):
    store, files = full
    name = names(store)[1]
    os.rename(store.disks[1], store.disks[1] + ".dead")
    until(lambda: disk(store, 1).state == "missing", "the loss")
    new = os.path.join(short_tmp, "new")
    os.makedirs(new)
    finish(store, store.client.disk_replace(name, new).job_id)
    assert disk(store, 1).state == "gone"
    assert_batch(store, "first", files)
    assert_copies(store, files, 2)
    assert_clean(store)
