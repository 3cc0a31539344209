"""A shard that is dropped while a verification runs is no damage."""

from __future__ import annotations

import os

import pytest
from store_checks import put
from store_harness import Store, write_files

from fsd.engine.engine import Engine
from fsd.repair.care import _verify_disk
from fsd.store.job import Job
from fsd.store.store import Store as OpenStore


@pytest.mark.warns("a copy is gone while it is read")
def test_what_was_dropped_meanwhile_is_no_problem(store, short_tmp: str):
    made: Store = store(2)
    put(made, write_files(os.path.join(short_tmp, "source"), {"one": os.urandom(9_000)}), "first")
    made.stop()
    engine = Engine(made.config)
    engine.start()
    try:
        opened: OpenStore = engine.store
        counts: list[tuple[int, int]] = []

        def work(job: Job) -> dict[str, object]:
            (shard,) = opened.shards.state.shards.values()
            disk = opened.disks.online()[0]
            os.unlink(
                os.path.join(disk.path, "shards", shard.shard_id[:2], f"{shard.shard_id}.shard")
            )
            # It lives: that its file is not there is a problem.
            counts.append(_verify_disk(opened, disk, [shard], job))
            with opened.lock:
                del opened.shards.state.shards[shard.shard_id]
            counts.append(_verify_disk(opened, disk, [shard], job))
            return {}

        with engine.reconciler.busy:
            job = engine.start_job("verify", "", work)
            assert job.finished.wait(60) and job.state == "done", job.error
        assert counts == [(0, 1), (0, 0)]
    finally:
        engine.stop()
