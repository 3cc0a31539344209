"""Reading ranges of a file one ahead of whoever uses them: it owns two buffers and their thread.

All reads are made by one thread, in the order given, and no byte is read twice: the head of the
disk never goes back.
"""

import mmap
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from fsd.record import SECTOR_BYTES
from fsd.shard_file import WINDOW_BYTES, Step, read_full

RANGE_BYTES_MAX = WINDOW_BYTES + 2 * SECTOR_BYTES


class Range(NamedTuple):
    """Bytes of a file, on sectors, at most RANGE_BYTES_MAX."""

    start: int
    end: int


class ReadAhead:
    """The buffers and the thread, for the life of a disk process."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.buffers = [memoryview(mmap.mmap(-1, RANGE_BYTES_MAX)) for _ in range(2)]
        self.thread = ThreadPoolExecutor(1, "window")


class Reads:
    """The ranges of one file, in turn; used by one thread, and closed by it."""

    def __init__(self, ahead: ReadAhead, fd: int, ranges: Sequence[Range]) -> None:
        self._ahead = ahead
        self._fd = fd
        self._ranges = ranges
        self._next = 0
        self._coming: Future[memoryview] | None = None
        self._former: tuple[Range, memoryview] | None = None

    def next(self) -> memoryview:
        """Return the bytes of the next range, fewer where the file ends; valid till the next call.

        OSError when the disk cannot read it; the range behind it is next then.
        """
        coming = self._coming or self._begin(self._next)
        self._next += 1
        self._coming = None
        try:
            return coming.result()
        finally:
            if self._next < len(self._ranges):
                self._coming = self._begin(self._next)

    def skip(self, count: int) -> None:
        """Go on behind the next so many ranges, and read no more of them."""
        if count:
            self.close()
            self._next += count

    def close(self) -> None:
        """Wait for what is being read: its buffer, and the file, may be used again then."""
        if self._coming is not None:
            self._coming.exception()
            self._coming = None

    def _begin(self, number: int) -> "Future[memoryview]":
        return self._ahead.thread.submit(self._read, number)

    def _read(self, number: int) -> memoryview:
        wanted = self._ranges[number]
        view = self._ahead.buffers[number % 2][: wanted.end - wanted.start]
        kept = self._keep(number, view)
        # What fails leaves nothing behind that the next range could begin with.
        self._former = None
        kept += read_full(self._fd, view[kept:], wanted.start + kept, self._ahead.step)
        self._former = (wanted, view[:kept])
        return view[:kept]

    def _keep(self, number: int, view: memoryview) -> int:
        """Copy what the range before has of this one, when it lies in the other buffer."""
        if self._former is None or self._former[0] != self._ranges[number - 1]:
            return 0
        former, data = self._former
        begin = self._ranges[number].start - former.start
        if not 0 <= begin < len(data) == former.end - former.start:
            return 0
        view[: len(data) - begin] = data[begin:]
        return len(data) - begin
