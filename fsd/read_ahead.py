"""Reading ranges of a file ahead of whoever uses them: it owns three buffers and their thread.

All reads are made by one thread, in the order given, and no byte is read twice: the head of the
disk never goes back. While one range is used and the next one is there, the one behind it is read:
the disk never waits for one thread to wake the other.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from fsd.record import SECTOR_BYTES
from fsd.shard_file import WINDOW_BYTES, Step, large_pages, read_full

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
    """The ranges of one file, in turn; used by one thread, and closed by it."""

    def __init__(self, ahead: ReadAhead, fd: int, ranges: Sequence[Range]) -> None:
        self._ahead = ahead
        self._fd = fd
        self._ranges = ranges
        self._before = ranges[-1].end if ranges else 0
        self._next = 0
        self._coming: deque[Future[memoryview]] = deque()
        self._former: tuple[Range, memoryview] | None = None

    def next(self) -> memoryview:
        """Return the bytes of the next range, fewer where the file ends; valid till the next call.

        OSError when the disk cannot read it; the range behind it is next then.
        """
        if not self._coming:
            self._begin(self._next)
        ahead = self._next + len(self._coming)
        while len(self._coming) < BUFFERS and ahead < len(self._ranges):
            if self._ranges[ahead].start >= self._before:
                break
            self._begin(ahead)
            ahead += 1
        self._next += 1
        return self._coming.popleft().result()

    def end_before(self, offset: int) -> None:
        """Read nothing ahead from this place on; any thread may call it."""
        self._before = offset

    def skip(self, count: int) -> None:
        """Go on behind the next so many ranges, and read no more of them."""
        if count:
            self.close()
            self._next += count

    def close(self) -> None:
        """Wait for what is being read: its buffer, and the file, may be used again then."""
        coming, self._coming = self._coming, deque()
        for one in reversed(coming):
            if not one.cancel():
                one.exception()

    def _begin(self, number: int) -> None:
        self._coming.append(self._ahead.thread.submit(self._read, number))

    def _read(self, number: int) -> memoryview:
        wanted = self._ranges[number]
        view = self._ahead.buffers[number % BUFFERS][: wanted.end - wanted.start]
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
