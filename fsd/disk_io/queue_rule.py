"""Who may use a disk now: it owns the order of a disk's requests, never a request itself.

    foreground   single reads: never wait
    batch        exports and puts
    background   copies (rebuild, drain, rebalance), verification, compaction
    scrub        the debt that is paid when nothing else goes on

Each kind gives way to those above it while they run, wait or have just run, though never for longer
than WAIT_S_MAX, so that nothing starves. Background and scrub have one request of at most 1 MiB in
flight between them; so has everything but the foreground while the foreground is in use. A
single read then meets at most one such request, about 10 ms, whatever else the disk is doing.
Where one request follows the other, whoever has the turn keeps it until somebody else has waited
for the limit of its kind: two streams that alternate piece by piece would pay a seek for each. That
holds for an export and a put as well, which may otherwise run side by side; what comes alone, like
an entry for the catalog, neither waits for a turn nor takes one.

No I/O priority of the kernel is set. Among ourselves it would decide nothing, since what gives way
is not sent; whether it counts at all is up to the disk's scheduler; and a request that the kernel
may hold back for as long as other programs use the disk would pass for a disk that hangs.

`QueueRule` is the decision, pure. `Gate` lets the threads of a disk's process wait for it.
"""

import threading
import time
from collections.abc import Callable, Iterable
from enum import IntEnum

from fsd.process.child import Lane

PIECE_BYTES = 1 << 20
GRACE_S = 0.01
"""About one seek: who reads one file after the other comes back within it."""
ACTIVE_S = 30.0
"""The foreground is in use for so long after a read: one a second, of any of a dozen disks."""
WAIT_S_MAX = (0.0, 0.1, 0.25, 0.5)
"""By kind. Beside a foreground that never rests: 10, 4 and 2 requests of 1 MiB a second."""
CHECK_S = 0.05


class Kind(IntEnum):
    """The kinds of requests, the most urgent first; also the priorities of operations."""

    FOREGROUND = 0
    BATCH = 1
    BACKGROUND = 2
    SCRUB = 3


