"""The requests of a disk's extract lane: it owns which one runs, and what is taken back of it.

They come one after the other, in one thread. While the last files of one are written, the first
windows of the next one are read.

What has not been begun can be taken back (`give_back`): all of it while the disk hangs, half of it
when another disk has nothing left to do. From then on that disk may write those files, since this
one never will, whenever its read may end.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from fsd.disk_io.extract.extract import Failure, Kept, Segment, guarded
from fsd.disk_io.extract.extract_windows import (
    HOLE_BYTES_MAX,
    Item,
    Window,
    plan_windows,
    ranges_of,
)
from fsd.disk_io.reading.read_ahead import ReadAhead, Reads
from fsd.disk_io.shard_file import WINDOW_BYTES, Step

ENDED_KEPT = 256
"""Requests that are known to have ended: more than are ever out at once."""


class Request(NamedTuple):
    """Items of a shard to write below `target`; holes up to `hole_bytes_max` are read through.

    `file` is the shard's descriptor, or opens it for this request.
    """

    number: int
    file: int | Callable[[], int]
    shard_id: bytes
    items: Sequence[Item]
    target: str
    hole_bytes_max: int = HOLE_BYTES_MAX


class _Prepared(NamedTuple):
    """A request of which the first windows may be read already."""

    number: int
    windows: list[Window]
    reads: Reads


class Extractor:
    """What writes the files, and reads ahead of itself, for the life of a disk process.

    `upcoming` tells the request that will probably be next, when there is one.
    """

    def __init__(self, step: Step, upcoming: Callable[[], Request | None] = lambda: None) -> None:
        self._step = step
        self._upcoming = upcoming
        self._ahead = ReadAhead(step)
        self._early: _Prepared | None = None
        # Guards what runs, has ended and was taken back. Before `Segment._lock`.
        self._lock = threading.Lock()
        self._running: tuple[int, Segment] | None = None
        self._ended: deque[int] = deque(maxlen=ENDED_KEPT)
        self._taken: set[int] = set()

    def run(
        self,
        fd: int,
        shard_id: bytes,
        items: Sequence[Item],
        target: str,
        hole_bytes_max: int = HOLE_BYTES_MAX,
    ) -> tuple[int, int, list[Failure]]:
        """Extract all items below `target`; returns (files, bytes written, failures).

        Raises QuotaError when the SSD is full and FsdError for other faults of the target;
        faults of this disk are failures of the items they hit.
        """
        kept = self.run_for(Request(0, fd, shard_id, items, target, hole_bytes_max))
        return kept.files, kept.size_bytes, kept.failures

    def run_for(self, request: Request) -> Kept:
        """Extract like `run`: the rest of the request may be taken back by its number."""
        _, windows, reads = self._take_early(request) or self._prepare(request, 0)
        reads.follows = self._follow
        try:
            folder = guarded(os.open, request.target, os.O_RDONLY | os.O_DIRECTORY)
            try:
                return self._run(request, windows, reads, folder)
            finally:
                os.close(folder)
        finally:
            reads.close()

    def _run(self, request: Request, windows: list[Window], reads: Reads, folder: int) -> Kept:
        segment = Segment(reads.fd, request.shard_id, folder, self._step, reads, windows)
        try:
            if self._begin(request.number, segment):
                for window in windows:
                    if window.first >= segment.limit:
                        break
                    if window.end - window.start <= WINDOW_BYTES:
                        segment.extract_window(window, request.items)
                    else:
                        segment.extract_large(window, request.items)
                    if segment.stopped:
                        break
                    self._step()
        finally:
            self._end(request.number)
        return segment.kept()

    def _prepare(self, request: Request, first: int) -> _Prepared:
        windows = plan_windows(request.items, hole_bytes_max=request.hole_bytes_max)
        of = request.items
        ranges = [one for window in windows for one in ranges_of(window, of[window.first])]
        return _Prepared(request.number, windows, Reads(self._ahead, request.file, ranges, first))

    def _follow(self, first: int) -> Reads | None:
        """Return the reads of the request that waits behind the one that runs."""
        if self._early is None:
            request = self._upcoming()
            self._early = self._prepare(request, first) if request is not None else None
        return self._early.reads if self._early is not None else None

    def _take_early(self, request: Request) -> _Prepared | None:
        early, self._early = self._early, None
        if early is not None and early.number != request.number:
            early.reads.close()
            return None
        return early

    def give_back(self, number: int, half: bool = False) -> Kept | None:
        """Never begin what a request has not begun; returns what it keeps, None when it has ended.

        With `half` a request that runs keeps half of it, and None says that there is too little to
        halve. Waits for nothing that the disk does; any thread may call it.
        """
        with self._lock:
            if number in self._ended:
                return None
            if self._running is None or self._running[0] != number:
                self._taken.add(number)
                return Kept(0, True, 0, 0, [])
            segment = self._running[1]
            return segment.halve() if half else segment.stop()

    def _begin(self, number: int, segment: "Segment") -> bool:
        with self._lock:
            if number in self._taken:
                self._taken.discard(number)
                return False
            self._running = (number, segment)
            return True

    def _end(self, number: int) -> None:
        with self._lock:
            self._running = None
            self._ended.append(number)
