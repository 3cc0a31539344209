"""Drains on real small filesystems: a disk that dies during its own, and others that are full."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from loop_disks import LoopDisk, loop_store, needs_loop
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    disk,
    finish,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from fsd.format.errors import QuotaError

pytestmark = needs_loop


@pytest.fixture
def four(short_tmp) -> Iterator[tuple[Store, list[LoopDisk]]]:
    """A started store on four small disks, and the disks."""
    with loop_store(short_tmp, 4) as made:
        yield made


def fill_store(store: Store, short_tmp: str, size_mib: int) -> dict[str, bytes]:
    """Store so many MiB as one settled batch `first`."""
    files = {f"{n % 9}/{n}": os.urandom(MIB // 8) for n in range(size_mib * 8)}
    put(store, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(store)
    return files


@pytest.mark.fault
def test_a_disk_dies_during_its_own_drain(four, short_tmp):
    store, disks = four
    files = fill_store(store, short_tmp, 50)
    name = disk(store, 0).name
    at_first = len(shard_files(disks[0].path))
    job = store.client.disk_drain(name)
    until(lambda: disk(store, 0).shards <= at_first * 3 // 4, "some moves")
    disks[0].die()
    # What was on it is copied from the other replicas.
    result = finish(store, job.job_id)
    assert result["stuck"] == 0
    wait_for_state(store, 0, "missing", "readonly")
    assert disk(store, 0).shards == 0
    assert store.client.disk_removal(name).safe
    assert_batch(store, "first", files)
    assert_copies(store, files, 2, name)
    assert store.client.disk_retire(name).state == "retired"
    assert_clean(store)


@pytest.mark.fault
def test_another_disk_dies_during_a_drain(four, short_tmp):
    store, disks = four
    files = fill_store(store, short_tmp, 30)
    job = store.client.disk_drain(disk(store, 0).name)
    disks[1].die()
    wait_for_state(store, 1, "missing", "readonly")
    assert store.client.wait(job.job_id).state in ("done", "incomplete")
    assert_batch(store, "first", files)
    finish(store, store.client.rebuild(disk(store, 1).name).job_id)
    finish(store, store.client.disk_drain(disk(store, 0).name).job_id)
    assert disk(store, 0).shards == 0
    assert_batch(store, "first", files)
    assert_copies(store, files, 2, disk(store, 0).name, disk(store, 1).name)
    assert_clean(store)


def test_what_the_others_cannot_hold_is_refused_with_the_figures(four, short_tmp):
    store, disks = four
    files = fill_store(store, short_tmp, 60)
    for number in (2, 3):
        disks[number].fill()
        until(lambda n=number: disk(store, n).free_bytes < MIB, "the engine to see it full")
    with pytest.raises(QuotaError, match=r"[\d.]+ \wB \(\d+ shards\) that must move, [\d.]+ \wB "):
        store.client.disk_drain(disk(store, 0).name)
    assert disk(store, 0).state == "online"
    assert_batch(store, "first", files)
