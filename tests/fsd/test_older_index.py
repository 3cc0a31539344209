"""An index that is older than the drop of a shard: what has another record stays known by it."""

from __future__ import annotations

import os
import shutil

from store_checks import assert_batch, key_of, put, read_object, settle
from store_harness import Store, write_files

from fsd import purge_place
from fsd.engine import Engine

FILES = {f"{number}": os.urandom(9_000 + number) for number in range(20)}


def test_what_was_in_a_dropped_shard_is_found_in_the_other_that_has_it(
    store, short_tmp: str, monkeypatch
):
    made: Store = store(2)
    source = write_files(os.path.join(short_tmp, "source"), FILES)
    for class_name in ("generated", "raw"):
        job = made.client.batch_write(source, class_name, class_name)
        assert made.client.wait(job.job_id).state == "done"
    # The contents are in two shards each: the raw one is their place, the other one is a spare.
    settle(made)
    heads = {made.client.head(key_of(data)).shard_id for data in FILES.values()}
    made.stop()
    older = os.path.join(short_tmp, "older")
    shutil.copytree(made.config.index_root, older)
    engine = Engine(made.config)
    engine.start()
    try:
        for shard_id in heads:
            entry = {"shard": shard_id}
            engine.store.catalog.append(("shard_vacate", entry), ("shard_drop", entry))
    finally:
        engine.stop()
    shutil.rmtree(made.config.index_root)
    shutil.copytree(older, made.config.index_root)
    monkeypatch.setattr(purge_place, "PIECE_RECORDS", 3)
    engine = Engine(made.config)
    engine.start()
    engine.stop()
    made.start()
    assert_batch(made, "generated", FILES)
    for data in FILES.values():
        head = made.client.head(key_of(data))
        assert head.shard_id not in heads and read_object(made, key_of(data)) == data
    put(made, source, "again")
    assert_batch(made, "again", FILES)
