"""Shards that are damaged on all their disks, in other places: made whole, byte for byte."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from command import ROOT
from purge_checks import compact, purge
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    damage,
    finish,
    is_recovered,
    key_of,
    put,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.disk_io.reading.scan import scan_shard
from fsd.format.record import (
    RECORD_HEADER_BYTES,
    TRAILER_BYTES,
    Entry,
    iterate_entries,
    payload_offset,
)
from fsd.format.rewrite import group_spans
from fsd.replicas.reconstruct import BARRIERS

CHILD = os.path.join(ROOT, "tests", "kit", "store", "barrier_child.py")
FILES = {f"{n % 3}/{n}": os.urandom(2000 + 911 * n) for n in range(60)}
FILES |= {"large/1": os.urandom(5 * MIB + 77), "empty": b""}
CUT_OFF = "cut off here"
Hit = tuple[int, int]
"""Where and how many bytes of a file are damaged."""


@dataclass
class Replicas:
    """A sealed shard as its disks have it, and as it was."""

    paths: list[str]
    sound: bytes
    entries: list[Entry]
    data_end: int

    def hit(self, number: int, *hits: Hit) -> None:
        for offset, length in hits:
            damage(self.paths[number], offset, length)

    def is_sound(self) -> bool:
        """Return whether all of its files are byte for byte as they were."""
        return all(read_file(path) == self.sound for path in self.paths)


def read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def replicas_of(disks: list[str]) -> dict[str, Replicas]:
    """Return every shard of these disks by its id."""
    found: dict[str, Replicas] = {}
    for path in (path for disk in disks for path in shard_files(disk)):
        name = os.path.basename(path).partition(".")[0]
        if name in found:
            found[name].paths.append(path)
            continue
        fd = os.open(path, os.O_RDONLY)
        try:
            scan = scan_shard(fd, bytes.fromhex(name))
        finally:
            os.close(fd)
        assert scan.footer is not None
        entries = sorted(iterate_entries(scan.entries), key=lambda entry: entry.offset)
        found[name] = Replicas([path], read_file(path), entries, scan.footer.data_end)
    return found


def filled_store(make: Any, folder: str, files: dict[str, bytes], disks: int, **options: Any):
    """Make a store all of whose shards are sealed and whole; nobody scrubs by himself."""
    made: Store = make(disks, started=False, **options)
    made.config = with_settings(made.root, grace_s=0, scrub_rate_bytes_per_s=0)
    made.start()
    put(made, write_files(os.path.join(folder, "source"), files), "first")
    settle(made)
    return made


@pytest.fixture
def filled(store, short_tmp: str) -> Store:
    return filled_store(store, short_tmp, FILES, 2)


def small(store: Store) -> Replicas:
    """Return the shard with the most objects."""
    return max(replicas_of(store.disks).values(), key=lambda one: len(one.entries))


def payload(entry: Entry, at: int = 10, length: int = 16) -> Hit:
    return entry.offset + payload_offset(entry.length_bytes) + at, length


def wait_whole(store: Store) -> None:
    """Wait until nothing is to be copied; fails at once when the engine gives a shard up."""

    def is_whole() -> bool:
        health = store.client.health()
        given_up = [one for one in health.warnings if one.code.startswith("damaged")]
        assert not given_up, given_up
        return health.rebuild_queue == 0

    until(lambda: is_recovered(store), "the open shards to be recovered")
    until(is_whole, "the shards to be whole")


def assert_reconstructed(store: Store, files: dict[str, bytes] = FILES) -> None:
    assert_readable(store, files)
    assert_clean(store)
    assert store.client.health().state == "ok"
    assert not {one.code for one in store.client.warnings()} & {"copies", "damaged", "lost"}
    assert_clean(store)


@pytest.mark.fault
def test_each_replica_is_damaged_in_another_record_and_in_another_piece(filled: Store):
    """A shard of many, and that of a large object with its table: all of it is readable, and heals.

    The same piece of 1 MiB is damaged in other blocks.
    """
    many = small(filled)
    many.hit(0, payload(many.entries[3]))
    many.hit(1, payload(many.entries[-4]))
    large = next(one for one in replicas_of(filled.disks).values() if len(one.entries) == 1)
    (entry,) = large.entries
    table = entry.offset + RECORD_HEADER_BYTES
    large.hit(0, payload(entry), payload(entry, 3 * MIB), (table + 8 * 20, 8))
    large.hit(1, payload(entry, 700_000), payload(entry, 5 * MIB), (table + 8 * 70, 8))
    finish(filled, filled.client.verify().job_id, "incomplete")
    wait_whole(filled)
    assert many.is_sound() and large.is_sound()
    assert any("put together" in line for line in filled.client.health().last_errors)
    assert_reconstructed(filled)


@pytest.mark.fault
def test_a_large_object_whose_blocks_are_all_sound_somewhere(filled: Store):
    """First the only table is damaged, the other replica cut off; then both footers are."""
    large = next(one for one in replicas_of(filled.disks).values() if len(one.entries) == 1)
    (entry,), footer = large.entries, (len(large.sound) - 50, 8)
    table = entry.offset + RECORD_HEADER_BYTES
    os.truncate(large.paths[0], 4096)
    large.hit(1, (table + 8 * 20, 8))
    finish(filled, filled.client.verify().job_id, "incomplete")
    wait_whole(filled)
    assert large.is_sound()
    large.hit(0, footer, payload(entry), payload(entry, 3 * MIB))
    large.hit(1, footer, payload(entry, 70_000))
    finish(filled, filled.client.verify().job_id, "incomplete")
    wait_whole(filled)
    assert large.is_sound()
    assert_reconstructed(filled)


def hits(shard: Replicas) -> dict[str, tuple[list[Hit], list[Hit]]]:
    """Return ways to damage two replicas of a shard."""
    entries, size = shard.entries, len(shard.sound)
    span = group_spans(entries, shard.data_end)[0]
    tail = span.offset + span.length_bytes - TRAILER_BYTES
    record = next(entry for entry in entries if entry.length_bytes > 20_000)
    header, table = (record.offset, 80), (record.offset + RECORD_HEADER_BYTES, 8)
    gap = next(
        entry.offset - 1
        for former, entry in itertools.pairwise(entries)
        if entry.offset > former.offset + payload_offset(former.length_bytes) + former.length_bytes
    )
    return {
        "headers of the shard": ([(0, 8)], [(50, 2)]),
        "headers and trailers of a group": ([(span.offset, 64), (tail, 64)],) * 2,
        "headers of a record": ([header], [header]),
        "a table here, its block there": ([table], [payload(record)]),
        "both tables": ([table], [table]),
        "padding": ([(gap, 1), (tail - 1, 1)], [(gap, 1), (tail - 1, 1)]),
        "entries here, the footer there": ([(shard.data_end, 200)], [(size - 104, 104)]),
        "footers, and a record of each": (
            [(size - 50, 8), payload(entries[0])],
            [(size - 50, 8), payload(entries[-1])],
        ),
        CUT_OFF: ([], [payload(entries[0])]),
    }


@pytest.mark.fault
def test_whatever_is_damaged(store, short_tmp: str):
    """Each shard in another way: of all but payloads a shard needs no copy."""
    files = {f"{n % 3}/{n}": os.urandom(5000 + 373 * n) for n in range(320)}
    made = filled_store(store, short_tmp, files, 2, shard_size_bytes=MIB)
    shards = [one for one in replicas_of(made.disks).values() if len(one.entries) > 4]
    ways = dict(zip(hits(shards[0]), shards, strict=False))
    assert len(ways) == len(hits(shards[0])), "more shards are needed"
    for way, shard in ways.items():
        for number, places in enumerate(hits(shard)[way]):
            shard.hit(number, *places)
        if way == CUT_OFF:
            os.truncate(shard.paths[0], len(shard.sound) // 8192 * 4096)
    finish(made, made.client.verify().job_id, "incomplete")
    wait_whole(made)
    # When a shard was made is in its header alone.
    first = ways.pop("headers of the shard")
    assert all(read_file(path)[64:] == first.sound[64:] for path in first.paths)
    assert {way for way, shard in ways.items() if not shard.is_sound()} == set()
    assert_reconstructed(made, files)


@pytest.mark.fault
def test_a_record_that_is_lost_is_named_and_its_shard_heals_when_it_comes_again(
    filled: Store, short_tmp: str
):
    shard = small(filled)
    lost, one, other = shard.entries[5], shard.entries[1], shard.entries[8]
    shard.hit(0, payload(lost), payload(one))
    shard.hit(1, payload(lost, 900), payload(other))
    path = next(path for path, data in FILES.items() if key_of(data) == lost.key.hex())
    finish(filled, filled.client.verify().job_id, "incomplete")

    def notice(code: str) -> Any:
        return next((found for found in filled.client.warnings() if found.code == code), None)

    warning = until(lambda: notice("damaged"), "the engine to say so")
    assert lost.key.hex() in warning.message and "put" in warning.advice
    assert notice("copies") is None
    assert f"first: {path}" in until(lambda: notice("lost"), "the name").message
    assert filled.client.health().state == "failed"
    damaged = [read_file(one) for one in shard.paths]
    job_id = filled.client.rebuild().job_id
    assert finish(filled, job_id, "incomplete")["stuck"] == 1
    assert lost.key.hex() in next(iter(filled.client.report(job_id)))["reason"]
    assert [read_file(one) for one in shard.paths] == damaged, "nothing is given up"
    assert_readable(filled, {name: data for name, data in FILES.items() if name != path})
    # Stored again it lies in another shard, and from there the old one is made whole.
    put(filled, write_files(os.path.join(short_tmp, "again"), {"again": FILES[path]}), "again")
    until(shard.is_sound, "the shard to be whole")
    assert_reconstructed(filled)


@pytest.mark.fault
def test_deleted_content_that_is_damaged_everywhere(filled: Store, short_tmp: str):
    """Nobody misses it: it is told what gives the shard up, and nothing is called lost."""
    more = {name: {f"{name}/{n}": os.urandom(9000) for n in range(20)} for name in ("a", "b")}
    for name, files in more.items():
        put(filled, write_files(os.path.join(short_tmp, name), files), name)
    settle(filled)
    key = key_of(more["a"]["a/4"])
    shard = replicas_of(filled.disks)[filled.client.head(key).shard_id]
    entry = next(entry for entry in shard.entries if entry.key.hex() == key)
    living = key_of(more["b"]["b/7"])
    other = next(entry for entry in shard.entries if entry.key.hex() == living)
    purge(filled, "a")
    shard.hit(0, payload(entry))
    shard.hit(1, payload(entry), payload(other))
    finish(filled, filled.client.verify().job_id, "incomplete")
    warning = until(
        lambda: next((w for w in filled.client.warnings() if w.code == "damaged-garbage"), None),
        "the engine to say so",
    )
    assert "drystone compact" in warning.advice
    compact(filled, 0.99)
    until(lambda: filled.client.health().rebuild_queue == 0, "the shard to go")
    assert_reconstructed(filled, {**FILES, **more["b"]})


@pytest.mark.fault
def test_nothing_is_lost_while_a_disk_is_away(store, short_tmp: str):
    """Of three copies two are damaged in one record; the third is on a disk that comes back."""
    made = filled_store(store, short_tmp, FILES, 3, copies_raw=3)
    shard = small(made)
    made.stop()
    os.rename(made.disks[2], made.disks[2] + "-away")
    shard.hit(0, payload(shard.entries[5]))
    shard.hit(1, payload(shard.entries[5]), payload(shard.entries[7]))
    made.start()
    made.client.wait(made.client.verify().job_id)
    finish(made, made.client.rebuild().job_id, "incomplete")
    assert "lost" not in {one.code for one in made.client.warnings()}
    os.rename(made.disks[2] + "-away", made.disks[2])
    until(lambda: all(one.state == "online" for one in made.client.disks()), "the disk")
    until(shard.is_sound, "the shard to be whole")
    assert_reconstructed(made)


@pytest.mark.fault
def test_killed_at_every_barrier_while_a_shard_is_put_together(filled: Store):
    shard = small(filled)
    for number, barrier in enumerate(BARRIERS):
        filled.stop()
        shard.hit(0, payload(shard.entries[3 + number]))
        shard.hit(1, payload(shard.entries[-4 - number]))
        ended = subprocess.run(
            [sys.executable, CHILD, filled.config_path, "reconstruct", "", barrier],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": ROOT},
            start_new_session=True,
        )
        assert ended.returncode == -9, (ended.returncode, ended.stdout, ended.stderr)
        filled.start()
        assert_batch(filled, "first", FILES)
        filled.client.wait(filled.client.verify().job_id)
        until(shard.is_sound, "the shard to be whole")
    assert_reconstructed(filled)
    leftovers = [n for disk in filled.disks for _, _, ns in os.walk(disk) for n in ns]
    assert not [name for name in leftovers if name.endswith(".part")]
    assert not any(os.path.isdir(f"{disk}/quarantine") for disk in filled.disks)
