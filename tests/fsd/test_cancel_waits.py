"""Jobs that wait for a shard, or for a round in the background, hear at once that they may end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from store_harness import write_files

from fsd.compact import compact
from fsd.drain import drain
from fsd.engine import Engine
from fsd.models import BatchWriteRequest, RebuildRequest
from fsd.rebalance import rebalance

FILES = {f"{number}": os.urandom(60_000) for number in range(12)}


@pytest.fixture
def engine(store, short_tmp: str, monkeypatch) -> Iterator[Engine]:
    """An engine in this process that copies nothing by itself."""
    running = Engine(store(3, started=False).config)
    wanted = running.reconciler.wanted
    monkeypatch.setattr(
        running.reconciler,
        "wanted",
        lambda *, at_once=False: wanted(at_once=True) if at_once else [],
    )
    running.start()
    folder = write_files(os.path.join(short_tmp, "source"), FILES)
    job = running.batch_write(BatchWriteRequest(folder=folder, batch="first"))
    assert job.finished.wait(60) and job.state == "done", job.error
    running.seal_and_project()
    yield running
    running.stop()


@pytest.mark.parametrize("what", ["drain", "rebuild"])
def test_a_job_that_waits_for_a_claimed_shard_is_cancelled(engine: Engine, monkeypatch, what: str):
    store, claim, asked = engine.store, engine.replicator.claim, threading.Event()

    def told(*arguments: Any) -> Any:
        asked.set()
        return claim(*arguments)

    shard = next(iter(store.shards.state.shards.values()))
    disk = store.disks.disks[shard.disks[0]]
    with claim(shard.shard_id):
        monkeypatch.setattr(engine.replicator, "claim", told)
        if what == "drain":
            job = drain(engine, disk.name)
        else:
            store.mark_lost(shard.shard_id, disk)
            job = engine.rebuild(RebuildRequest())
        assert asked.wait(60)
        job.cancel()
        assert job.finished.wait(60), "it waits for the shard"
    assert job.state == "cancelled", (job.state, job.error)


@pytest.mark.parametrize("what", ["compact", "drain", "rebalance", "rebuild", "reindex"])
def test_a_job_that_waits_for_maintenance_is_cancelled(engine: Engine, what: str):
    disk = engine.store.disks.online()[0]
    starts = {
        "compact": lambda: compact(engine, None),
        "drain": lambda: drain(engine, disk.name),
        "rebalance": lambda: rebalance(engine),
        "rebuild": lambda: engine.rebuild(RebuildRequest()),
        "reindex": engine.reindex,
    }
    # Another thread has it: this one may take it again.
    with ThreadPoolExecutor(1) as other:
        other.submit(engine.maintenance.acquire).result()
        job = starts[what]()
        job.cancel()
        ended = job.finished.wait(60)
        other.submit(engine.maintenance.release).result()
    assert ended, "it waits for maintenance"
    assert job.state == "cancelled", (job.state, job.error)


def test_a_rebuild_that_waits_for_a_round_is_cancelled_and_gives_no_disk_up(engine: Engine):
    disk = engine.store.disks.online()[0]
    with engine.reconciler._busy:
        job = engine.rebuild_lost(disk, "rebuild")
        job.cancel()
        assert job.finished.wait(60), "it waits for the round"
    assert (job.state, disk.state) == ("cancelled", "online")
