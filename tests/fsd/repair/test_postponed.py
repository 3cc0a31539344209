"""A start does not wait for what a killed engine left open, and calls nothing missing till then."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from engine_processes import kill_engine
from shard_fixture import build_group
from store_checks import assert_clean, assert_readable, put, shard_files, until
from store_harness import Store, with_settings, write_files
from test_recover_pieces import wait_for_lock

from fsd.documents.models import BatchWriteRequest, VerifyRequest
from fsd.engine.engine import Engine
from fsd.format.errors import NotFoundError, ReindexingError
from fsd.repair import waiting_shards
from fsd.store import store as open_store
from fsd.store.read import read_small

FIRST = {f"a{number}": b"first %d" % number * 900 for number in range(9)}
SECOND = {f"b{number}": b"second %d" % number * 900 for number in range(9)}


def killed(store: Any, tmp_path: Any, recovered_at_start_bytes: int = 0) -> tuple[Store, str]:
    """Return a store whose engine was killed after two puts, and its index of between them."""
    made: Store = store(2)
    made.stop()
    made.config = with_settings(made.root, recovered_at_start_bytes=recovered_at_start_bytes)
    made.start()
    copy = str(tmp_path / "index")
    put(made, write_files(str(tmp_path / "first"), FIRST), "first")
    shutil.copytree(made.config.index_root, copy)
    put(made, write_files(str(tmp_path / "second"), SECOND), "second")
    kill_engine(made.config, group=True)
    wait_for_lock(made.config)
    return made, copy


def read(engine: Engine, content: bytes) -> bytes:
    return read_small(engine.store, hashlib.sha256(content).digest())


def open_count(engine: Engine) -> int:
    with engine.store.lock:
        return sum(not one.sealed for one in engine.store.shards.state.shards.values())


@pytest.mark.fault
def test_all_that_was_acknowledged_is_read_and_more_is_put_before_anything_is_recovered(
    store, tmp_path
):
    made, _ = killed(store, tmp_path)
    engine = Engine(made.config)
    third = write_files(str(tmp_path / "third"), {**FIRST, "new": b"third" * 99})
    try:
        with engine.maintenance:  # The recovery waits for it.
            engine.start()
            assert engine.open_shards.is_postponed and open_count(engine)
            assert not engine.store.is_unfinished
            for content in (*FIRST.values(), *SECOND.values()):
                assert read(engine, content) == content
            with pytest.raises(NotFoundError):
                read(engine, b"never stored")
            job = engine.batch_write(BatchWriteRequest(folder=third, batch="third"))
            job.finished.wait()
            assert job.state == "done", job.error
            # One copy of what is stored was read back; nothing is written twice.
            assert (job.result["written"], job.result["existing"]) == (1, len(FIRST))
            checked = engine.verify(VerifyRequest())
        checked.finished.wait()
        assert checked.state == "done", checked.error
        # It looked at every shard, for it waited until they were sealed.
        assert open_count(engine) == 0 and not engine.open_shards.is_postponed
        shards = len(engine.store.shards.state.shards)
        assert checked.result["replicas"] == 2 * shards
    finally:
        engine.stop()
    made.start()
    assert_readable(made, {**FIRST, **SECOND, "new": b"third" * 99})
    assert_clean(made)


@pytest.mark.fault
def test_what_an_older_index_lacks_is_waited_for_and_never_called_missing(
    store, tmp_path, monkeypatch
):
    made, copy = killed(store, tmp_path)
    shutil.rmtree(made.config.index_root)
    shutil.copytree(copy, made.config.index_root)
    engine = Engine(made.config)
    try:
        with ThreadPoolExecutor(1) as other:
            with engine.maintenance:
                engine.start()
                assert engine.store.is_unfinished
                assert all(read(engine, content) == content for content in FIRST.values())
                monkeypatch.setattr(open_store, "FILLED_WITHIN_S", 600.0)
                waiting = other.submit(read, engine, SECOND["b1"])
            assert waiting.result() == SECOND["b1"]
        assert not engine.store.is_unfinished
        until(lambda: open_count(engine) == 0, "all shards to be sealed")
        assert all(read(engine, content) == content for content in SECOND.values())
    finally:
        engine.stop()
    made.start()
    assert_clean(made)


def test_who_waits_too_long_is_told_to_ask_again(store, tmp_path, monkeypatch):
    made, copy = killed(store, tmp_path)
    shutil.rmtree(made.config.index_root)
    shutil.copytree(copy, made.config.index_root)
    monkeypatch.setattr(open_store, "FILLED_WITHIN_S", 0.01)
    engine = Engine(made.config)
    try:
        with engine.maintenance:
            engine.start()
            for _ in range(2):
                with pytest.raises(ReindexingError, match="ask again"):
                    read(engine, SECOND["b1"])
        until(lambda: not engine.store.is_unfinished, "the index to follow")
        assert read(engine, SECOND["b1"]) == SECOND["b1"]
    finally:
        engine.stop()


def torn_group(path: str) -> bytes:
    """Return the beginning of a group that the file has no room for."""
    shard_id = bytes.fromhex(os.path.basename(path).removesuffix(".shard"))
    return build_group([b"torn" * 9000], 99, 999, shard_id)[0][:16384]


@pytest.mark.fault
@pytest.mark.parametrize("tail", ["torn", "garbage"])
def test_what_lies_behind_the_last_group_is_no_group(store, tmp_path, tail):
    """One that is torn is seen at once; what cannot be told from a damaged one is read first."""
    made, _ = killed(store, tmp_path)
    paths = [path for disk in made.disks for path in shard_files(disk)]
    for path in paths:
        with open(path, "ab") as file:
            file.write(torn_group(path) if tail == "torn" else b"\x5a" * 8192)
    engine = Engine(made.config)
    try:
        with engine.maintenance:
            engine.start()
            assert engine.store.is_unfinished == (tail == "garbage")
            for content in (*FIRST.values(), *SECOND.values()):
                assert read(engine, content) == content
        until(lambda: open_count(engine) == 0, "all shards to be sealed")
    finally:
        engine.stop()
    made.start()
    assert_readable(made, {**FIRST, **SECOND})
    assert_clean(made)


def ending_processes_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kill the processes of all disks before the first shard is recovered; lists whom."""
    recover, ended = waiting_shards.recover_shard, list[int]()

    def end_and_recover(store: Any, shard: Any) -> bool:
        if not ended:
            for disk in store.disks.disks.values():
                ended.append(disk.child.pid)
                os.kill(disk.child.pid, signal.SIGKILL)
        return recover(store, shard)

    monkeypatch.setattr(waiting_shards, "recover_shard", end_and_recover)
    return ended


