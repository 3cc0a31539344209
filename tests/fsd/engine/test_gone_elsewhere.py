"""Disks that were declared gone while they were away, and in use again before that is known."""

from __future__ import annotations

import os

import pytest
from store_checks import assert_batch, assert_clean, assert_copies, until
from store_harness import MIB, Store
from test_cancel import WAIT_S, done, files_of, opened, put

from fsd.disks.disks import Disk
from fsd.documents.models import RebuildRequest
from fsd.engine.engine import Engine
from fsd.watch.report import warnings


def away(store: Store, *numbers: int) -> None:
    for number in numbers:
        os.rename(store.disks[number], f"{store.disks[number]}.away")


def back(store: Store, *numbers: int) -> None:
    for number in numbers:
        os.rename(f"{store.disks[number]}.away", store.disks[number])


def disk_at(engine: Engine, store: Store, number: int) -> Disk:
    return engine.store.disks.by_name(store.disks[number])


def wanted_copies(engine: Engine) -> bool:
    shards = engine.store.shards.state.shards.values()
    return all(engine.store.sound_copies(shard.shard_id) >= 2 for shard in shards)


def advised(engine: Engine) -> list[str]:
    return [one.advice for one in warnings(engine.watch) if one.code == "disk-gone"]


@pytest.mark.fault
def test_a_disk_in_use_is_let_go_of_when_another_one_says_that_it_is_gone(store):
    made = store(3, started=False, shard_size_bytes=MIB)
    batches = {name: files_of(20) for name in ("first", "meanwhile", "later")}
    with opened(made) as engine:
        done(put(engine, made, "first", batches["first"]))
        done(engine.rebuild_lost(None, "rebuild"))
    away(made, 0, 2)
    with opened(made) as engine:
        name = disk_at(engine, made, 2).name
        assert engine.rebuild(RebuildRequest(disk=name)).finished.wait(WAIT_S)
    away(made, 1)
    back(made, 0, 2)
    with opened(made) as engine:
        one, another, gone = (disk_at(engine, made, number) for number in range(3))
        done(put(engine, made, "meanwhile", batches["meanwhile"]))
        assert gone.state == "online" and not advised(engine)
        back(made, 1)
        until(lambda: another.state == "online", "the disk that knows")
        until(lambda: gone.state == "gone", "the disk to be let go of")
        assert gone.path in advised(engine)[0]
        job = put(engine, made, "later", batches["later"])
        assert done(job).result["failed"] == 0
        engine.seal_and_project()
        until(lambda: wanted_copies(engine), "two copies of everything")
        assert engine.reconciler.busy.acquire(timeout=WAIT_S), "it copies for ever"
        engine.reconciler.busy.release()
        shards = engine.store.shards.state.shards.values()
        assert {disk for shard in shards for disk in shard.disks} == {one.disk_id, another.disk_id}
    made.start()
    for name, files in batches.items():
        assert_batch(made, name, files)
        assert_copies(made, files, 2)
    assert [one.advice for one in made.client.warnings() if one.code == "disk-gone"]
    made.client.disk_add(made.disks[2])
    until(lambda: made.client.health().state == "ok", "its copies to be verified")
    assert not [one for one in made.client.warnings() if one.code == "disk-gone"]
    assert_clean(made)


@pytest.mark.fault
def test_what_was_acknowledged_meanwhile_comes_back_with_the_disk(store):
    """The other disk that had it dies before it is copied."""
    made = store(3, started=False)
    files = files_of(20)
    with opened(made):
        pass
    away(made, 0, 2)
    with opened(made) as engine:
        name = disk_at(engine, made, 2).name
        assert engine.rebuild(RebuildRequest(disk=name)).finished.wait(WAIT_S)
    away(made, 1)
    back(made, 0, 2)
    with opened(made) as engine:
        done(put(engine, made, "meanwhile", files))
        engine.seal_and_project()
    away(made, 0)
    back(made, 1)
    with opened(made) as engine:
        assert {disk.state for disk in engine.store.disks.disks.values()} == {
            "online", "gone", "missing",
        }  # fmt: skip
        assert any(one.code == "unreadable" for one in warnings(engine.watch)) and advised(engine)
        engine.add_disk(made.disks[2], None)
        codes = {"unreadable", "disk-gone"}
        until(lambda: not codes & {one.code for one in warnings(engine.watch)}, "all to be read")
    back(made, 0)
    made.start()
    assert_batch(made, "meanwhile", files)
    assert_clean(made)


@pytest.mark.fault
def test_a_copy_that_does_not_count_is_an_error_of_its_shard(store, monkeypatch):
    """And is not made again at once, for ever: nobody else would be copied."""
    made, files = store(2, started=False), files_of(10)
    with opened(made) as engine:
        done(put(engine, made, "first", files))
        done(engine.rebuild_lost(None, "rebuild"))
        gone = disk_at(engine, made, 1)
        monkeypatch.setattr("fsd.engine.engine.follow_catalog", lambda _store: None)
        engine.store.catalog.append(("disk_gone", {"disk": gone.disk_id}))
        assert gone.state == "online"
        job = engine.rebuild(RebuildRequest())
        assert job.finished.wait(WAIT_S), "it copies for ever"
        assert (job.state, job.result["copied"]) == ("incomplete", 0)
        with open(job.report_path, encoding="ascii") as file:
            assert "does not count" in file.read()
        monkeypatch.undo()
        until(lambda: gone.state == "gone", "the disk to be let go of")
    made.start()
    assert_batch(made, "first", files)
