"""What a crash leaves between a shard's entry in the catalog and its seal, and what it becomes."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest
from engine_processes import kill_engine
from store_checks import assert_batch, assert_clean, assert_readable, damage, keys_of, put
from store_harness import MIB, Store, write_files

from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogEntry, pack_frame, unpack_frames
from fsd.format.layout import CATALOG_NAME, shard_path

FILES = {f"f{number % 3}/{number}": os.urandom(2000 + number) for number in range(40)}
WAIT_S_MAX = 60.0


@pytest.fixture
def source(short_tmp: str) -> str:
    return write_files(os.path.join(short_tmp, "source"), FILES)


def replicas(under_test: Store, shard_id: str) -> list[str]:
    paths = (shard_path(disk, shard_id) for disk in under_test.disks)
    return [path for path in paths if os.path.exists(path)]


def forget_entries(under_test: Store, kind: str) -> None:
    """Take the entries of one kind out of all catalogs, as if they had not been written yet."""
    for disk in under_test.disks:
        path = os.path.join(disk, CATALOG_NAME)
        with open(path, "rb") as file:
            kept = [entry for entry in unpack_frames(file.read()) if entry.kind != kind]
        with open(path, "wb") as file:
            file.writelines(map(pack_frame, kept))


def test_a_shard_without_files_is_forgotten(store, source: str):
    under_test = store()
    under_test.stop()
    engine = Engine(under_test.config)
    engine.start()
    shard = engine.shard_writer.create("raw", MIB, large=False)
    assert shard.shard_id in engine.store.shards.state.shards
    engine.stop()  # Nobody gave it back: it stays open in the catalog.
    assert replicas(under_test, shard.shard_id) == []
    under_test.start()
    assert under_test.client.health().state == "ok"
    put(under_test, source, "first")
    assert_clean(under_test)
    under_test.stop()
    again = Engine(under_test.config)
    again.start()
    assert shard.shard_id not in again.store.shards.state.shards
    again.stop()


def test_an_acknowledged_shard_whose_files_are_gone_is_not_forgotten(store, source: str):
    under_test = store()
    put(under_test, source, "first")
    key = keys_of(FILES)["f0/0"]
    shard_id = under_test.client.head(key).shard_id
    kill_engine(under_test.config, group=True)
    for path in replicas(under_test, shard_id):
        os.unlink(path)
    under_test.start()
    head = under_test.client.head(key)
    assert (head.shard_id, head.copies) == (shard_id, 0)


def test_a_torn_group_on_one_disk_and_no_file_on_the_other_is_salvaged(store, source: str):
    """As a power cut leaves the first group: nothing is waited for, what is sound is moved."""
    under_test = store(2)
    put(under_test, source, "first")
    keys, victim = keys_of(FILES), "f1/7"
    head = under_test.client.head(keys[victim])
    kill_engine(under_test.config, group=True)
    one, other = replicas(under_test, head.shard_id)
    os.unlink(other)
    damage(one, head.offset + 200)
    under_test.start()
    assert_readable(under_test, {p: data for p, data in FILES.items() if p != victim})
    put(under_test, source, "second")
    assert_batch(under_test, "second", FILES)
    assert_clean(under_test)


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_footer_behind_a_torn_group_is_not_believed(store, source: str, damaged: int):
    under_test = store(2)
    put(under_test, source, "first")
    keys, victim = keys_of(FILES), "f1/7"
    head = under_test.client.head(keys[victim])
    under_test.stop()  # Both replicas are sealed,
    forget_entries(under_test, "shard_seal")  # and the catalog does not know it yet.
    shutil.rmtree(under_test.config.index_root)
    for path in replicas(under_test, head.shard_id)[:damaged]:
        damage(path, head.offset + 200)
    under_test.start()
    if damaged == 2:
        assert_readable(under_test, {p: data for p, data in FILES.items() if p != victim})
        put(under_test, source, "second")
    else:
        assert_readable(under_test, FILES)
        assert_batch(under_test, "first", FILES)
    assert_clean(under_test)


def test_replicas_with_different_footers_become_one(store, source: str, short_tmp: str):
    """A disk that failed under the last group may have it with a footer, the other one without."""
    under_test = store(2)
    put(under_test, source, "first")
    shard_id = under_test.client.head(keys_of(FILES)["f0/0"]).shard_id
    kill_engine(under_test.config, group=True)
    one, other = replicas(under_test, shard_id)
    under_test.start()
    under_test.stop()
    sealed = os.path.join(short_tmp, "sealed")
    shutil.copyfile(one, sealed)
    assert os.path.getsize(sealed) == os.path.getsize(other)
    forget_entries(under_test, "shard_seal")
    longer_by_a_group(other, shard_id)
    under_test.start()
    assert_batch(under_test, "first", FILES)
    assert_clean(under_test)
    with open(one, "rb") as first, open(other, "rb") as second:
        assert first.read() == second.read()


def longer_by_a_group(path: str, shard_id: str) -> None:
    """Put another group, and the footer of both, in the place of a replica's footer."""
    from fsd.disk_io.reading.scan import scan_shard
    from fsd.format.group import GroupWriter
    from fsd.format.record import pack_footer_of

    with open(path, "r+b") as file:
        found = scan_shard(file.fileno(), bytes.fromhex(shard_id), whole=True)
        assert found.footer is not None
        end, groups = found.footer.data_end, found.groups
        view = memoryview(bytearray(MIB))
        count = sum(group.record_count for group in groups)
        group = GroupWriter(view, MIB, bytes.fromhex(shard_id), len(groups), count)
        group.add(bytes(32), b"x")
        length, digest = group.close()
        digests = [*(one.digest for one in groups), digest]
        entries = b"".join(one.entries for one in groups)
        footer = pack_footer_of(bytes.fromhex(shard_id), entries, end + length, digests)
        file.seek(end)
        file.write(bytes(view[:length]) + footer)
        file.truncate()


