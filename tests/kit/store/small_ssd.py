"""Stores whose SSD is a small filesystem, which a test can fill to the last block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from loop_disks import LoopDisk
from store_harness import MIB, Store, with_settings

from base import ballast
from fsd.engine.setup import init_store

SSD_BYTES = 48 * MIB
STALL_TIMEOUT_S = 120.0


@contextlib.contextmanager
def small_ssd(folder: str) -> Iterator[LoopDisk]:
    """A small ext4 filesystem."""
    path = os.path.join(folder, "ssd")
    disk = LoopDisk(f"{path}.ext4", path, SSD_BYTES)
    try:
        yield disk
    finally:
        disk.unmount_surely()


@contextlib.contextmanager
def small_ssd_store(ssd: LoopDisk, folder: str, disks: int) -> Iterator[Store]:
    """A started store with index and areas there, whose puts commit every few thousand files."""
    root = os.path.join(folder, "store")
    paths = [os.path.join(root, f"d{n}") for n in range(disks)]
    init_store(root, paths, ssd.path, min_free_bytes=MIB, shard_size_bytes=MIB)
    # Beside other work a disk of a full machine may be silent for long, and none hangs here.
    config = with_settings(root, packer_processes=1, stall_timeout_s=STALL_TIMEOUT_S)
    one = Store(root, config, paths)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def filler(ssd: LoopDisk) -> str:
    """The path of the file that takes the room."""
    return os.path.join(ssd.path, "filler")


def leave(folder: str, free_bytes: int) -> str:
    """Take all room but so much with one file; returns its path."""
    path = os.path.join(folder, "filler")
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, ballast.free_bytes(folder) - free_bytes)
    return path


def fill_up(ssd: LoopDisk) -> None:
    """Take all room, to the last block."""
    with open(ssd.fill(), "ab") as file, contextlib.suppress(OSError):
        while True:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, 1 << 12)


def is_full(store: Store) -> bool:
    return "ssd-full" in [notice.code for notice in store.client.warnings()]
