"""An engine that kills itself: `barrier_child.py CONFIG VERB BATCH BARRIER`, for the crash tests.

It runs one purge (of a batch, or of keys with commas between them) or compaction, and what is
dropped after it, or finds what is damaged, or revives a shard that was given up wrongly, or makes a
checkpoint of the catalog, and ends by SIGKILL when the named barrier is passed.
It prints `done` when that never happens.
"""

from __future__ import annotations

import os
import signal
import sys

from fsd.delete import compact, purge
from fsd.delete.compact_plan import vacated_shards
from fsd.disks.config import load_config
from fsd.documents.models import RebuildRequest, VerifyRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.repair.recover import project_shard


def give_up(engine: Engine, batch: str) -> None:
    """Vacate the shard of a batch, as the catalog of a disk may say that comes back."""
    with engine.maintenance:
        with engine.store.index.read() as reader:
            place = reader.locate(reader.batch_parts(batch)[0])
        assert place is not None
        shard = engine.store.shard_of(place)
        engine.store.catalog.append(("shard_vacate", {"shard": shard.shard_id}))
        project_shard(engine.store, shard)


def main(config: str, verb: str, batch: str, barrier: str) -> None:
    def passed(name: str) -> None:
        if name == barrier:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = Engine(load_config(config))
    engine.start()
    engine.on_barrier = engine.replicator.reconstructor.on_barrier = passed
    engine.store.catalog.on_barrier = passed
    if verb == "checkpoint":
        engine.store.catalog.checkpoint()
        passed("done")
    if verb == "reconstruct":
        job = engine.verify(VerifyRequest())
        job.finished.wait()
        job = engine.rebuild(RebuildRequest())
    elif verb == "revive":
        give_up(engine, batch)
        job = engine.rebuild(RebuildRequest())
    elif verb == "purge-keys":
        job = purge.purge(engine.dropper, PurgeRequest(keys=tuple(batch.split(","))))
    elif verb == "purge":
        job = purge.purge(engine.dropper, PurgeRequest(batch=batch))
    else:
        job = compact.compact(engine.dropper, 0.01)
    job.finished.wait()
    assert job.state == "done", (job.state, job.error)
    while vacated_shards(engine.store):
        engine.dropper.tick()
    print("done")
    engine.stop()


main(*sys.argv[1:])
