"""How fast a scrub reads: it owns the waiting between two reads of a replica, in a disk process.

Between any two reads (1 MiB, or a piece of a larger record) it waits while other lanes of the disk
are busy, though never so long that scrubbing stands still, and then until the rate allows the next.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence

from fsd.child import Lane
from fsd.errors import CancelledError
from fsd.shard_file import Step, open_direct
from fsd.verify import VerifyResult, verify_shard

SCRUB_WINDOW_BYTES = 1 << 20
POLL_S = 0.01
IDLE_WAIT_S_MAX = 0.5
"""At least two reads a second go on beside a disk that is never idle."""


class Pace:
    """A step function for one verification of `size_bytes`; rate 0 is without a limit."""

    def __init__(
        self,
        step: Step,
        busy: Callable[[], bool],
        stop: threading.Event,
        size_bytes: int,
        rate_bytes_per_s: float,
    ) -> None:
        self._step = step
        self._busy = busy
        self._stop = stop
        self._size_bytes = size_bytes
        self._rate = rate_bytes_per_s
        self._charged_bytes = 0
        self._began = time.monotonic()

    def __call__(self) -> None:
        """Wait until the next read may begin; CancelledError when the scrub was stopped."""
        # Never more than the whole: many small reads are not charged as many large ones.
        self._charged_bytes = min(self._charged_bytes + SCRUB_WINDOW_BYTES, self._size_bytes)
        self._step()
        limit = time.monotonic() + IDLE_WAIT_S_MAX
        while self._busy() and time.monotonic() < limit:
            self._sleep(POLL_S)
        self._catch_up(self._charged_bytes)

    def finish(self) -> None:
        """Wait out what reads larger than a window were not charged for."""
        self._catch_up(self._size_bytes)

    def _catch_up(self, done_bytes: int) -> None:
        if self._rate <= 0:
            self._sleep(0)
            return
        due = self._began + done_bytes / self._rate
        while (left := due - time.monotonic()) > 0:
            self._sleep(min(left, 0.25))

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds) if seconds > 0 else self._stop.is_set():
            raise CancelledError("the scrub was stopped")
        # Waiting is not hanging: the watchdog sees that the lane lives.
        self._step()


class ScrubLane:
    """One lane's verifications, one at a time; `others` are the lanes it gives way to."""

    def __init__(self, lane: Lane, others: Sequence[Lane]) -> None:
        self._lane = lane
        self._others = others
        self._stop = threading.Event()

    def run(self, path: str, shard_id: bytes, rate_bytes_per_s: float) -> VerifyResult:
        """Verify a sealed replica; CancelledError when it is stopped meanwhile."""
        self._stop.clear()
        # A descriptor of its own: a replica that was replaced must not be read through an old one.
        fd = open_direct(path, os.O_RDONLY)
        try:
            size_bytes = os.fstat(fd).st_size
            pace = Pace(self._lane.step, self._busy, self._stop, size_bytes, rate_bytes_per_s)
            result = verify_shard(fd, shard_id, pace, SCRUB_WINDOW_BYTES)
            pace.finish()
            return result
        finally:
            os.close(fd)

    def stop(self) -> None:
        """End the verification that runs now, if any."""
        self._stop.set()

    def _busy(self) -> bool:
        return any(lane.busy or not lane.queue.empty() for lane in self._others)
