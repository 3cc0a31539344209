"""Parts of copies: what was written is synced before it is read back, in pieces of any size."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from base.errors import DrystoneError
from fsd.disk_io.copy.copy_target import CopyTargets
from fsd.disk_io.shard_file import WINDOW_BYTES, no_step
from fsd.format.errors import CorruptError, DiskError

SHARD = "ab" * 16
PIECES = 4
LENGTH = PIECES * WINDOW_BYTES + 4096


class Target:
    """A part in a folder, and the order of what is done to its file."""

    def __init__(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = os.path.join(folder, "part")
        self.done = list[str]()
        self.data = os.urandom(LENGTH)
        self.parts = CopyTargets([memoryview(bytearray(self.data))], no_step, lambda _: self.path)
        fdatasync = os.fdatasync

        def synced(fd: int) -> None:
            fdatasync(fd)
            self.done.append("sync")

        monkeypatch.setattr(os, "fdatasync", synced)
        self.parts.create(SHARD, LENGTH)

    def write(self, start: int, size: int) -> None:
        self.parts._slots[0] = memoryview(bytearray(self.data[start : start + size]))
        self.parts.write(SHARD, start, 0, size)
        self.done.append("write")

    def prove(self, size: int) -> None:
        self.parts.prove(SHARD, size)
        self.done.append("prove")


@pytest.fixture
def target(tmp_path, monkeypatch) -> Iterator[Target]:
    made = Target(str(tmp_path), monkeypatch)
    yield made
    made.parts.drop(SHARD)


def test_one_sync_is_enough_for_all_that_was_written_before_it(target: Target):
    target.write(0, LENGTH)
    for _ in range(PIECES):
        target.prove(WINDOW_BYTES)
        with pytest.raises(DrystoneError, match="not proven"):
            target.parts.finish(SHARD)
    target.prove(4096)
    assert target.done == ["write", "sync", *["prove"] * (PIECES + 1)]
    target.parts.finish(SHARD)
    with open(target.path, "rb") as file:
        assert file.read() == target.data


def test_what_is_written_while_others_are_read_back_is_synced_before_its_own_turn(target: Target):
    target.write(0, 2 * WINDOW_BYTES)
    target.prove(WINDOW_BYTES)
    target.write(2 * WINDOW_BYTES, LENGTH - 2 * WINDOW_BYTES)
    target.prove(WINDOW_BYTES)
    assert target.done == ["write", "sync", "prove", "write", "prove"]
    target.prove(LENGTH - 2 * WINDOW_BYTES)
    assert target.done[5:] == ["sync", "prove"]
    target.parts.finish(SHARD)


def test_every_window_is_compared(target: Target):
    for number in range(PIECES + 1):
        place = number * WINDOW_BYTES
        target.parts.create(SHARD, LENGTH)
        target.write(0, LENGTH)
        with open(target.path, "r+b") as file:
            file.seek(place + 100)
            file.write(b"other")
        target.prove(place)
        with pytest.raises(CorruptError, match=f"at {place}"):
            target.prove(LENGTH - place)
        with pytest.raises(DrystoneError, match="not proven"):
            target.parts.finish(SHARD)


def test_a_sync_that_failed_is_not_tried_again(target: Target, monkeypatch):
    """The request for the next piece is on its way already when the first one fails."""
    target.write(0, LENGTH)
    synced = os.fdatasync

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(OSError, match="the disk"):
        target.prove(WINDOW_BYTES)
    monkeypatch.setattr(os, "fdatasync", synced)
    with pytest.raises(DrystoneError, match="could not be synced"):
        target.prove(WINDOW_BYTES)
    assert "sync" not in target.done
    with pytest.raises(DrystoneError, match="not proven"):
        target.parts.finish(SHARD)
    # Another try is another file.
    target.parts.create(SHARD, LENGTH)
    target.write(0, LENGTH)
    target.prove(LENGTH)
    target.parts.finish(SHARD)


def test_a_part_that_this_process_has_not_begun_is_no_fault_of_the_disk(target: Target):
    """Whoever wrote it did so through a process that was killed; the new one says nothing of it."""
    for ask in (
        lambda: target.parts.write("cd" * 16, 0, 0, 4096),
        lambda: target.parts.prove("cd" * 16, 4096),
        lambda: target.parts.finish("cd" * 16),
    ):
        with pytest.raises(DiskError, match="begun no copy") as refused:
            ask()
        assert refused.value.errno is None
