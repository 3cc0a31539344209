"""Shards that no replica has whole: what is sound is moved, and what is lost is named."""

from __future__ import annotations

import os
import shutil

import pytest
from engine_processes import kill_engine
from store_checks import assert_clean, assert_readable, damage, finish, keys_of, put
from store_harness import Store, write_files

from fsd.errors import FsdError
from fsd.layout import shard_path

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
    # The lost file is written again by the same put, and then nothing is wrong any more.
    source = os.path.join(os.path.dirname(filled.root), "again")
    put(filled, write_files(source, FILES), "second")
    assert_readable(filled, FILES)
    assert_clean(filled)


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