@pytest.mark.fault
def test_what_a_disk_did_not_give_in_passing_is_never_called_missing(store, tmp_path, monkeypatch):
    """Both disks lose their processes while the shards are read that the index lacks."""
    made, copy = killed(store, tmp_path)
    shutil.rmtree(made.config.index_root)
    shutil.copytree(copy, made.config.index_root)
    monkeypatch.setattr(open_store, "FILLED_WITHIN_S", 600.0)
    ended = ending_processes_once(monkeypatch)
    engine = Engine(made.config)
    try:
        with ThreadPoolExecutor(1) as other:
            with engine.maintenance:
                engine.start()
                assert engine.store.is_unfinished
                waiting = other.submit(read, engine, SECOND["b1"])
            assert waiting.result() == SECOND["b1"]
        assert len(ended) == 2
    finally:
        engine.stop()
    made.start()
    assert_readable(made, {**FIRST, **SECOND})
    assert_clean(made)


@pytest.mark.fault
@pytest.mark.parametrize("index_is_lost", [False, True])
def test_a_start_that_a_disk_fails_in_passing_calls_nothing_missing(
    store, tmp_path, monkeypatch, index_is_lost: bool
):
    """There is little to read: the start reads it, and both disks lose their processes."""
    made, copy = killed(store, tmp_path, 1 << 30)
    shutil.rmtree(made.config.index_root)
    if not index_is_lost:
        shutil.copytree(copy, made.config.index_root)
    ended = ending_processes_once(monkeypatch)
    engine = Engine(made.config)
    monkeypatch.setattr(open_store, "FILLED_WITHIN_S", 600.0)
    try:
        engine.start()
        assert len(ended) == 2
        assert read(engine, SECOND["b1"]) == SECOND["b1"]
    finally:
        engine.stop()
