"""Bits flip in the index: no reader is told anything else, and who looks finds it.

`--crash-seed S` replays the flips, `--slow` makes many.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time

import pytest
from command import ROOT
from store_checks import (
    assert_batch,
    assert_clean,
    finish,
    keys_of,
    put,
    settle,
    until,
    write_manifest,
)
from store_harness import MIB, Store, write_files

from fsd.format.errors import CorruptError
from fsd.format.index_rows import pack_row
from fsd.repair.index_check import check_rows
from fsd.store.index import BatchRow, Index, ShardRow

FLIPS, FLIPS_SLOW = 60, 20_000
CHILD = os.path.join(ROOT, "tests", "kit", "store", "flip_child.py")
FILES = {f"{n % 3}/{n}": bytes([n]) * (500 + n) for n in range(40)}
TABLE_ROW_BYTES, TABLE_FLAG = 48, 2
"""LMDB's row of a table: the length of what it says of it, and what marks it as one."""
TEXT = "what a sidecar says"


@pytest.mark.fault
@pytest.mark.timeout(0)  # Its long form is long; each flip is looked at and done with.
def test_no_flipped_bit_of_an_index_is_told_or_stays_unseen(tmp_path, pytestconfig):
    seed = pytestconfig.getoption("--crash-seed") or str(time.time_ns())
    flips = FLIPS_SLOW if pytestconfig.getoption("--slow") else FLIPS
    command = [sys.executable, CHILD, str(tmp_path), seed, str(flips)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    words = [line.split(" ")[0] for line in lines]
    bad = [line for line in lines if line.split(" ")[0] not in ("same", "found", "killed")]
    assert not bad, f"--crash-seed {seed}: {bad}"
    assert words.count("found") > flips // 20, (seed, words)


def test_a_number_of_another_length_is_damage(tmp_path):
    """A flipped bit in LMDB's own length of a value or key makes it longer or shorter."""
    index = Index(str(tmp_path), 1)
    with index.write() as writer:
        writer.put_shard(ShardRow(1, "ab" * 16, "raw", ["d1"], True))
        writer.transaction.put(bytes.fromhex("ab" * 16), b"\0\0\1", db=writer.tables["shard_ids"])
        other = {"shard_id": "cd" * 16, "class_name": "raw", "disks": []}
        row = pack_row("shards", b"\0\0\2", other)
        writer.transaction.put(b"\0\0\2", row, db=writer.tables["shards"])
    with index.read() as reader, pytest.raises(CorruptError, match="its shard_ids; reindex it"):
        reader.shard_number("ab" * 16)
    with index.read() as reader, pytest.raises(CorruptError, match="its shards; reindex it"):
        list(reader.shards())
    assert check_rows(index)
    index.close()


def test_rows_of_an_earlier_version_have_no_checksum(tmp_path):
    index = Index(str(tmp_path), 1)
    row = BatchRow("first", "raw", 5)
    text = b'{"name": "first", "class_name": "raw", "created_ns": 5}'
    with index.write() as writer:
        table = writer.tables["batches"]
        writer.transaction.put(b"first", text, db=table)
        assert writer.batch("first") == row
        # Parts that were added without a mark: the next one marks them all.
        parts = writer.tables["batch_parts"]
        writer.transaction.put(b"first\0\0\0\0\0", b"a" * 32, db=parts)
        assert writer.batch_parts("first") == [b"a" * 32]
        assert writer.add_batch_part(row, 1, b"b" * 32)
        assert writer.batch_parts("first") == [b"a" * 32, b"b" * 32]
        writer.transaction.put(b"first\0\0\0\0\0", b"c" * 32, db=parts)
        with pytest.raises(CorruptError, match="batch_parts; reindex it"):
            writer.batch_parts("first")
        writer.delete_batch("first")
        assert writer.batch_parts("first") == []
    index.close()


@pytest.fixture
def filled(store, short_tmp: str) -> Store:
    """A store of two disks with a batch and a view that has a text."""
    made: Store = store(2, shard_size_bytes=MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "first")
    manifest = os.path.join(made.root, "m.jsonl")
    write_manifest(manifest, keys_of(FILES), {"note.txt": TEXT})
    finish(made, made.client.export_to_3d(manifest, "set", "plain", mode="view").job_id)
    settle(made)
    return made


def index_folder(store: Store) -> str:
    with open(os.path.join(store.config.index_root, "CURRENT"), encoding="ascii") as file:
        return os.path.join(store.config.index_root, file.read().strip())


def flip_text(path: str, text: bytes) -> None:
    """Flip one bit of the last byte of a text wherever it stands in a file."""
    with open(path, "r+b") as file:
        data = file.read()
        assert text in data
        place = data.find(text)
        while place >= 0:
            file.seek(place + len(text) - 1)
            file.write(bytes([text[-1] ^ 1]))
            place = data.find(text, place + 1)
        file.flush()
        os.fsync(file.fileno())


def rename_table(path: str, name: bytes) -> None:
    """Flip one bit of a table's name, in the page of the names (each name is a key of it)."""
    other = name[:-1] + bytes([name[-1] ^ 1])
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        head = struct.pack("<HHHH", TABLE_ROW_BYTES, 0, TABLE_FLAG, len(name))
        assert head + name in data
        file.seek(0)
        file.write(data.replace(head + name, head + other))
        file.flush()
        os.fsync(file.fileno())


def scrub(store: Store, state: str) -> str:
    job_id = store.client.scrub().job_id
    finish(store, job_id, state)
    return "\n".join(line["reason"] for line in store.client.report(job_id))


def fsck(store: Store) -> str:
    job_id = store.client.fsck().job_id
    finish(store, job_id, "incomplete")
    return "\n".join(line["reason"] for line in store.client.report(job_id))


def test_a_damaged_listing_of_a_batch_is_found_by_fsck(filled):
    trees = os.path.join(index_folder(filled), "trees")
    for name in os.listdir(trees):
        flip_text(os.path.join(trees, name), b"note.txt" if name.startswith("view-") else b"39")
    assert "the checksum of its content is wrong" in fsck(filled)


def is_damaged(store: Store) -> bool:
    return any(one.code == "index-damaged" for one in store.client.warnings())


@pytest.mark.fault
def test_a_damaged_row_is_never_told_found_by_a_scrub_and_gone_with_a_reindex(filled):
    flip_text(f"{index_folder(filled)}/data.mdb", f'"files": {len(FILES)}'.encode())
    with pytest.raises(CorruptError, match="row 'first' of its batches; reindex it"):
        filled.client.batches()
    assert filled.client.health().batches == 1
    assert [disk.state for disk in filled.client.disks()] == ["online", "online"]
    assert "row 'first' of its batches; reindex it" in fsck(filled)
    assert "row 'first' of its batches; reindex it" in scrub(filled, "incomplete")
    assert is_damaged(filled)
    finish(filled, filled.client.reindex().job_id)
    assert not is_damaged(filled)
    assert scrub(filled, "done") == ""
    (batch,) = filled.client.batches()
    assert batch.files == len(FILES)
    assert_batch(filled, "first", FILES)


def test_a_damaged_row_of_a_shard_is_warned_of_and_all_else_is_told(filled):
    before = filled.client.health()
    flip_text(f"{index_folder(filled)}/data.mdb", b'"class_name": "raw')
    health = filled.client.health()
    (notice,) = [one for one in health.warnings if one.code == "index-damaged"]
    assert "drystone reindex" in notice.advice
    assert (health.objects, health.views) == (before.objects, before.views)
    assert sum(disk.shards for disk in filled.client.disks()) < before.shards * 2
    assert filled.client.capacity().objects == before.objects
    assert "drystone_disk_shards" in filled.client.metrics()
    finish(filled, filled.client.reindex().job_id)
    assert not is_damaged(filled)
    assert [disk.shards for disk in filled.client.disks()] == [disk.shards for disk in before.disks]


@pytest.mark.fault
def test_an_index_with_a_damaged_row_is_made_anew_at_the_start(filled):
    filled.stop()
    flip_text(f"{index_folder(filled)}/data.mdb", b'"view_id": "set')
    filled.start()
    told = "\n".join(filled.client.health().last_errors)
    assert "row 'exports/set/plain' of its views; reindex it; it is made anew" in told
    assert [view.name for view in filled.client.views()] == ["exports/set/plain"]
    assert_batch(filled, "first", FILES)
    assert_clean(filled)


@pytest.mark.fault
@pytest.mark.parametrize("table", [b"objects", b"views", b"meta"])
def test_an_index_that_lost_a_table_is_made_anew_at_the_start(filled, table):
    """Its name is damaged; what was in it must not be taken for what was never there."""
    filled.stop()
    rename_table(f"{index_folder(filled)}/data.mdb", table)
    filled.start()
    assert "it lost a table" in "\n".join(filled.client.health().last_errors)
    assert [view.name for view in filled.client.views()] == ["exports/set/plain"]
    assert_batch(filled, "first", FILES)
    assert_clean(filled)


@pytest.mark.fault
def test_a_damaged_row_of_a_disk_is_written_again(filled):
    flip_text(f"{index_folder(filled)}/data.mdb", b'"state": "online')
    until(lambda: "written again" in str(filled.client.health().last_errors), "the rows of disks")
    assert scrub(filled, "done") == ""


@pytest.mark.fault
def test_a_damaged_listing_is_never_shown_and_made_again_after_a_scrub(filled):
    trees = os.path.join(index_folder(filled), "trees")
    (name,) = [name for name in os.listdir(trees) if name.startswith("view-")]
    flip_text(os.path.join(trees, name), TEXT.encode())
    note = os.path.join(filled.mount(), "exports/set/plain/note.txt")
    with pytest.raises(OSError, match="Input/output error"), open(note, encoding="ascii") as file:
        file.read()
    assert "the checksum of its content is wrong" in scrub(filled, "incomplete")
    until(lambda: any(one.startswith("view-") for one in os.listdir(trees)), "the listing")
    until(lambda: os.path.exists(note), "the mount to see it")
    with open(note, encoding="ascii") as file:
        assert file.read() == TEXT
    assert scrub(filled, "done") == ""
