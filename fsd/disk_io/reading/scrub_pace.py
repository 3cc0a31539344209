"""How fast a scrub reads: it owns the waiting for its rate and for a stop, in a disk process.

Which other requests it gives way to is said in `queue_rule`; there it is the last of all.
"""

import os
import threading
import time

from fsd.disk_io.queue_rule import Gate, Kind
from fsd.disk_io.reading.verify import VerifyResult, verify_shard
from fsd.disk_io.shard_file import open_direct
from fsd.format.errors import CancelledError
from fsd.process.child import Lane


class Pace:
    """The step of one verification of `size_bytes`; rate 0 is without a limit."""

    def __init__(
        self, lane: Lane, gate: Gate, stop: threading.Event, size_bytes: int, rate: float
    ) -> None:
        self._lane = lane
        self._gate = gate
        self._stop = stop
        self._size_bytes = size_bytes
        self._rate = rate
        self._charged_bytes = 0
        self._began = time.monotonic()

    def __call__(self) -> None:
        """Count one step; CancelledError when the scrub was stopped."""
        # Waiting is not hanging: the watchdog sees that the lane lives.
        self._lane.step()
        if self._stop.is_set():
            raise CancelledError("the scrub was stopped")

    def begin(self, wanted_bytes: int) -> int:
        """Wait until the rate and the other requests of the disk allow the next read."""
        self._catch_up(self._charged_bytes)
        size = self._gate.pass_in(Kind.SCRUB, wanted_bytes, self)
        # Never more than the whole: what is read twice is charged once.
        self._charged_bytes = min(self._charged_bytes + size, self._size_bytes)
        return size

    def end(self) -> None:
        """Let others pass."""
        self._gate.go_out(Kind.SCRUB)
        self._lane.step()

    def finish(self) -> None:
        """Wait out what was read last."""
        self._catch_up(self._size_bytes)

    def _catch_up(self, done_bytes: int) -> None:
        self()
        if self._rate <= 0:
            return
        due = self._began + done_bytes / self._rate
        while (left := due - time.monotonic()) > 0:
            self._stop.wait(min(left, 0.25))
            self()


class ScrubLane:
    """One lane's verifications, one at a time."""

    def __init__(self, lane: Lane, gate: Gate) -> None:
        self._lane = lane
        self._gate = gate
        self._stop = threading.Event()

    def run(self, path: str, shard_id: bytes, rate_bytes_per_s: float) -> VerifyResult:
        """Verify a sealed replica; CancelledError when it is stopped meanwhile."""
        self._stop.clear()
        # A descriptor of its own: a replica that was replaced must not be read through an old one.
        fd = open_direct(path, os.O_RDONLY)
        try:
            size_bytes = os.fstat(fd).st_size
            pace = Pace(self._lane, self._gate, self._stop, size_bytes, rate_bytes_per_s)
            result = verify_shard(fd, shard_id, pace)
            pace.finish()
            return result
        finally:
            os.close(fd)

    def stop(self) -> None:
        """End the verification that runs now, if any."""
        self._stop.set()
