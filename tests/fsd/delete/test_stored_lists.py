"""A batch's list of files that somebody has stored as a file: a batch part stays a batch part."""

from __future__ import annotations

import os

import pytest
from purge_checks import compact, purge, quick_store, reindex, store_batch
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    key_of,
    read_object,
    settle,
    until,
)
from store_harness import Store

from fsd.engine.engine import Engine


def parts_of(store: Store, batch: str) -> list[bytes]:
    """Return the lists of files of a batch, as they are stored; the engine is off meanwhile."""
    store.stop()
    engine = Engine(store.config)
    engine.start()
    try:
        with engine.store.index.read() as reader:
            keys = reader.batch_parts(batch)
    finally:
        engine.stop()
    store.start()
    return [read_object(store, key.hex()) for key in keys]


@pytest.mark.fault
def test_a_batch_keeps_its_files_when_somebody_stored_the_list_of_them(store, short_tmp):
    made = quick_store(store, 3)
    files = {f"{n}": os.urandom(50 + n) for n in range(8)}
    store_batch(made, short_tmp, "generated", files, "generated")
    settle(made)
    lists = {f"list/{n}": data for n, data in enumerate(parts_of(made, "generated"))}
    store_batch(made, short_tmp, "raw", lists)
    settle(made)
    assert compact(made, 0.01)["compacted"] == 1
    until(lambda: made.client.compact_plan().waiting_shards == 0, "the old shard to go")
    assert not any("counts again" in one for one in made.client.health().last_errors)
    reindex(made)
    assert_batch(made, "generated", files)
    assert_batch(made, "raw", lists)
    purge(made, "raw")
    compact(made, 0.01)
    until(lambda: made.client.compact_plan().waiting_shards == 0, "the old shards to go")
    reindex(made)
    assert_batch(made, "generated", files)
    assert_clean(made)


@pytest.mark.fault
def test_a_shard_is_kept_for_the_list_of_files_alone(store, short_tmp):
    """As an older version, which looked at the content alone, gave it up."""
    made = quick_store(store, 3)
    files = {f"{n}": os.urandom(500 + n) for n in range(8)}
    store_batch(made, short_tmp, "generated", files, "generated")
    settle(made)
    lists = {f"list/{n}": data for n, data in enumerate(parts_of(made, "generated"))}
    shard_id = made.client.head(key_of(files["0"])).shard_id
    store_batch(made, short_tmp, "raw", {**files, **lists})
    settle(made)
    made.stop()
    engine = Engine(made.config)
    engine.start()
    try:
        shard = engine.store.shards.state.shards[shard_id]
        engine.store.catalog.append(("shard_vacate", {"shard": shard_id}))
        engine.store.behind = True
        engine.wake()
        until(lambda: not shard.vacated, "the shard to count again")
    finally:
        engine.stop()
    made.start()
    reindex(made)
    assert_batch(made, "generated", files)
    assert_readable(made, files)
    assert_clean(made)