class QueueRule:
    """What runs and waits on one disk. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._running = [0] * len(Kind)
        self._waiting: list[tuple[Kind, float]] = []
        self._ended_s = [float("-inf")] * len(Kind)
        self._holder: tuple[Kind, object] = (Kind.FOREGROUND, None)

    def wait(self, kind: Kind, now_s: float) -> None:
        """Note that a request of this kind waits since now."""
        self._waiting.append((kind, now_s))

    def leave(self, kind: Kind, since_s: float) -> None:
        """Note that the one that waited since then waits no more."""
        self._waiting.remove((kind, since_s))

    def begin(self, kind: Kind, who: object = None) -> None:
        """Note that a request of this kind runs now; `who` tells the streams of a kind apart.

        None is no stream: it has no turn.
        """
        self._running[kind] += 1
        if kind != Kind.FOREGROUND and who is not None:
            self._holder = (kind, who)

    def end(self, kind: Kind, now_s: float) -> None:
        """Note that one has ended."""
        self._running[kind] -= 1
        self._ended_s[kind] = now_s

    def piece_bytes(self, kind: Kind, wanted_bytes: int, now_s: float) -> int:
        """Return how many of the wanted bytes one request may have."""
        small = kind >= Kind.BACKGROUND or (kind == Kind.BATCH and self._active(now_s))
        return min(wanted_bytes, PIECE_BYTES) if small else wanted_bytes

    def delay_s(self, kind: Kind, since_s: float, now_s: float, who: object = None) -> float:
        """Return 0 when the one that waits since then may begin, else when to ask again at most."""
        if kind == Kind.FOREGROUND:
            return 0.0
        alone = kind >= Kind.BACKGROUND or self._active(now_s)
        patience_s = since_s + WAIT_S_MAX[kind] - now_s
        if patience_s > 0:
            yielding_s = max(self._yielding_s(kind, now_s), self._holding_s(kind, who, now_s))
            if yielding_s > 0:
                return min(patience_s, yielding_s)
        if not alone:
            mine = [one for one in self._waiting if one[0] == kind]
            return 0.0 if who is None or _is_next(mine, since_s, now_s) else CHECK_S
        # One at a time, the overdue ones first: a stream of others starves nobody.
        others = self._running[Kind.BATCH if self._active(now_s) else Kind.BACKGROUND :]
        return 0.0 if _is_next(self._waiting, since_s, now_s) and not any(others) else CHECK_S

    def last_end_s(self) -> float:
        """Return when a request ended last, of any kind."""
        return max(self._ended_s)

    def _yielding_s(self, kind: Kind, now_s: float) -> float:
        above = range(Kind.FOREGROUND, kind)
        if any(self._running[other] for other in above):
            return CHECK_S
        if any(other < kind for other, _ in self._waiting):
            return CHECK_S
        return max(self._ended_s[other] for other in above) + GRACE_S - now_s

    def _holding_s(self, kind: Kind, who: object, now_s: float) -> float:
        holding, holder = self._holder
        if holding != kind or who is None or holder is who:
            return 0.0
        return CHECK_S if self._running[kind] else self._ended_s[kind] + GRACE_S - now_s

    def _active(self, now_s: float) -> bool:
        foreground = self._running[Kind.FOREGROUND] > 0
        return foreground or now_s - self._ended_s[Kind.FOREGROUND] < ACTIVE_S


def _is_next(waiting: Iterable[tuple[Kind, float]], since_s: float, now_s: float) -> bool:
    """Whether nobody who waits for longer than since then is overdue."""
    overdue = [since for kind, since in waiting if now_s - since > WAIT_S_MAX[kind]]
    return since_s <= min(overdue, default=since_s)


class Gate:
    """The rule of one disk, shared by the threads of its process."""

    def __init__(self) -> None:
        self._rule = QueueRule()
        # Guards the rule, never held while the disk is asked. Innermost.
        self._changed = threading.Condition()

    def pass_in(
        self, kind: Kind, wanted_bytes: int, step: Callable[[], None], who: object = None
    ) -> int:
        """Wait for the turn of one request; returns how many bytes it may have.

        `who` is the stream that the request belongs to. `step` is called while it waits, so that
        nobody takes it for a hanging disk; what it raises ends the wait. Whoever passed in goes out
        again, whatever became of the request.
        """
        with self._changed:
            since_s = time.monotonic()
            self._rule.wait(kind, since_s)
            try:
                while (delay_s := self._rule.delay_s(kind, since_s, time.monotonic(), who)) > 0:
                    self._changed.wait(delay_s)
                    step()
                self._rule.begin(kind, who)
            finally:
                self._rule.leave(kind, since_s)
            return self._rule.piece_bytes(kind, wanted_bytes, time.monotonic())

    def go_out(self, kind: Kind) -> None:
        """Note that the request has ended."""
        with self._changed:
            self._rule.end(kind, time.monotonic())
            self._changed.notify_all()

    def last_end_s(self) -> float:
        """Return when a request ended last (`time.monotonic`)."""
        with self._changed:
            return self._rule.last_end_s()

    def arrive(self) -> None:
        """Note that a foreground request has arrived; it goes out when it is answered."""
        with self._changed:
            self._rule.begin(Kind.FOREGROUND)

    def answer(self) -> None:
        """Note that it was answered."""
        self.go_out(Kind.FOREGROUND)


class GatedStep:
    """The step of a lane (see `shard_file.Step`) whose requests pass the gate.

    They are of the kind that the priority of the lane's operation says: batch, or background. Those
    of a `stream` follow one another, and take turns with other streams.
    """

    def __init__(self, lane: Lane, gate: Gate, *, stream: bool = True) -> None:
        self._lane = lane
        self._gate = gate
        self._who = self if stream else None
        self._passed: list[Kind] = []

    def __call__(self) -> None:
        """Count one step."""
        self._lane.step()

    def begin(self, wanted_bytes: int) -> int:
        """Wait for the turn of a request, see `Gate.pass_in`."""
        kind = Kind.BATCH if self._lane.priority < Kind.BACKGROUND else Kind.BACKGROUND
        size = self._gate.pass_in(kind, wanted_bytes, self, self._who)
        self._passed.append(kind)
        return size

    def end(self) -> None:
        """Let others pass, and count a step."""
        self._gate.go_out(self._passed.pop())
        self._lane.step()
