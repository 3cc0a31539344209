"""Disks that are smaller than what a large one keeps free can be used, and by their sizes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from loop_disks import LoopDisk, needs_loop
from store_checks import assert_batch, disk, finish
from store_harness import MIB, Store, write_files

from fsd.disks.config import DiskConfig
from fsd.disks.disk import RESERVE_SHARE, Disk
from fsd.engine.setup import init_store

pytestmark = needs_loop

GIB = 1 << 30
SIZES = (300 * MIB, 200 * MIB)


@pytest.fixture
def small(short_tmp: str) -> Iterator[Store]:
    """A running store of two small disks, as `init` makes it where nobody says how."""
    root = os.path.join(short_tmp, "s")
    os.makedirs(root)
    disks = [
        LoopDisk(os.path.join(short_tmp, f"image{n}"), os.path.join(root, f"d{n}"), size)
        for n, size in enumerate(SIZES, 1)
    ]
    paths = [one.path for one in disks]
    made = Store(root, init_store(root, paths, None), paths)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        for one in disks:
            one.unmount_surely()


@pytest.mark.parametrize(
    ("size_bytes", "asked_bytes", "kept_bytes"),
    [
        (1000 * GIB, 200 * GIB, 200 * GIB),
        (30 * GIB, 4 * GIB, 4 * GIB),
        (20 * GIB, GIB, GIB),
        (10 * GIB, GIB, GIB // 2),
        (10 * GIB, GIB // 4, GIB // 4),
    ],
)
def test_what_is_kept_free_is_what_was_asked_of_a_large_disk_and_a_share_of_a_small_one(
    size_bytes: int, asked_bytes: int, kept_bytes: int
):
    where = DiskConfig(disk_id="0" * 32, name="d1", path="/nowhere")
    one = Disk(where, where.path, size_bytes=size_bytes, free_bytes=size_bytes)
    assert one.room_bytes(asked_bytes) == size_bytes - kept_bytes


def test_a_small_disk_keeps_a_share_of_itself_free(small: Store, short_tmp: str):
    files = {f"{n}": os.urandom(300_000) for n in range(10)}
    job = small.client.batch_write(write_files(os.path.join(short_tmp, "a"), files), "a")
    finish(small, job.job_id)
    assert_batch(small, "a", files)
    assert not [one for one in small.client.warnings() if one.code == "disk-full"]
    # Filled until no shard fits: the share is still free.
    for batch in range(30):
        more = {f"{n}": os.urandom(2 * MIB) for n in range(5)}
        folder = write_files(os.path.join(short_tmp, f"b{batch}"), more)
        job = small.client.wait(small.client.batch_write(folder, f"b{batch}").job_id)
        if job.state != "done":
            break
    assert job.state != "done"
    smaller = disk(small, 1)
    reserve = smaller.size_bytes // RESERVE_SHARE
    shard = small.config.store.shard_size_bytes
    assert reserve - 2 * MIB < smaller.free_bytes < reserve + shard + 24 * MIB
    assert_batch(small, "a", files)
