"""An index that is older than the drop of a shard: what has another record stays known by it."""

from __future__ import annotations

import os
import shutil

import pytest
from store_checks import assert_batch, key_of, put, read_object, settle
from store_harness import Store, write_files

from fsd import purge_place
from fsd.engine import Engine

FILES = {f"{number}": os.urandom(9_000 + number) for number in range(20)}


@pytest.mark.parametrize("dropped", ["raw", "generated"])
def test_what_was_in_a_dropped_shard_is_found_in_the_other_that_has_it(
    store, short_tmp: str, monkeypatch, dropped: str
):
    made: Store = store(2)
    source = write_files(os.path.join(short_tmp, "source"), FILES)
    for class_name in ("generated", "raw"):
        job = made.client.batch_write(source, class_name, class_name)
        assert made.client.wait(job.job_id).state == "done"
    # The contents are in two shards each: the raw one is their place, the other one is a spare.
    settle(made)
    made.stop()
    older = os.path.join(short_tmp, "older")
    shutil.copytree(made.config.index_root, older)
    engine = Engine(made.config)
    engine.start()
    try:
        shards = engine.store.shards.state.shards.values()
        gone = {shard.shard_id for shard in shards if shard.class_name == dropped}
        numbers = {engine.store.shards.numbers[shard_id] for shard_id in gone}
        for shard_id in gone:
            entry = {"shard": shard_id}
            engine.store.catalog.append(("shard_vacate", entry), ("shard_drop", entry))
    finally:
        engine.stop()
    shutil.rmtree(made.config.index_root)
    shutil.copytree(older, made.config.index_root)
    monkeypatch.setattr(purge_place, "PIECE_RECORDS", 3)
    engine = Engine(made.config)
    engine.start()
    try:
        with engine.store.index.read() as reader:
            places = [*reader.keys(), *reader.all_spares()]
    finally:
        engine.stop()
    assert not [key for key, location in places if location.shard_number in numbers]
    found = {key.hex() for key, _ in places}
    assert found >= {key_of(data) for data in FILES.values()}
    made.start()
    # Parts of the batch lay in its shards alone.
    other = "generated" if dropped == "raw" else "raw"
    assert_batch(made, other, FILES)
    for data in FILES.values():
        head = made.client.head(key_of(data))
        assert head.shard_id not in gone and read_object(made, key_of(data)) == data
    put(made, source, "again")
    assert_batch(made, "again", FILES)
