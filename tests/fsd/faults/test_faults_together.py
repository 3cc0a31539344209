"""Faults that meet: a second one while the first is being dealt with costs nothing acknowledged."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
import xxhash
from store_checks import (
    damage,
    disk,
    key_of,
    keys_of,
    put,
    read_object,
    settle,
    until,
)
from store_harness import MIB, Store, with_settings, write_files

from base.errors import DrystoneError
from fsd.delete.purge import purge
from fsd.disk_io.reading.scan import scan_shard
from fsd.documents.models import BatchWriteRequest, RebuildRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.format.catalog import pack_frame, unpack_frames
from fsd.format.errors import DiskError
from fsd.format.layout import CATALOG_NAME, shard_path
from fsd.format.record import (
    RECORD_HEADER_BYTES,
    TRAILER_BYTES,
    Trailer,
    block_checksums,
    iterate_entries,
    pack_footer,
    pack_trailer,
    payload_offset,
)
from fsd.replicas.copy_plan import Need, Planned
from fsd.replicas.shard_copy import PIECE_BYTES_MAX
from fsd.store.job import Job

FILES = {f"{n % 3}/{n}": os.urandom(2000 + 911 * n) for n in range(60)}


@pytest.fixture
def engine_of() -> Iterator[object]:
    """A function that runs the engine of a store in this process, until its `stop` is called."""
    running: list[Engine] = []

    def run(store: Store) -> Engine:
        store.stop()
        running.append(Engine(store.config))
        running[-1].start()
        return running[-1]

    def stop() -> None:
        while running:
            running.pop().stop()

    run.stop = stop
    yield run
    stop()


def end(job: Job) -> Job:
    assert job.finished.wait(120)
    return job


def put_in(engine: Engine, folder: str, batch: str = "first") -> None:
    request = BatchWriteRequest(folder=folder, batch=batch, class_name="raw")
    assert end(engine.batch_write(request)).state == "done"


def unreadable(store: Store) -> list[str]:
    """Return the paths whose bytes do not come back."""
    lost: list[str] = []
    for path, data in FILES.items():
        try:
            assert read_object(store, key_of(data)) == data
        except DrystoneError:
            lost.append(path)
    return lost


def scan_of(path: str, shard_id: str):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return scan_shard(descriptor, bytes.fromhex(shard_id), whole=True)
    finally:
        os.close(descriptor)


@pytest.mark.fault
def test_a_disk_that_returns_twice_lacks_no_entry(store, engine_of):
    engine = engine_of(store(3))
    one = list(engine.store.disks.disks.values())[2]
    engine.store.disks.lose(one, "cable")
    one.look_again_at = 0.0
    until(lambda: one.state == "online", "the disk to be back")
    engine.store.disks.lose(one, "cable")
    one.look_again_at = 0.0
    appended = 0
    while one.state != "online":  # Before its new process has attached it, and after.
        engine.store.catalog.append(("manifest_unpin", {"name": f"x{appended}"}))
        appended += 1
    assert appended
    assert not os.path.exists(f"/{CATALOG_NAME}")
    assert engine.store.catalog.lacking(one) == 0


@pytest.mark.fault
def test_a_disk_that_is_declared_gone_before_a_seal_is_told_stays_gone(store, engine_of, short_tmp):
    engine = engine_of(store(3))
    files = {f"{n}": os.urandom(900_000) for n in range(3)}
    put_in(engine, write_files(os.path.join(short_tmp, "src"), files))
    shard = engine.shard_writer.lease("raw", 1000)
    shard.capacity_bytes = shard.length_bytes + 1000  # As if the last group had filled it.
    engine.shard_writer.release(shard)
    gone = shard.disks[0]
    assert end(engine.rebuild(RebuildRequest(disk=gone.name))).state == "done"
    engine.seal_and_project()
    holders = [one.disks for one in engine.store.shards.state.shards.values()]
    assert all(gone.disk_id not in disks for disks in holders)


@pytest.mark.fault
def test_a_footer_that_one_disk_cannot_bear_out_waits_for_the_other(store, short_tmp):
    """Killed before the catalog heard of the seal; then a bad sector, and the other disk away."""
    made = store(2)
    put(made, write_files(os.path.join(short_tmp, "src"), FILES), "first")
    shard_id = made.client.head(keys_of(FILES)["0/0"]).shard_id
    made.stop()
    for folder in made.disks:
        path = os.path.join(folder, CATALOG_NAME)
        with open(path, "rb") as file:
            kept = [entry for entry in unpack_frames(file.read()) if entry.kind != "shard_seal"]
        with open(path, "wb") as file:
            file.writelines(map(pack_frame, kept))
    first = shard_path(made.disks[0], shard_id)
    damage(first, scan_of(first, shard_id).footer.data_end - 64, 32)  # The last group's trailer.
    away = made.disks[1] + ".away"
    os.rename(made.disks[1], away)
    os.mkdir(made.disks[1])
    made.start()
    until(lambda: disk(made, 1).state == "missing", "the disk to be missed")
    made.stop()
    os.rmdir(made.disks[1])
    os.rename(away, made.disks[1])
    made.start()
    until(lambda: disk(made, 1).state == "online", "the disk to be back")
    settle(made)
    assert unreadable(made) == []


@pytest.mark.fault
def test_reconstruction_writes_no_replica_of_a_record_that_never_was_right(store, short_tmp):
    """A bit flipped in memory before any checksum was made: digests hold, the key does not."""
    made = store(2, started=False)
    made.config = with_settings(made.root, scrub_rate_bytes_per_s=0)
    made.start()
    put(made, write_files(os.path.join(short_tmp, "src"), FILES), "first")
    settle(made)
    shard_id = made.client.head(keys_of(FILES)["0/0"]).shard_id
    made.stop()
    paths = [shard_path(folder, shard_id) for folder in made.disks]
    scan = scan_of(paths[0], shard_id)
    entries = sorted(iterate_entries(scan.entries), key=lambda entry: entry.offset)
    with open(paths[0], "rb") as file:
        data = bytearray(file.read())
    wrong = entries[10]
    at = wrong.offset + payload_offset(wrong.length_bytes)
    data[at + 5] ^= 1
    payload = memoryview(bytes(data[at : at + wrong.length_bytes]))
    data[wrong.offset + RECORD_HEADER_BYTES : at] = block_checksums(payload)
    digests = []
    own = bytes.fromhex(shard_id)
    for group in scan.groups:
        stop = group.offset + group.length_bytes - TRAILER_BYTES
        digests.append(xxhash.xxh3_128_digest(bytes(data[group.offset : stop])))
        numbers = (group.number, group.record_count, group.length_bytes, digests[-1])
        data[stop : stop + TRAILER_BYTES] = pack_trailer(Trailer(own, *numbers))
    data[scan.footer.data_end :] = pack_footer(own, entries, scan.footer.data_end, digests)
    for path in paths:
        with open(path, "wb") as file:
            file.write(data)
    for path, entry in zip(paths, (entries[3], entries[-3]), strict=True):
        damage(path, entry.offset + payload_offset(entry.length_bytes) + 4, 8)
    made.start()
    assert len(unreadable(made)) == 1
    made.client.wait(made.client.verify().job_id)
    until(lambda: any(w.code == "damaged" for w in made.client.warnings()), "the loss to be told")
    assert len(unreadable(made)) == 1
    for path in paths:
        with open(path, "rb") as file:
            assert file.read(1 << 16) != bytes(1 << 16)


@pytest.mark.fault
def test_a_rotten_source_costs_the_target_nothing(store, engine_of, short_tmp):
    """However much other copies have asked of the target before."""
    engine = engine_of(store(3, shard_size_bytes=32 * MIB))
    files = {f"{n}": os.urandom(3_000_000) for n in range(9)}
    put_in(engine, write_files(os.path.join(short_tmp, "src"), files))
    engine.seal_and_project()
    disks, shards = engine.store.disks.disks, engine.store.shards.state.shards
    shard = max(shards.values(), key=lambda one: one.length_bytes)
    rotten = disks[shard.disks[0]]
    target = next(one for one in disks.values() if one.disk_id not in shard.disks)
    damage(shard_path(rotten.path, shard.shard_id), shard.length_bytes // 2)
    slot, other, done = engine.store.pool.acquire(), "a" * 32, threading.Event()
    target.call("copy_create", other, 64 * PIECE_BYTES_MAX)

    def keep_busy() -> None:
        out, number = [], 0
        while not done.is_set():
            out = [future for future in out if not future.done()]
            while len(out) < 6:
                place = (number % 60) * PIECE_BYTES_MAX
                arguments = (other, place, slot.number, PIECE_BYTES_MAX)
                out.append(target.request("copy_write", *arguments, slots=(slot,), priority=2))
                out.append(target.request("copy_prove", other, PIECE_BYTES_MAX, priority=2))
                number += 1
            time.sleep(0.002)
        for future in out:
            future.exception()

    busy = threading.Thread(target=keep_busy)
    busy.start()
    need = Need(shard.shard_id, shard.length_bytes, 2, [rotten.disk_id], [target.disk_id])
    wished = Planned(need, rotten.disk_id, target.disk_id)
    try:
        with engine.replicator.claim(shard.shard_id) as known:
            engine.replicator.copy(known, None, target=target, wished=wished)
    finally:
        done.set()
        busy.join()
        engine.store.pool.release(slot)
    assert (target.state, target.reason) == ("online", "")


def test_a_purge_that_was_not_committed_leaves_all_in_place(store, engine_of, short_tmp):
    """Though the shard was being written by another put when the index forgot its records."""
    made = store(2)
    engine = engine_of(made)
    put_in(engine, write_files(os.path.join(short_tmp, "src"), FILES))
    shard = engine.shard_writer.lease("raw", 4096)
    assert shard.next_sequence
    append = engine.store.catalog.append

    def refuse_commits(*items, everywhere=False):
        if items and items[0][0] == "purge_commit":
            raise DiskError("only 0 disks took a catalog entry")
        append(*items, everywhere=everywhere)

    engine.store.catalog.append = refuse_commits
    assert end(purge(engine.dropper, PurgeRequest(batch="first"))).state == "failed"
    engine.store.catalog.append = append
    engine.shard_writer.release(shard)
    engine_of.stop()
    made.start()
    settle(made)
    assert unreadable(made) == []
