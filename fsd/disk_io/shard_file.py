"""Reading and writing one shard file: it owns the system calls, runs in disk processes only.

Writes go through O_DIRECT from shared slots, are synced, and read back with O_DIRECT, so that the
comparison is with what the disk holds and not with the page cache.
"""

import contextlib
import errno
import mmap
import os
from collections import OrderedDict
from collections.abc import Callable, Generator
from typing import Protocol

import xxhash

from fsd.format.errors import CorruptError
from fsd.format.record import SECTOR_BYTES, align

WINDOW_BYTES = 8 << 20
READ_BYTES_MAX = 1 << 20
"""Of one read. The kernel cuts a larger one into many requests that are at the disk all at once, in
an order that the disk chooses: coming from behind them, it begins with the last. One that ended
leaves the disk busy with reading ahead until the next has come."""
LARGE_PAGE_BYTES = 2 << 20
FALLOCATE_KEEP_SIZE = 1
BAD_READS_MAX = 256
OPEN_FILES_MAX = 128


class Step(Protocol):
    """How whoever reads or writes here shows that it lives, and waits for its turn on the disk."""

    def __call__(self) -> None:
        """Count one step (one system call that may take long)."""
        ...

    def begin(self, wanted_bytes: int) -> int:
        """Wait until one request may begin; returns how many of the bytes it may have.

        A multiple of 4 KiB, or all of them. Each is followed by an `end`.
        """
        ...

    def end(self) -> None:
        """Note that the request has ended, whether it succeeded or not; it counts as a step."""
        ...


class FreeStep:
    """Counts nothing and waits for nobody; for callers without a lane."""

    def __call__(self) -> None:
        """Do nothing."""

    def begin(self, wanted_bytes: int) -> int:
        """Return all of them."""
        return wanted_bytes

    def end(self) -> None:
        """Do nothing."""
        self()


no_step = FreeStep()


@contextlib.contextmanager
def one_turn(step: Step) -> Generator[None]:
    """Within, the disk is asked for what is no read or write of a file: a request like those."""
    step.begin(0)
    try:
        yield
    finally:
        step.end()


def open_direct(path: str, flags: int, mode: int = 0o600) -> int:
    """Open with O_DIRECT, or without it where the filesystem has none (tmpfs of old kernels)."""
    try:
        return os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno != 22:
            raise
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def large_pages(size: int) -> mmap.mmap:
    """Return memory to read into, in large pages where the kernel has them.

    Of common pages a read of READ_BYTES_MAX has more than a disk's driver takes in one request.
    """
    whole = -(-size // LARGE_PAGE_BYTES) * LARGE_PAGE_BYTES
    # Shared memory, which mmap makes by itself, has them only where somebody has set that up.
    memory = mmap.mmap(-1, whole, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # A kernel without them.
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def read_full(fd: int, view: memoryview, offset: int, step: Step = no_step) -> int:
    """Read into `view` until it is full or the file ends; returns the bytes read.

    One request of at most READ_BYTES_MAX follows the other, in the order of the file.
    """
    done = 0
    while done < len(view):
        size = step.begin(min(len(view) - done, READ_BYTES_MAX))
        try:
            count = os.preadv(fd, [view[done : done + size]], offset + done)
        finally:
            step.end()
        done += count
        # A short direct read that is not a multiple of the sector is the end of the file.
        if count == 0 or count % SECTOR_BYTES:
            break
    return done


def write_full(fd: int, view: memoryview, offset: int, step: Step = no_step) -> None:
    """Write all of `view` at `offset`; both multiples of 4 KiB."""
    done = 0
    while done < len(view):
        size = step.begin(min(len(view) - done, WINDOW_BYTES))
        try:
            done += os.pwrite(fd, view[done : done + size], offset + done)
        finally:
            step.end()


def check_written(
    fd: int, view: memoryview, offset: int, scratch: memoryview, step: Step = no_step
) -> None:
    """Read back what was written and synced; CorruptError when the disk returns other bytes."""
    for start in range(0, len(view), len(scratch)):
        expected = view[start : start + len(scratch)]
        got = scratch[: len(expected)]
        # Hashes compare at memory speed; comparing two memoryviews takes 3 ns per byte.
        same = read_full(fd, got, offset + start, step) == len(expected) and (
            xxhash.xxh3_128_digest(got) == xxhash.xxh3_128_digest(expected)
        )
        if not same:
            raise CorruptError("the disk returned other bytes than were written", f"at {offset}")


class ReadFiles:
    """The descriptors that one lane reads by, the oldest closed first; used by its thread."""

    def __init__(self, path_of: Callable[[str], str]) -> None:
        self._path_of = path_of
        self._open: OrderedDict[str, int] = OrderedDict()
        self._outdated: set[str] = set()

    def get(self, shard_id: str) -> int:
        """Return the descriptor of a shard, opened when it is not open yet."""
        self.close_outdated()
        if shard_id in self._open:
            self._open.move_to_end(shard_id)
            return self._open[shard_id]
        if len(self._open) >= OPEN_FILES_MAX:
            os.close(self._open.popitem(last=False)[1])
        self._open[shard_id] = open_direct(self._path_of(shard_id), os.O_RDONLY)
        return self._open[shard_id]

    def outdate(self, shard_id: str) -> None:
        """Note that the file was replaced or removed; any thread may call this.

        What is being read from it goes on: an unlinked replica still has right bytes.
        """
        self._outdated.add(shard_id)

    def close_outdated(self) -> None:
        """Close what was replaced or removed: an open descriptor keeps its space."""
        while self._outdated:
            fd = self._open.pop(self._outdated.pop(), None)
            if fd is not None:
                os.close(fd)


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
        kept = self._move_to_front(start, need)
        size = max(need, min(wanted, len(self._view)))
        self._start, self._length = start, kept
        try:
            self._length += read_full(self.fd, self._view[kept:size], start + kept, self.step)
        except OSError as error:
            self._note_bad_read(error, offset, final=size == need)
            # A bad sector hides what lies in it, not the rest of the window.
            self._fill(offset, length, 0)

    def _move_to_front(self, start: int, need: int) -> int:
        """Keep what the window has from `start` on: to read it again, the head would go back."""
        begin, former = start - self._start, self._view
        kept = max(0, self._length - begin) if begin >= 0 else 0
        kept = kept // SECTOR_BYTES * SECTOR_BYTES
        if need > len(self._view):
            self._map = mmap.mmap(-1, need)
            self._view = memoryview(self._map)
        self._view[:kept] = former[begin : begin + kept] if kept else b""
        if former is not self._view:
            former.release()
        return kept

    def _note_bad_read(self, error: OSError, offset: int, *, final: bool) -> None:
        self._bad_reads += 1
        if error.errno != errno.EIO or self._bad_reads > BAD_READS_MAX:
            raise error
        if final:
            raise CorruptError("the disk cannot read this place", f"offset {offset}") from error
