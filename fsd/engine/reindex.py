"""Reindex: it owns making the index anew from the shards, and going back to the one before.

    begin    an empty generation takes the place of the open one
    fill     every sealed shard by its footer, one after the other
    list     the tree files of batches and views
    publish  CURRENT moves, the generation before goes

CURRENT names the generation before until all is there: whatever ends the engine, the next start
opens that one. A reindex that is cancelled or fails takes it up again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from fsd.format.errors import CorruptError
from fsd.repair.projection import (
    begin_generation,
    make_trees,
    project,
    publish_generation,
    take_up_generation,
    write_disk_rows,
)
from fsd.running.engine_core import EngineCore
from fsd.store.generation import current_generation
from fsd.store.job import Job

REINDEX = "reindex"


def reindex(engine: EngineCore, job: Job) -> dict[str, Any]:
    """Make a new index; `maintenance` is held. CancelledError with the one before in use again."""
    store = engine.store
    with suppress(CorruptError):  # Of the index that is to go.
        engine.shard_writer.seal_idle()
    former = begin_generation(store)
    try:
        job.phase = "reading footers"
        engine.open_shards.recover_all(at_once=True, job=job)
        shards = project(store, job)
        write_disk_rows(store)
        job.phase = "making listings"
        problems = make_trees(store, job)
        job.check()
        publish_generation(store, former)
    except BaseException:
        if current_generation(store.config.index_root) == store.index.generation:
            store.index_filled()
        elif former is not None:
            take_up_generation(store, former)
        raise
    with store.index.read() as reader:
        objects = reader.object_count()
    result = {"shards": shards, "objects": objects, "problems": problems}
    return {**result, "incomplete": bool(problems)}
