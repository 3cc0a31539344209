"""Reading and writing one shard file: it owns the system calls, runs in disk processes only.

Writes go through O_DIRECT from shared slots, are synced, and read back with O_DIRECT, so that the
comparison is with what the disk holds and not with the page cache.
"""

import errno
import mmap
import os
from collections.abc import Callable

import xxhash

from fsd.errors import CorruptError
from fsd.record import SECTOR_BYTES, align

WINDOW_BYTES = 8 << 20
FALLOCATE_KEEP_SIZE = 1
BAD_READS_MAX = 256

Step = Callable[[], None]


def no_step() -> None:
    """Count nothing; for callers without a lane."""


def open_direct(path: str, flags: int, mode: int = 0o600) -> int:
    """Open with O_DIRECT, or without it where the filesystem has none (tmpfs of old kernels)."""
    try:
        return os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno != 22:
            raise
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def sync_folder(path: str) -> None:
    """Make the entries of a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_full(fd: int, view: memoryview, offset: int, step: Step = no_step) -> int:
    """Read into `view` until it is full or the file ends; returns the bytes read."""
    done = 0
    while done < len(view):
        count = os.preadv(fd, [view[done : done + WINDOW_BYTES]], offset + done)
        step()
        done += count
        # A short direct read that is not a multiple of the sector is the end of the file.
        if count == 0 or count % SECTOR_BYTES:
            break
    return done


def write_full(fd: int, view: memoryview, offset: int, step: Step = no_step) -> None:
    """Write all of `view` at `offset`; both multiples of 4 KiB."""
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done : done + WINDOW_BYTES], offset + done)
        step()


def write_verified(
    fd: int, view: memoryview, offset: int, scratch: memoryview, step: Step = no_step
) -> None:
    """Write, sync, read back and compare; returns only when the disk holds these bytes.

    Raises OSError (a failed fdatasync must never be retried on the same file: the kernel may have
    dropped the pages) or CorruptError when the disk returns other bytes than were written.
    """
    write_full(fd, view, offset, step)
    # Barrier: a crash before this leaves a torn group, which recovery does not see as committed.
    os.fdatasync(fd)
    step()
    for start in range(0, len(view), len(scratch)):
        expected = view[start : start + len(scratch)]
        got = scratch[: len(expected)]
        # Hashes compare at memory speed; comparing two memoryviews takes 3 ns per byte.
        same = read_full(fd, got, offset + start, step) == len(expected) and (
            xxhash.xxh3_128_digest(got) == xxhash.xxh3_128_digest(expected)
        )
        if not same:
            raise CorruptError("the disk returned other bytes than were written", f"at {offset}")


class WindowReader:
    """Reads a shard file through one aligned window, so neighbouring records cost one read.

    A place that the disk cannot read (EIO) is a CorruptError like a damaged one, up to a limit per
    reader: a disk that fails everywhere is not asked sector by sector.
    """

    def __init__(self, fd: int, step: Step = no_step, window_bytes: int = WINDOW_BYTES) -> None:
        self.fd = fd
        self.step = step
        self._map = mmap.mmap(-1, window_bytes)
        self._view = memoryview(self._map)
        self._start = 0
        self._length = 0
        self._bad_reads = 0

    def read(self, offset: int, length: int, ahead_end: int = 0) -> memoryview:
        """Return a view of [offset, offset+length), valid until the next call.

        `ahead_end` is how far the caller will read on: the window is filled up to there. Raises
        CorruptError when the file ends before, or when the disk cannot read it.
        """
        if not self._start <= offset <= offset + length <= self._start + self._length:
            self._fill(offset, length, ahead_end)
        begin = offset - self._start
        if begin + length > self._length:
            raise CorruptError("the shard file is shorter than its index", f"offset {offset}")
        return self._view[begin : begin + length]

    def _fill(self, offset: int, length: int, ahead_end: int) -> None:
        start = offset // SECTOR_BYTES * SECTOR_BYTES
        need = align(offset + length - start)
        wanted = align(max(offset + length, ahead_end) - start)
        if need > len(self._view):
            self._view.release()
            self._map = mmap.mmap(-1, need)
            self._view = memoryview(self._map)
        size = max(need, min(wanted, len(self._view)))
        self._start, self._length = start, 0
        try:
            self._length = read_full(self.fd, self._view[:size], start, self.step)
        except OSError as error:
            self._note_bad_read(error, offset, final=size == need)
            # A bad sector hides what lies in it, not the rest of the window.
            self._fill(offset, length, 0)

    def _note_bad_read(self, error: OSError, offset: int, *, final: bool) -> None:
        self._bad_reads += 1
        if error.errno != errno.EIO or self._bad_reads > BAD_READS_MAX:
            raise error
        if final:
            raise CorruptError("the disk cannot read this place", f"offset {offset}") from error
