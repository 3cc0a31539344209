"""Entries of the catalog that nobody is in a hurry for are written with the next ones."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from store_harness import Store, write_files

from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.format.catalog import unpack_frames
from fsd.replicas.replicate import BUSY_COPIES_MIN
from fsd.store import catalog_log
from fsd.store.catalog_log import CatalogLog

HOUR_S = 3600.0


@pytest.fixture
def engine(store, short_tmp: str) -> Iterator[Engine]:
    made: Store = store(3, started=False)
    running = Engine(made.config)
    running.start()
    folder = write_files(os.path.join(short_tmp, "source"), {"one": os.urandom(90_000)})
    with running.reconciler.busy:
        job = running.batch_write(BatchWriteRequest(folder=folder, batch="first"))
        assert job.finished.wait(60) and job.state == "done", job.error
        running.seal_and_project()
        yield running
    running.stop()


@pytest.fixture
def writes(engine: Engine, monkeypatch) -> list[int]:
    """Return how many entries each write has, one after the other."""
    counts: list[int] = []
    send = CatalogLog._send

    def watched(self, disks, frames: bytes) -> set[str]:
        counts.append(len(list(unpack_frames(frames))))
        return send(self, disks, frames)

    monkeypatch.setattr(CatalogLog, "_send", watched)
    return counts


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def wait_until_it_waits(engine: Engine, entry: Future[object]) -> None:
    until_s = time.monotonic() + 60
    while not engine.store.catalog._waiting:
        assert not entry.done() and time.monotonic() < until_s
        time.sleep(0.001)


def pin(name: str) -> tuple[str, dict[str, object]]:
    return "manifest_pin", {"name": name, "manifest": "00" * 32, "time_ns": 1}


def test_it_is_written_with_the_next_one(
    engine: Engine, writes: list[int], thread: ThreadPoolExecutor, monkeypatch
):
    monkeypatch.setattr(catalog_log, "PATIENCE_S", HOUR_S)
    entry = thread.submit(engine.store.catalog.append, pin("a"), patient=lambda: True)
    wait_until_it_waits(engine, entry)
    engine.store.catalog.append(pin("b"))
    entry.result(60)
    assert writes == [2]
    assert {"a", "b"} <= engine.store.shards.state.pins.keys()


def test_nobody_is_patient_for_longer_than_there_is_a_reason(
    engine: Engine, writes: list[int], thread: ThreadPoolExecutor, monkeypatch
):
    monkeypatch.setattr(catalog_log, "PATIENCE_S", HOUR_S)
    hurry = threading.Event()
    entry = thread.submit(engine.store.catalog.append, pin("a"), patient=lambda: not hurry.is_set())
    wait_until_it_waits(engine, entry)
    assert not writes
    hurry.set()
    entry.result(60)
    monkeypatch.setattr(catalog_log, "PATIENCE_S", 0.0)
    engine.store.catalog.append(pin("b"), patient=lambda: True)
    assert writes == [1, 1]


def test_a_copy_waits_to_be_counted_while_enough_others_go_on(
    engine: Engine, writes: list[int], thread: ThreadPoolExecutor, monkeypatch
):
    monkeypatch.setattr(catalog_log, "PATIENCE_S", HOUR_S)
    shard_id = min(engine.store.shards.state.shards)
    source = engine.store.sound_replicas(shard_id)[0]
    others = ExitStack()
    for _ in range(BUSY_COPIES_MIN):
        others.enter_context(engine.replicator._read_from(source))

    def copy() -> None:
        with engine.replicator.claim(shard_id) as shard:
            assert shard is not None
            engine.replicator.copy(shard, None)

    before = engine.store.sound_copies(shard_id)
    entry = thread.submit(copy)
    wait_until_it_waits(engine, entry)
    assert not writes and engine.store.sound_copies(shard_id) == before
    others.close()
    entry.result(60)
    assert writes == [1] and engine.store.sound_copies(shard_id) == before + 1
