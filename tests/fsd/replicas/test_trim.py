"""Replicas that are one too many, and files that count again: the choice, and real stores."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_checks import (
    assert_batch,
    assert_clean,
    damage,
    disk,
    finish,
    put,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, write_files

from fsd.replicas.reconcile import Holder, choose_surplus

HOLDERS = st.lists(
    st.builds(
        Holder,
        disk_id=st.sampled_from("abcdefgh"),
        failure_domain=st.sampled_from("xyz"),
        sound=st.booleans(),
        draining=st.booleans(),
        errors=st.integers(0, 2),
        fill=st.floats(0, 1),
    ),
    max_size=7,
    unique_by=lambda one: one.disk_id,
)


@given(HOLDERS, st.integers(1, 4))
def test_the_target_and_the_domains_are_kept(holders: list[Holder], wanted: int):
    while (chosen := choose_surplus(holders, wanted)) is not None:
        before = {one.failure_domain for one in holders if one.sound and not one.draining}
        gone = next(one for one in holders if one.disk_id == chosen)
        holders = [one for one in holders if one is not gone]
        staying = [one for one in holders if one.sound and not one.draining]
        assert len(staying) >= wanted
        assert len({one.failure_domain for one in staying}) >= min(wanted, len(before))


@given(st.integers(1, 8), st.integers(1, 4))
def test_independent_sound_copies_are_trimmed_to_the_target(count: int, wanted: int):
    holders = [Holder(f"d{n}", f"d{n}") for n in range(count)]
    while (chosen := choose_surplus(holders, wanted)) is not None:
        holders = [one for one in holders if one.disk_id != chosen]
    assert len(holders) == min(count, wanted)


def test_the_worst_goes_first():
    a, b = Holder("a", "x", fill=0.2), Holder("b", "y", fill=0.9)
    assert choose_surplus([a, b], 2) is None
    assert choose_surplus([a, b, Holder("c", "z", fill=0.5)], 2) == "b"
    assert choose_surplus([a, b, Holder("c", "z", errors=1)], 2) == "c"
    assert choose_surplus([a, b, Holder("c", "z", draining=True)], 2) == "c"
    assert choose_surplus([a, b, Holder("c", "z", sound=False)], 2) == "c"
    assert choose_surplus([a, Holder("b", "y", errors=9), Holder("c", "x")], 2) == "a"
    # One sound copy is left when a damaged one is all there is beside it.
    assert choose_surplus([a, Holder("c", "z", sound=False)], 2) is None


@pytest.fixture
def full(store, short_tmp) -> tuple[Store, dict[str, bytes]]:
    made = store(4, shard_size_bytes=MIB)
    files = {f"{n % 5}/{n}": os.urandom(50_000 + n * 977 % 100_000) for n in range(150)}
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    return made, files


def replicas(store: Store) -> int:
    return sum(one.shards for one in store.client.disks())


def files_of(store: Store) -> int:
    return sum(len(shard_files(path)) for path in store.disks)


def test_a_disk_that_returns_after_a_rebuild_is_trimmed(full):
    store, files = full
    before = replicas(store)
    away = store.disks[0] + ".away"
    os.rename(store.disks[0], away)
    until(lambda: disk(store, 0).state == "missing", "the loss")
    # Nobody said that it is gone: its replicas are copied, and it may return.
    finish(store, store.client.rebuild().job_id)
    assert replicas(store) > before
    os.rename(away, store.disks[0])
    until(lambda: disk(store, 0).state == "online", "the return")
    until(lambda: replicas(store) == before, "the surplus to go")
    until(lambda: files_of(store) == before, "the files to go")
    assert_batch(store, "first", files)
    assert_clean(store)
    assert store.client.health().state == "ok"


def test_a_damaged_copy_is_never_what_a_surplus_one_leaves(full):
    store, files = full
    before = replicas(store)
    away = store.disks[0] + ".away"
    os.rename(store.disks[0], away)
    until(lambda: disk(store, 0).state == "missing", "the loss")
    finish(store, store.client.rebuild().job_id)
    # One bad copy of every shard, which nobody has noticed yet.
    for path in shard_files(away):
        damage(path, os.path.getsize(path) // 2, 4096)
    os.rename(away, store.disks[0])
    until(lambda: disk(store, 0).state == "online", "the return")
    until(lambda: replicas(store) == before, "the surplus to go")
    assert_batch(store, "first", files)
    assert_clean(store)


@pytest.mark.fault
def test_a_file_that_the_catalog_forgot_counts_again(full, short_tmp):
    """As after a crash between the file and the catalog, or on an old image of a disk."""
    store, files = full
    kept = os.path.join(short_tmp, "kept")
    shutil.copytree(os.path.join(store.disks[0], "shards"), kept)
    name = disk(store, 0).name
    finish(store, store.client.disk_drain(name).job_id)
    assert shard_files(store.disks[0]) == []
    store.client.disk_undrain(name)
    store.stop()
    shutil.copytree(kept, os.path.join(store.disks[0], "shards"), dirs_exist_ok=True)
    bad = shard_files(store.disks[0])[0]
    damage(bad, os.path.getsize(bad) // 2, 4096)
    before = files_of(store)
    store.start()
    until(lambda: files_of(store) < before - 1, "the found files to be looked at")
    until(lambda: replicas(store) == files_of(store), "catalog and files to agree")
    settle(store)
    assert_batch(store, "first", files)
    assert_clean(store)
    quarantine = os.path.join(store.disks[0], "quarantine")
    assert os.listdir(quarantine) == [os.path.basename(bad)]
