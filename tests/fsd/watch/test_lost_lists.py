"""A part of a list of files that no disk gives and no listing stands for: what is advised works."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from engine_processes import kill_engine
from purge_checks import purge, reindex, store_batch
from store_checks import assert_batch, disk, key_of, put, settle, wait_for_state
from store_harness import Store, with_settings, write_files

FILES = {f"{n}": os.urandom(2000 + n) for n in range(6)}
OTHER = {"other": b"of another batch" * 100}


@pytest.fixture
def lost(store: Callable[..., Store], short_tmp: str) -> tuple[Store, list[int], str]:
    """A store without the disks that have all of batch "b", and without its listing; its source."""
    made = store(4, started=False, copies_raw=3)
    made.config = with_settings(made.root, grace_s=0)
    made.start()
    store_batch(made, short_tmp, "other", OTHER)
    settle(made)
    source = write_files(os.path.join(short_tmp, "source"), FILES)
    put(made, source, "b")
    names = made.client.head(key_of(FILES["0"])).disks
    numbers = [n for n in range(len(made.disks)) if disk(made, n).name in names]
    kill_engine(made.config, group=True)
    for number in numbers:
        os.rename(made.disks[number], f"{made.disks[number]}-away")
    for folder, _, files in os.walk(made.config.index_root):
        for name in files:
            if name.endswith(".tree"):
                os.unlink(os.path.join(folder, name))
    made.start()
    return made, numbers, source


def refused_put(store: Store, source: str) -> str:
    job = store.client.wait(store.client.batch_write(source, "b").job_id)
    assert job.state == "failed", job
    return job.error or ""


def refused_purge(store: Store, batch: str) -> str:
    job = store.client.wait(store.client.purge(batch).job_id)
    assert job.state == "failed", job
    return job.error or ""


def declare_gone(store: Store, numbers: list[int]) -> None:
    for number in numbers:
        wait_for_state(store, number, "missing")
        store.client.wait(store.client.rebuild(disk(store, number).name).job_id)


@pytest.mark.fault
def test_the_disks_that_are_away_are_named(lost: tuple[Store, list[int], str]):
    made, numbers, source = lost
    said = refused_put(made, source)
    for number in numbers:
        name = disk(made, number).name
        assert f"drystone rebuild --disk {name}" in said and "back" in said
    for number in numbers:
        os.rename(f"{made.disks[number]}-away", made.disks[number])
        wait_for_state(made, number, "online")
    # A put that comes before what they have is read writes it once more.
    settle(made)
    assert {line["status"] for line in put(made, source, "b")} == {"existing"}
    assert_batch(made, "b", FILES)


@pytest.mark.fault
def test_a_sealed_batch_is_put_again_as_another_one(lost: tuple[Store, list[int], str]):
    made, numbers, source = lost
    declare_gone(made, numbers)
    for said in (refused_put(made, source), refused_purge(made, "other")):
        assert "drystone disk add PATH" in said and "drystone reindex" in said
        assert "as another batch (drystone put FOLDER --batch NAME)" in said
    reindex(made)
    lines = put(made, source, "b", "incomplete")
    assert all("use a new batch" in line["reason"] for line in lines)
    put(made, source, "c")
    assert_batch(made, "c", FILES)
    purge(made, "b")
    assert_batch(made, "c", FILES)


@pytest.mark.fault
def test_a_disk_that_is_taken_back_has_the_list(lost: tuple[Store, list[int], str]):
    made, numbers, source = lost
    declare_gone(made, numbers)
    assert "drystone disk add PATH" in refused_put(made, source)
    for number in numbers:
        os.rename(f"{made.disks[number]}-away", made.disks[number])
        made.client.disk_add(made.disks[number])
        wait_for_state(made, number, "online")
    settle(made)
    put(made, source, "b")
    assert_batch(made, "b", FILES)
    purge(made, "other")
    assert_batch(made, "b", FILES)
