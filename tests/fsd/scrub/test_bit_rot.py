"""Bits flip on the disks, places in the index are wrong: found by one scrub, healed, never served.

Flips in all else of the index: `test_index_check`.

`--crash-seed S` replays the choices, `--slow` makes it long.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from functools import partial

import pytest
import xxhash
from engine_processes import kill_engine
from store_checks import (
    assert_batch,
    assert_clean,
    damage,
    finish,
    keys_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
)
from store_harness import MIB, Store, with_settings, write_files
from wrong_places import misplace, move

from base.errors import DrystoneError
from fsd.disk_io.place.identity import read_identity
from fsd.documents.models import Notice
from fsd.format import layout
from fsd.format.layout import shard_path

ROUNDS, ROUNDS_SLOW = 1, 40
EPOCHS = (layout.EPOCH_NAME, layout.EPOCH_TWIN_NAME)
METADATA = (layout.IDENTITY_NAME, layout.IDENTITY_TWIN_NAME, *EPOCHS)


@pytest.fixture
def filled(store, tmp_path) -> tuple[Store, dict[str, bytes]]:
    """A store of three disks whose shards are all sealed, and what is in it."""
    made = store(3, shard_size_bytes=MIB)
    rng = random.Random(5)
    files = {f"{n % 5}/{n}": rng.randbytes(200 + n * 977 % 60_000) for n in range(60)}
    files["large"] = rng.randbytes(3 * MIB)
    put(made, write_files(str(tmp_path / "source"), files), "first")
    settle(made)
    return made, files


def seed_of(config: pytest.Config) -> str:
    return config.getoption("--crash-seed") or str(time.time_ns())


def flip(path: str, rng: random.Random, begin: int = 0, end: int | None = None) -> None:
    """Flip one bit of a file, durably."""
    offset = rng.randrange(begin, os.path.getsize(path) if end is None else end)
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))
        file.flush()
        os.fsync(file.fileno())


def frames(path: str) -> list[int]:
    """Return where the sound frames of a catalog begin that are there once.

    What was healed was appended again; the frame that was damaged may be sound after another flip.
    """
    with open(path, "rb") as file:
        data = file.read()
    found: dict[int, bytes] = {}
    for place in range(0, len(data), 4096):
        size = int.from_bytes(data[place + 24 : place + 28], "little")
        content = data[place : place + 32] + data[place + 40 : place + 40 + size]
        check = int.from_bytes(data[place + 32 : place + 40], "little")
        if content.startswith(b"DRYCAT01") and xxhash.xxh3_64_intdigest(content) == check:
            found[place] = content
    contents = list(found.values())
    return [place for place, content in found.items() if contents.count(content) == 1]


@pytest.mark.fault
def test_a_flip_on_every_disk_is_found_and_healed(filled, pytestconfig):
    """In the shards of one disk, and in the catalog, identity and epoch of another."""
    store, files = filled
    seed = seed_of(pytestconfig)
    rng = random.Random(seed)
    for _ in range(ROUNDS_SLOW if pytestconfig.getoption("--slow") else ROUNDS):
        victim = rng.choice(store.disks)
        for reads_first in (False, True):
            flipped = flip_shards(victim, rng)
            assert flipped
            if reads_first:
                assert_readable(store, files, seed)
            job_id = store.client.verify().job_id
            store.client.wait(job_id)
            found = {line["shard"] for line in store.client.report(job_id)}
            # What a read came upon may have been replaced before the verification came there.
            healed = {shard for shard, left in flipped.items() if reads_first and not left()}
            assert found | healed == set(flipped), f"--crash-seed {seed}"
            until(lambda: store.client.health().rebuild_queue == 0, "all copies")
        flip_metadata(rng.choice(store.disks), rng)
        lines = finish_scrub(store)
        assert len(lines) == 2, (f"--crash-seed {seed}", lines)
        assert_clean(store)
        assert finish_scrub(store) == []
    assert_batch(store, "first", files)


@pytest.mark.fault
def test_the_background_finds_every_flip(filled, pytestconfig):
    """With an interval of 2.6 s: nobody reads the files, and nobody asks for a verification."""
    store, files = filled
    store.stop()
    store.config = with_settings(store.root, scrub_interval_days=0.00003)
    store.start()
    seed = seed_of(pytestconfig)
    rng = random.Random(seed)
    flipped = flip_shards(rng.choice(store.disks), rng)
    assert flipped
    until(lambda: not any(left() for left in flipped.values()), f"--crash-seed {seed}: healing")
    assert_readable(store, files, seed)
    assert_clean(store)


def flip_shards(disk_path: str, rng: random.Random) -> dict[str, Callable[[], bool]]:
    """Flip a bit in every shard of a disk, in what counts; returns by id if it is still flipped."""
    flipped: dict[str, Callable[[], bool]] = {}
    # Their names are random, so the seed chooses by their sizes.
    for path in sorted(shard_files(disk_path), key=os.path.getsize):
        size = os.path.getsize(path)
        # The first 64 bytes, the groups, or the footer's trailer: see FORMAT, "What counts".
        parts = ((0, 64), (4096, 8192), (size - 104, size))
        flip(path, rng, *rng.choice(parts))
        shard_id = os.path.basename(path).removesuffix(layout.SHARD_SUFFIX)
        flipped[shard_id] = partial(holds, path, content_of(path))
    return flipped


def content_of(path: str) -> bytes:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return b""


def holds(path: str, content: bytes) -> bool:
    return content_of(path) == content


def flip_metadata(disk_path: str, rng: random.Random) -> None:
    """Damage one entry of a disk's catalog, and one of its small files."""
    catalog = os.path.join(disk_path, layout.CATALOG_NAME)
    begin = rng.choice(frames(catalog))
    flip(catalog, rng, begin, begin + 40)
    name = rng.choice(METADATA)
    path = os.path.join(disk_path, name)
    if name in EPOCHS:
        flip(path, rng)
    else:
        # White space between the fields does not count.
        with open(path, "rb") as file:
            place = file.read().index(b'"name"')
        flip(path, rng, place + 1, place + 5)