def test_entries_of_one_moment_go_to_the_disks_together(store, monkeypatch):
    under_test = store(2)
    under_test.stop()
    engine = Engine(under_test.config)
    engine.start()
    catalog = engine.store.catalog
    sent: list[list[CatalogEntry]] = []
    real, count = catalog._send, 8

    def send(disks, frames):
        deadline = time.monotonic() + WAIT_S_MAX
        while not sent and len(catalog._waiting) < count - 1:
            assert time.monotonic() < deadline
        sent.append(list(unpack_frames(frames)))
        return real(disks, frames)

    monkeypatch.setattr(catalog, "_send", send)
    names = [f"pin{number}" for number in range(count)]
    threads = [threading.Thread(target=_pin, args=(engine, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S_MAX)
    assert [len(entries) for entries in sent] == [1, count - 1]
    assert sorted(engine.store.shards.state.pins) == names
    for disk in engine.store.disks.online():
        assert engine.store.catalog.lacking(disk) == 0
    engine.stop()
    again = Engine(under_test.config)
    again.start()
    assert sorted(again.store.shards.state.pins) == names
    again.stop()


def test_a_returning_disk_misses_no_entry(store):
    """What is appended between its catching up and its being online goes to it too."""
    under_test = store(3)
    under_test.stop()
    engine = Engine(under_test.config)
    engine.start()
    disks = engine.store.disks
    disk, back = disks.online()[0], threading.Event()
    real = disks.on_return

    def welcome(returning, writable):
        real(returning, writable)
        assert returning.state == "missing"
        _pin(engine, "meanwhile")
        back.set()

    disks.on_return = welcome
    disks.lose(disk, "the test says so")
    assert back.wait(WAIT_S_MAX)
    assert engine.store.catalog.lacking(disk) == 0
    _pin(engine, "later")
    assert engine.store.catalog.lacking(disk) == 0
    engine.stop()


def _pin(engine: Engine, name: str) -> None:
    engine.store.catalog.append(
        ("manifest_pin", {"name": name, "manifest": "0" * 64, "time_ns": 1})
    )


def test_a_full_shard_costs_one_catalog_append(store, short_tmp: str, monkeypatch):
    """Its seal goes with the entry of the next shard; what waits is written when the batch ends."""
    under_test = store(2, shard_size_bytes=2 * MIB)
    under_test.stop()
    files = {str(number): os.urandom(60_000) for number in range(300)}
    folder = write_files(os.path.join(short_tmp, "many"), files)
    engine = Engine(under_test.config)
    engine.start()
    sent: list[int] = []
    real = engine.store.catalog._send

    def send(disks, frames):
        sent.append(len(list(unpack_frames(frames))))
        return real(disks, frames)

    monkeypatch.setattr(engine.store.catalog, "_send", send)
    put_here(engine, folder)
    shards = len(engine.store.shards.state.shards)
    assert shards > 6
    # One for each shard, and those of the batch and of the end.
    assert len(sent) <= shards + 4, sent
    engine.stop()
    under_test.start()
    assert_clean(under_test)


def put_here(engine: Engine, folder: str) -> None:
    from fsd.documents.models import BatchWriteRequest

    job = engine.batch_write(BatchWriteRequest(folder=folder, batch="b", class_name="raw"))
    job.finished.wait()
    assert job.state == "done", job.error
