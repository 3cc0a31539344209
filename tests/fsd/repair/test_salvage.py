"""Shards that no replica has whole: what is sound is moved, and what is lost is named."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from engine_processes import kill_engine
from purge_checks import batches, bring_back, crash, files_of, quick_store, store_batch, take_away
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    damage,
    finish,
    is_recovered,
    keys_of,
    put,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, write_files

from base.errors import DrystoneError
from fsd.disks.config import load_config
from fsd.format.layout import shard_path
from fsd.format.record import RECORD_HEADER_BYTES, payload_offset

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


def looked_for(store: Store) -> list[str]:
    """Return the states of the jobs that compared the index with all shards."""
    return [job.state for job in store.client.jobs() if job.kind == "index repair"]


@pytest.mark.fault
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
    with pytest.raises(DrystoneError):
        filled.client.read(keys[victim], os.path.join(filled.root, "lost"))
    # Looked for once in all shards, and not again for each who asks.
    until(lambda: looked_for(filled) == ["done"], "the look at the index")
    for _ in range(2):
        with pytest.raises(DrystoneError):
            filled.client.read(keys[victim], os.path.join(filled.root, "lost"))
    finish(filled, filled.client.verify().job_id)
    assert looked_for(filled) == ["done"]
    assert "index-damaged" not in [one.code for one in filled.client.warnings()]
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


@pytest.mark.fault
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


@pytest.mark.fault
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


def make_groups(store: Store, size_bytes: int) -> None:
    """Let groups have another size from the next start on."""
    with open(store.config_path, encoding="utf-8") as file:
        text = re.sub(r"group_size_bytes = \d+", f"group_size_bytes = {size_bytes}", file.read())
    with open(store.config_path, "w", encoding="utf-8") as file:
        file.write(text)
    store.config = load_config(store.config_path)


@pytest.mark.fault
def test_a_record_that_is_larger_than_a_group_may_be_now(store, short_tmp: str):
    """It waits, and the store is there; then it is read in many windows and is what it was."""
    big, files = os.urandom(20 * MIB), {f"{n}": os.urandom(9000) for n in range(9)}
    made = store(2, shard_size_bytes=64 * MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), {**files, "big": big}), "first")
    key = keys_of({"big": big})["big"]
    offset, paths = made.client.head(key).offset, replica_paths(made, key)
    kill_engine(made.config, group=True)
    for number, path in enumerate(paths):
        damage(path, offset + 100_000 + number * 9 * MIB, 8)
    make_groups(made, MIB)
    made.start()
    until(lambda: is_recovered(made), "the open shards to be read")
    (notice,) = [one for one in made.client.warnings() if one.code == "open-shards"]
    wanted = re.search(r"set group_size_bytes = (\d+)", notice.message)
    assert wanted, notice
    assert_readable(made, files)
    made.stop()
    make_groups(made, int(wanted[1]))
    made.start()
    until(lambda: is_recovered(made), "the open shards to be recovered")
    assert_readable(made, {**files, "big": big})
    assert_clean(made)


@pytest.mark.fault
def test_what_a_purge_in_doubt_marks_is_not_left_behind(store, short_tmp: str):
    """Shards are waited for till it is known whether they were purged."""
    made = quick_store(store, 4)
    files = {name: files_of(name, 15, 20_000) for name in ("b1", "b2")}
    for name, content in files.items():
        store_batch(made, short_tmp, name, content)
    settle(made)
    crash(made, "purge", "b1", "begun", "kept")
    victim = next(path for disk in made.disks for path in shard_files(disk))
    name = os.path.basename(victim)
    replicas = [
        (number, path)
        for number, disk in enumerate(made.disks)
        for path in shard_files(disk)
        if os.path.basename(path) == name
    ]
    for _, path in replicas:
        damage(path, os.path.getsize(path) - 104)
    shutil.rmtree(made.config.index_root)
    (away, *_) = {0, 1, 2, 3} - {number for number, _ in replicas}
    take_away(made, away)
    made.start()
    bring_back(made, away)
    until(lambda: batches(made) == ["b1", "b2"], "the batch to be shown again")
    for name, content in files.items():
        assert_batch(made, name, content)
    assert_clean(made)
