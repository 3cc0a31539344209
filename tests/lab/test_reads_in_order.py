"""Reads leave a drive no choice of their order: its own counts of seeks show it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from fsd.disk_io.reading.read_ahead import Range, ReadAhead, Reads
from fsd.disk_io.shard_file import WINDOW_BYTES, large_pages, no_step, open_direct, read_full

from . import EmulatedDisk, HddModel, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

MIB = 1 << 20
SIZE_BYTES = 24 * MIB
PIECES_MAX = 2
"""Of a read of 1 MiB, where a kernel gives no large pages: the first two may be taken in turn."""


def written(on: EmulatedDisk) -> int:
    """A file of 24 MiB on a disk that nobody remembers anything of; returns its descriptor."""
    path = os.path.join(on.path, "file")
    with open(path, "wb") as file:
        file.write(os.urandom(SIZE_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return open_direct(path, os.O_RDONLY)


@pytest.fixture
def turning(disk: Callable[..., EmulatedDisk]) -> EmulatedDisk:
    return disk(HddModel(1 << 30), fast=False)


def test_a_window_read_from_behind_is_read_forwards(turning: EmulatedDisk):
    fd, buffer = written(turning), memoryview(large_pages(WINDOW_BYTES))
    read_full(fd, buffer[:4096], SIZE_BYTES - 4096)  # The head is behind the window now.
    turning.control("reset-stats")
    assert read_full(fd, buffer, 0) == WINDOW_BYTES
    found = turning.statistics()
    os.close(fd)
    assert found["read_bytes"] == WINDOW_BYTES and found["seeks"] <= PIECES_MAX, found


def test_windows_read_ahead_are_read_forwards(turning: EmulatedDisk):
    fd = written(turning)
    ranges = [Range(at, at + WINDOW_BYTES) for at in (16 * MIB, 8 * MIB, 0)]
    reads = Reads(ReadAhead(no_step), fd, ranges)
    turning.control("reset-stats")
    for _ in ranges:
        assert len(reads.next()) == WINDOW_BYTES
    reads.close()
    found = turning.statistics()
    os.close(fd)
    assert found["seeks"] <= PIECES_MAX * len(ranges), found
