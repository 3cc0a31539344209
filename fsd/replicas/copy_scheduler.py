"""Whose turn it is in the copying of shards: it owns the order of all pieces at all disks.

A piece is read at its source, written at its target, and with others read back there. For each of
these it waits here until its disk has room for one more request, and for reading until there is a
slot as well, so that no slot is held by what only waits for its source. Of those that wait for a
disk the first one is

    what is read for a disk that has next to nothing to write yet: that one would be idle
    then what is read back: a run of it is long, and costs few ways of the head while it lasts
    then what belongs to the flow (all that goes from one disk to another) that is done least;
    but the disk of that one goes on with the copy where its head is, a few pieces long

so that every disk is busy all the time, and all flows end together. A disk that takes nothing more
never gets all slots. What pieces took is kept: plans are made by it.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum

REQUESTS_PER_DISK = 2
"""One that runs, and one that waits at the disk, which would otherwise rest in between."""
STARVING_PIECES_MAX = 1
RUN_PIECES_MAX = 4
"""Of one copy one after the other, though its flow may be ahead: not by much."""
BACKLOG_SHARE_MAX = 0.5
"""Of the slots, on their way to one disk: it may be hanging."""
PACE_BYTES_MAX = 1 << 30
"""So much of what was done last says what a disk does just now."""
PACE_BYTES_EXPECTED = 256 << 20
"""So much as was expected counts beside what was done: one or two copies say little."""


@dataclass(slots=True)
class Flow:
    """All that is copied from one disk to another: its bytes, and those that are done."""

    total_bytes: int = 0
    done_bytes: int = 0

    @property
    def share(self) -> float:
        """Return how much of it is done."""
        return self.done_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(slots=True)
class Progress:
    """How far a copy is: what its source has given, what its target has written and proven."""

    read_bytes: int = 0
    written_bytes: int = 0
    proven_bytes: int = 0

    def restart(self) -> None:
        """Forget a try that failed."""
        self.read_bytes = self.written_bytes = self.proven_bytes = 0


class CopyStep(Enum):
    """What a piece waits for: to be read at its source, written or read back at its target."""

    READ = "read"
    WRITE = "write"
    PROVE = "prove"


@dataclass(slots=True, eq=False)
class Turn:
    """A piece of a copy that waits for its next step; `came` is done when it may take it."""

    shard_id: str
    disk_id: str
    target_id: str
    flow: Flow
    step: CopyStep
    came: "Future[None]" = field(default_factory=Future[None])
    came_s: float = 0.0


@dataclass(slots=True)
class _Run:
    """The pieces of one step of a copy that a disk had last, one after the other."""

    shard_id: str
    step: CopyStep
    pieces: int = 0


@dataclass(slots=True)
class _Pace:
    """What a disk did last, of one kind: pieces read, or pieces written and read back."""

    seconds: float = 0.0
    size_bytes: float = 0.0

    def note(self, seconds: float, size_bytes: int) -> None:
        self.seconds += seconds
        self.size_bytes += size_bytes
        if self.size_bytes > PACE_BYTES_MAX:
            self.seconds /= 2
            self.size_bytes /= 2


class CopyScheduler:
    """The turns of all copies. Safe to use from several threads."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: defaultdict[tuple[str, bool], _Pace] = defaultdict(_Pace)
        self._free_since_s: dict[str, float] = {}
        self._runs: dict[str, _Run] = {}
        self._slots_left = slots
        self._backlog_max = max(1, int(slots * BACKLOG_SHARE_MAX))
        self._waiting: list[Turn] = []
        self._requests: Counter[str] = Counter()
        self._backlog: Counter[str] = Counter()
        # Guards all above. Innermost.
        self._lock = threading.Lock()

    def ask(self, turn: Turn) -> Turn:
        """Let it wait. Once it came, `leave` follows when the disk has answered.

        For what was read, `finish` follows when it is written too, or given up. Of the same rank,
        what asked first comes first.
        """
        with self._lock:
            self._waiting.append(turn)
            self._give()
        return turn

    def leave(self, turn: Turn) -> float:
        """Note that the disk has answered; returns the seconds that it was at it."""
        with self._lock:
            now_s = self._clock()
            # Its requests follow one another: until the one before had ended, this one waited.
            begun_s = max(turn.came_s, self._free_since_s.get(turn.disk_id, 0.0))
            self._free_since_s[turn.disk_id] = now_s
            self._requests[turn.disk_id] -= 1
            self._give()
            return now_s - begun_s

    def note_pace(self, disk_id: str, seconds: float, size_bytes: int, *, writes: bool) -> None:
        """Note what reading bytes took a disk, or writing them, reading back and all.

        Of bytes that are written, as many as could have been at the disk's outer edge (see
        `DiskModel.slowdown`).
        """
        with self._lock:
            self._paces[disk_id, writes].note(seconds, size_bytes)

    def pace_s(self, disk_id: str, expected_s: float, *, writes: bool) -> float:
        """Return a disk's seconds for a byte that is read, or written and read back.

        What was expected of it, as long as copies know nothing better.
        """
        with self._lock:
            pace = self._paces[disk_id, writes]
            seconds = pace.seconds + PACE_BYTES_EXPECTED * expected_s
            return seconds / (pace.size_bytes + PACE_BYTES_EXPECTED)

    def finish(self, target_id: str, flow: Flow, done_bytes: int) -> None:
        """Note that a piece's slot is free again, and how many bytes of it are written."""
        with self._lock:
            flow.done_bytes += done_bytes
            self._backlog[target_id] -= 1
            self._slots_left += 1
            self._give()

    def withdraw(self, turn: Turn) -> None:
        """Take back what was asked and is not used, whether the turn has come or not."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        self.leave(turn)
        if turn.step is CopyStep.READ:
            self.finish(turn.target_id, turn.flow, 0)

    def _give(self) -> None:
        while able := [turn for turn in self._waiting if self._may(turn)]:
            first = self._going_on(min(able, key=self._rank), able)
            self._waiting.remove(first)
            self._requests[first.disk_id] += 1
            if first.step is CopyStep.READ:
                self._slots_left -= 1
                self._backlog[first.target_id] += 1
            if not self._is_of_run(first):
                self._runs[first.disk_id] = _Run(first.shard_id, first.step)
            self._runs[first.disk_id].pieces += 1
            first.came_s = self._clock()
            first.came.set_result(None)

    def _may(self, turn: Turn) -> bool:
        if self._requests[turn.disk_id] >= REQUESTS_PER_DISK:
            return False
        has_slot = self._slots_left and self._backlog[turn.target_id] < self._backlog_max
        return turn.step is not CopyStep.READ or bool(has_slot)

    def _is_of_run(self, turn: Turn) -> bool:
        run = self._runs.get(turn.disk_id)
        return run is not None and (run.shard_id, run.step) == (turn.shard_id, turn.step)

    def _going_on(self, first: Turn, able: list[Turn]) -> Turn:
        """Return what its disk goes on with before that one, if anything, else `first` itself."""
        run = self._runs.get(first.disk_id)
        if run is None or run.pieces >= RUN_PIECES_MAX or self._rank(first)[0] < 2:
            return first
        here = (turn for turn in able if turn.disk_id == first.disk_id and self._is_of_run(turn))
        return next(here, first)

    def _rank(self, turn: Turn) -> tuple[int, float]:
        """Return the place of a turn among those that wait; of equal ones the oldest is first."""
        backlog = self._backlog[turn.target_id]
        if turn.step is CopyStep.READ and backlog <= STARVING_PIECES_MAX:
            return 0, backlog
        if turn.step is CopyStep.PROVE:
            return 1, 0.0
        return 2, turn.flow.share
