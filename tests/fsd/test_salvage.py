"""Shards that no replica has whole: what is sound is moved, and what is lost is named."""

from __future__ import annotations

import os
import shutil

import pytest
from engine_processes import kill_engine
from store_checks import assert_clean, assert_readable, damage, finish, keys_of, put
from store_harness import MIB, Store, write_files

from fsd.errors import FsdError
from fsd.layout import shard_path
from fsd.record import RECORD_HEADER_BYTES, payload_offset

FILES = {f"folder/{number}.bin": os.urandom(3000 + number) for number in range(60)}


def replica_paths(store: Store, key: str) -> list[str]:
    head = store.client.head(key)
    paths = {disk.name: disk.path for disk in store.config.disk}
    return [shard_path(paths[name], head.shard_id) for name in head.disks]


@pytest.fixture
def filled(store, short_tmp: str) -> Store:
    under_test = store()
    put(under_test, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    return under_test


def test_an_open_shard_with_a_hole_on_every_disk_is_salvaged(filled: Store):
    keys = keys_of(FILES)
    victim = "folder/7.bin"
    head = filled.client.head(keys[victim])
    paths = replica_paths(filled, keys[victim])
    kill_engine(filled.config, group=True)
    for path in paths:
        damage(path, head.offset + 200)
    filled.start()
    assert_readable(filled, {path: data for path, data in FILES.items() if path != victim})
    with pytest.raises(FsdError):
        filled.client.read(keys[victim], os.path.join(filled.root, "lost"))
    finish(filled, filled.client.verify().job_id)
    assert filled.client.health().rebuild_queue == 0
    assert filled.client.head(keys["folder/8.bin"]).copies == 2
    # Nobody who looks at shards meets it any more: the batch's listing knows its name, also later.
    for _ in range(2):
        job_id = filled.client.fsck().job_id
        finish(filled, job_id, "incomplete")
        (line,) = filled.client.report(job_id)
        assert (line["batch"], line["path"], line["key"]) == ("first", victim, keys[victim])
        filled.stop()
        filled.start()
        finish(filled, filled.client.reindex().job_id)
    # The lost file is written again by the same put, and then nothing is wrong any more.
    source = os.path.join(os.path.dirname(filled.root), "again")
    put(filled, write_files(source, FILES), "second")
    assert_readable(filled, FILES)
    assert_clean(filled)


def test_a_record_that_no_replica_has_whole_is_put_together(store, short_tmp: str):
    """Of an open shard, in which nothing can be healed by whole groups: nothing is lost."""
    files = {**FILES, "several": os.urandom(100_000), "many": os.urandom(3 * MIB)}
    made = store(2, shard_size_bytes=16 * MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    keys = keys_of(files)
    hits: dict[int, list[tuple[str, int]]] = {0: [], 1: []}
    for name, places in {"several": (0, 70_000), "many": (0, 2 * MIB)}.items():
        head = made.client.head(keys[name])
        begin = head.offset + payload_offset(head.size_bytes)
        for number, path in enumerate(replica_paths(made, keys[name])):
            hits[number].append((path, begin + places[number]))
    many = made.client.head(keys["many"])
    hits[1].append((replica_paths(made, keys["many"])[1], many.offset + RECORD_HEADER_BYTES + 40))
    kill_engine(made.config, group=True)
    for path, offset in (*hits[0], *hits[1]):
        damage(path, offset, 8)
    made.start()
    assert_readable(made, files)
    assert made.client.head(keys["many"]).shard_id != many.shard_id
    assert not [line for line in made.client.health().last_errors if "lost" in line]
    assert_clean(made)


def test_a_shard_whose_footers_are_all_damaged_is_indexed_from_its_groups(filled: Store):
    keys = keys_of(FILES)
    paths = replica_paths(filled, keys["folder/1.bin"])
    filled.stop()
    for path in paths:
        damage(path, os.path.getsize(path) - 104)
    shutil.rmtree(filled.config.index_root)
    filled.start()
    assert_readable(filled, FILES)
    assert {file.path for file in filled.client.batch_files("first")} == set(FILES)
    assert_clean(filled)
