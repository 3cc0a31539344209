"""Reading ranges of a file ahead of whoever uses them: it owns three buffers and their thread.

All reads are made by one thread, in the order given, and no byte is read twice: the head of the
disk never goes back. While one range is used and the next one is there, the one behind it is read:
the disk never waits for one thread to wake the other. When the last ranges of a file are on their
way, those of the file that `follows` are asked for: nor does it wait between two files.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from fsd.disk_io.shard_file import WINDOW_BYTES, Step, large_pages, read_full
from fsd.format.record import SECTOR_BYTES

BUFFERS = 3
RANGE_BYTES_MAX = WINDOW_BYTES + 2 * SECTOR_BYTES


class Range(NamedTuple):
    """Bytes of a file, on sectors, at most RANGE_BYTES_MAX."""

    start: int
    end: int


class ReadAhead:
    """The buffers and the thread, for the life of a disk process."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.buffers = [memoryview(large_pages(RANGE_BYTES_MAX)) for _ in range(BUFFERS)]
        self.thread = ThreadPoolExecutor(1, "window")


class Reads:
    """The ranges of one file, in turn; used by one thread, and closed by it.

    A `file` that is not open yet is opened by the thread that reads, before the first range, and
    closed with this. `first` counts the ranges before these: they share the buffers.
    """

    def __init__(
        self,
        ahead: ReadAhead,
        file: int | Callable[[], int],
        ranges: Sequence[Range],
        first: int = 0,
    ) -> None:
        self.follows: Callable[[int], Reads | None] = lambda _first: None
        self._ahead = ahead
        self._opened = None if isinstance(file, int) else ahead.thread.submit(file)
        self._given_fd = file if isinstance(file, int) else -1
        self._ranges = ranges
        self._first = first
        self._before = ranges[-1].end if ranges else 0
        self._next = 0
        self._coming: deque[Future[memoryview]] = deque()
        self._former: tuple[Range, memoryview] | None = None

    @property
    def fd(self) -> int:
        """Return the open file; raises what opening it raised."""
        return self._given_fd if self._opened is None else self._opened.result()

    def next(self) -> memoryview:
        """Return the bytes of the next range, fewer where the file ends; valid till the next call.

        OSError when the disk cannot read it; the range behind it is next then.
        """
        if not self._coming:
            self._begin(self._next)
        if not self.read_ahead(BUFFERS):
            follower = self.follows(self._first + self._next + len(self._coming))
            if follower is not None:
                follower.read_ahead(BUFFERS - len(self._coming))
        self._next += 1
        return self._coming.popleft().result()

    def read_ahead(self, buffers: int) -> bool:
        """Have so many buffers in use; returns whether there is more to read than fits."""
        ahead = self._next + len(self._coming)
        while ahead < len(self._ranges) and self._ranges[ahead].start < self._before:
            if len(self._coming) >= buffers:
                return True
            self._begin(ahead)
            ahead += 1
        return False

    def end_before(self, offset: int) -> None:
        """Read nothing ahead from this place on; any thread may call it."""
        self._before = offset

    def skip(self, count: int) -> None:
        """Go on behind the next so many ranges, and read no more of them."""
        if count:
            self._drop()
            self._next += count

    def close(self) -> None:
        """Wait for what is being read: its buffer, and the file, may be used again then."""
        self._drop()
        if self._opened is not None and self._opened.exception() is None:
            os.close(self._opened.result())
            self._opened, self._given_fd = None, -1

    def _drop(self) -> None:
        coming, self._coming = self._coming, deque()
        for one in reversed(coming):
            if not one.cancel():
                one.exception()

    def _begin(self, number: int) -> None:
        self._coming.append(self._ahead.thread.submit(self._read, number))

    def _read(self, number: int) -> memoryview:
        wanted = self._ranges[number]
        buffer = self._ahead.buffers[(self._first + number) % BUFFERS]
        view = buffer[: wanted.end - wanted.start]
        kept = self._keep(number, view)
        # What fails leaves nothing behind that the next range could begin with.
        self._former = None
        kept += read_full(self.fd, view[kept:], wanted.start + kept, self._ahead.step)
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