def finish_scrub(store: Store) -> list[dict[str, str]]:
    job_id = store.client.scrub().job_id
    store.client.wait(job_id)
    return list(store.client.report(job_id))


def assert_readable(store: Store, files: dict[str, bytes], seed: str) -> None:
    by_key = {key: files[path] for path, key in keys_of(files).items()}
    for key, data in by_key.items():
        assert read_object(store, key) == data, f"--crash-seed {seed}"


@pytest.mark.fault
@pytest.mark.parametrize("name", [layout.IDENTITY_NAME, layout.IDENTITY_TWIN_NAME])
def test_a_damaged_identity_is_written_again_at_the_start(filled, name):
    store, files = filled
    store.stop()
    path = os.path.join(store.disks[0], name)
    with open(path, "rb") as file:
        sound = file.read()
    os.truncate(path, 20)
    store.start()
    assert [disk.state for disk in store.client.disks()] == ["online"] * 3
    with open(path, "rb") as file:
        assert file.read() == sound
    assert read_identity(store.disks[0])["name"] == "d1"
    assert_batch(store, "first", files)


@pytest.mark.fault
def test_entries_damaged_on_every_disk_are_written_again_while_the_engine_knows_them(filled):
    """A catalog entry that no disk has any more: the engine that runs is the good copy."""
    store, files = filled
    rng = random.Random(1)
    for path in store.disks:
        catalog = os.path.join(path, layout.CATALOG_NAME)
        begin = frames(catalog)[-1]
        flip(catalog, rng, begin, begin + 40)
    lines = finish_scrub(store)
    assert len(lines) == 3 and {line["disk"] for line in lines} == {"d1", "d2", "d3"}, lines
    kill_engine(store.config, group=True)
    store.start()
    assert_batch(store, "first", files)
    assert_clean(store)


def index_warning(store: Store) -> Notice | None:
    found = (one for one in store.client.warnings() if one.code == "index-damaged")
    return next(found, None)


@pytest.mark.fault
def test_wrong_places_in_the_index_are_put_right_by_whoever_meets_them(filled):
    """The reader gets its bytes, and the rest is looked through by itself."""
    store, files = filled
    keys = {key: files[path] for path, key in sorted(keys_of(files).items())}
    met, longer, unmet, other, none, lost = list(keys)[:6]
    victim = store.client.head(lost)
    changes = {
        met: move(9),
        longer: lambda place: place._replace(length_bytes=place.length_bytes ^ 1 << 6),
        unmet: move(12),
        other: lambda place: place._replace(shard_number=place.shard_number ^ 1),
        none: lambda place: place._replace(shard_number=place.shard_number ^ 1 << 20),
    }
    misplace(store, changes)
    for key in (met, longer):
        assert read_object(store, key) == keys[key]
    until(lambda: [job for job in store.client.jobs() if job.kind == "index repair"], "a look")
    for job in store.client.jobs():
        store.client.wait(job.job_id)
    for key in changes:
        assert read_object(store, key) == keys[key]
    warning = index_warning(store)
    assert warning is not None and "put right" in warning.message, warning
    assert finish_scrub(store) == []
    # A record that is damaged itself is still no fault of the index.
    for path in (d.path for d in store.config.disk if d.name in victim.disks):
        damage(shard_path(path, victim.shard_id), victim.offset + 100)
    with pytest.raises(DrystoneError, match=lost[:8]):
        read_object(store, lost)
    assert len([job for job in store.client.jobs() if job.kind == "index repair"]) == 1
    put(store, write_files(os.path.join(store.root, "again"), {"again": keys[lost]}), "again")
    finish(store, store.client.reindex().job_id)
    assert index_warning(store) is None
    assert_batch(store, "first", files)
    assert_clean(store)


@pytest.mark.fault
def test_wrong_places_in_the_index_are_found_and_put_right_by_a_scrub(filled):
    store, files = filled
    keys = [key for _, key in sorted(keys_of(files).items())[:6]]
    misplace(store, {key: move(3 + number) for number, key in enumerate(keys)})
    lines = finish_scrub(store)
    assert {line["key"] for line in lines} == set(keys), lines
    warning = index_warning(store)
    assert warning is not None and "6 wrong places" in warning.message, warning
    assert "reindex" in warning.advice
    assert finish_scrub(store) == []
    assert_batch(store, "first", files)
    assert_clean(store)
