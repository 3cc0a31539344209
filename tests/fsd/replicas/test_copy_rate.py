"""The rate limit of the copies that a store makes by itself; a rebuild does not keep to it."""

from __future__ import annotations

import os
import random
import time

import pytest
from store_checks import assert_clean, assert_copies, finish, put, shard_files, until
from store_harness import MIB, Store, write_files

from fsd.disks.config import load_config
from fsd.replicas.pace import PACED_COPIES_MAX, CopyPace

FILES = {f"{number}.bin": random.Random(number).randbytes(MIB // 2) for number in range(32)}


@pytest.fixture
def settled(store, short_tmp) -> Store:
    """A stopped store of three disks with two copies of everything."""
    made = store(3, shard_size_bytes=2 * MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), FILES), "files")
    until(lambda: made.client.health().rebuild_queue == 0, "two copies")
    finish(made, made.client.verify().job_id)  # Which seals what is still open.
    made.stop()
    return made


def third_copies(store: Store, rate_bytes_per_s: int) -> int:
    """Let the store want a third copy of everything, and no faster; returns the bytes of those."""
    with open(store.config_path, encoding="utf-8") as file:
        text = file.read()
    wanted = f"copies_raw = 3\nbackground_copy_rate_bytes_per_s = {rate_bytes_per_s}\n"
    with open(store.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace("copies_raw = 2\n", wanted))
    store.config = load_config(store.config_path)
    assert store.config.store.background_copy_rate_bytes_per_s == rate_bytes_per_s
    return sum(os.path.getsize(path) for disk in store.disks for path in shard_files(disk)) // 2


def test_background_copies_keep_to_the_rate(settled: Store):
    rate = 2 * MIB
    missing = third_copies(settled, rate)
    assert missing > 16 * MIB
    begun = time.monotonic()
    settled.start()
    until(lambda: settled.client.health().rebuild_queue == 0, "three copies")
    # A bound from below, which no slow machine breaks; each copy may be a piece ahead.
    assert time.monotonic() - begun >= (missing - (PACED_COPIES_MAX + 1) * rate) / rate
    assert_copies(settled, FILES, 3)


def test_a_rebuild_does_not_keep_to_it_and_takes_over(settled: Store):
    third_copies(settled, 1)
    settled.start()
    before = settled.client.health().rebuild_queue
    # Copies go on in the background; at this rate the second piece comes in twelve days.
    until(lambda: list_parts(settled), "a copy that was begun")
    assert settled.client.health().rebuild_queue >= before - PACED_COPIES_MAX > 0
    result = finish(settled, settled.client.rebuild(None).job_id)
    assert result["incomplete"] is False and result["copied"] > 0
    assert_copies(settled, FILES, 3)
    assert_clean(settled)


def list_parts(store: Store) -> list[str]:
    """Return the part files of copies that are going on."""
    return [
        os.path.join(folder, name)
        for disk in store.disks
        for folder, _, names in os.walk(disk)
        for name in names
        if name.endswith(".part")
    ]


def test_a_piece_is_whole_mebibytes_or_the_end():
    assert CopyPace(0).piece_bytes(24 * MIB) == 24 * MIB and CopyPace(0).copies_max is None
    for rate, piece in ((1, 1), (3 * MIB + 5, 3), (100 * MIB, 24)):
        pace = CopyPace(rate)
        assert pace.piece_bytes(24 * MIB) == piece * MIB and pace.piece_bytes(4096) == 4096
        assert pace.wait_s() == 0.0
        pace.take(10 * rate)
        assert 9.0 < pace.wait_s() <= 10.0
        with pace.lifted():
            assert pace.is_lifted and pace.wait_s() == 0.0
            assert pace.piece_bytes(24 * MIB) == 24 * MIB
        assert not pace.is_lifted and pace.wait_s() > 0.0
