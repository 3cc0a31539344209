"""The engine's half of a process pair: it owns starting, watching and killing one child.

A request returns a future. A lane that makes no step for the stall limit while a request of its
is out means that the child hangs in the kernel or was stopped: it is killed (SIGKILL also ends a
stopped process, and a process stuck in the kernel runs no further instruction of ours when it
comes back, so its work may safely be given to others) and its futures fail. Nobody who asks
waits for a child without a limit.
"""

import contextlib
import itertools
import mmap
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from fsd.format.errors import DiskError, DiskStalledError, FsdError
from fsd.planning.disk_health import SLOW_S, TroubleKind
from fsd.process import fork_server
from fsd.process.child import LANES_MAX, read_steps
from fsd.process.slots import Slot, SlotPool

DEATH_WAIT_S = 1.0
START_TRIES = 2
"""A fork server that has died or hangs is replaced."""


@dataclass(slots=True)
class _Pending:
    lane: int
    future: "Future[Any]"
    slots: tuple[Slot, ...] = ()
    sent_s: float = 0.0


@dataclass(slots=True)
class _LaneWatch:
    steps: int = -1
    since: float = 0.0
    out: int = field(default=0)
    answered_s: float = 0.0


class Child:
    """One running child process; it never restarts itself."""

    def __init__(
        self,
        module: str,
        label: str,
        lanes: dict[str, int],
        pool: SlotPool,
        stall_timeout_s: float | None = None,
    ) -> None:
        """Start the child; `stall_timeout_s` replaces the watchdog's own limit for it.

        Raises FsdError when the machine has no more processes, memory or descriptors.
        """
        self.label = label
        self.on_trouble: Callable[[TroubleKind], None] = lambda _kind: None
        self.slow = False
        self.stall_timeout_s = stall_timeout_s
        self._lanes = lanes
        self._pool = pool
        # Guards `_pending`, `_watch` and `_failure`. After `DiskSet._lock`, before the pool's.
        self._lock = threading.Lock()
        # Held for one message; may wait for a child that takes none, so never with another lock of
        # this object.
        self._sending = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._numbers = itertools.count(1)
        self._watch = [_LaneWatch() for _ in range(LANES_MAX)]
        self._failure: DiskError | None = None
        self._process, self._page, self._socket = _begin(module, label, pool)
        self._connection = Connection(os.dup(self._socket.fileno()))
        threading.Thread(target=self._receive, name=f"receive-{label}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether requests are still accepted."""
        return self._failure is None

    def request(
        self, operation: str, *arguments: Any, slots: tuple[Slot, ...] = (), priority: int = 1
    ) -> "Future[Any]":
        """Send a request; lower `priority` goes first within its lane.

        `slots` are lent to the child until it answers, or until its death when it is killed;
        the caller releases them as always, the pool waits for the borrower.
        """
        future: Future[Any] = Future()
        number = next(self._numbers)
        lane = self._lanes[operation]
        with self._lock:
            if self._failure is not None:
                future.set_exception(self._failure)
                return future
            self._pool.lend(slots)
            self._pending[number] = _Pending(lane, future, slots, time.monotonic())
            watch = self._watch[lane]
            if watch.out == 0:
                watch.steps, watch.since = -1, time.monotonic()
            watch.out += 1
        # Not under the lock above: a stopped child takes nothing from a full socket, and the
        # watchdog needs that lock to find out. Its kill breaks the socket and ends this wait; the
        # receiver sees a closed socket too, and fails every pending request.
        with self._sending, contextlib.suppress(OSError):
            self._connection.send((number, operation, arguments, priority))
        return future

    def call(self, operation: str, *arguments: Any, priority: int = 1) -> Any:
        """Send a request and wait for its answer; a stall ends the wait with an error."""
        return self.request(operation, *arguments, priority=priority).result()

    def owing(self, operation: str) -> tuple[int, float, int]:
        """Return (requests out in an operation's lane, seconds it is silent, requests out in all).

        It is silent since it answered last, or since the oldest request that waits now.
        """
        lane = self._lanes[operation]
        with self._lock:
            sent = [pending.sent_s for pending in self._pending.values() if pending.lane == lane]
            answered_s, out = self._watch[lane].answered_s, len(self._pending)
        silent_s = time.monotonic() - max(answered_s, min(sent)) if sent else 0.0
        return len(sent), silent_s, out

    def stalled_s(self, now: float) -> float:
        """Return for how long the slowest busy lane has made no step."""
        with self._lock:
            return max(self._still_s(lane, now) for lane in range(LANES_MAX))

    def still_s(self, operation: str, now: float) -> float:
        """Return for how long an operation's lane has made no step; 0 when it has nothing to do."""
        with self._lock:
            return self._still_s(self._lanes[operation], now)

    def _still_s(self, lane: int, now: float) -> float:
        watch = self._watch[lane]
        if watch.out == 0:
            return 0.0
        steps = read_steps(self._page, lane)
        if steps != watch.steps:
            watch.steps, watch.since = steps, now
        return now - watch.since

    def kill(self, error: DiskError | None = None) -> None:
        """Kill the child at once; all its requests fail with `error`, in a thread of its own."""
        self._fail(error or DiskError(f"{self.label} was ended", self.label))

    def wait_dead(self, timeout_s: float = DEATH_WAIT_S) -> bool:
        """Return whether the process has ended, waiting at most `timeout_s`."""
        return self._process.wait(timeout_s)

    def _receive(self) -> None:
        while True:
            try:
                number, succeeded, value = self._connection.recv()
            except Exception:
                # A closed socket, or an answer that cannot be read: either way it is over.
                break
            with self._lock:
                pending = self._pending.pop(number, None)
                if pending is not None:
                    self._watch[pending.lane].out -= 1
                    self._watch[pending.lane].answered_s = time.monotonic()
            if pending is None:
                continue
            self._pool.give_back(pending.slots)
            if succeeded:
                pending.future.set_result(value)
            else:
                if isinstance(value, DiskError):
                    value.disk = self.label
                pending.future.set_exception(value)
        self.kill(DiskError(f"the process of {self.label} ended", self.label))
        # Not while somebody sends: the rest of the message would go to whatever is opened next.
        with self._sending, contextlib.suppress(OSError):
            self._connection.close()
            self._socket.close()

    def _fail(self, error: DiskError) -> None:
        with self._lock:
            if self._failure is not None:
                return
            self._failure = error
            orphans, self._pending = list(self._pending.values()), {}
        self._process.kill()
        # A process stuck in the kernel keeps its end open: this frees whoever sends or receives.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        threading.Thread(target=self._bury, args=(orphans, error), daemon=True).start()

    def _bury(self, orphans: list[_Pending], error: DiskError) -> None:
        # Here and not in the killer's thread: what waits for these futures may wait for locks, and
        # the watchdog has other children to look after.
        for pending in orphans:
            pending.future.set_exception(error)
        # A process stuck in the kernel may still write into its buffer: wait for its death.
        self._process.wait()
        self._process.close()
        self._pool.give_back(tuple(slot for pending in orphans for slot in pending.slots))


def _begin(
    module: str, label: str, pool: SlotPool
) -> tuple[fork_server.ForkedChild, mmap.mmap, socket.socket]:
    """Return a new process, the page of its steps, and our end of its socket."""
    for tries_left in reversed(range(START_TRIES)):
        try:
            return _try_to_begin(module, label, pool)
        except OSError as error:
            if not (tries_left and isinstance(error, (ConnectionError, TimeoutError))):
                raise FsdError(f"no process could be started for {label}: {error}") from error
    raise AssertionError("it returns or raises above")


def _try_to_begin(
    module: str, label: str, pool: SlotPool
) -> tuple[fork_server.ForkedChild, mmap.mmap, socket.socket]:
    page_fd = os.memfd_create("drystone-steps", os.MFD_CLOEXEC)
    try:
        os.ftruncate(page_fd, 8 * LANES_MAX)
        page = mmap.mmap(page_fd, 8 * LANES_MAX)
        # One of its own for each try: when a fork server ends before it has said whom it made, that
        # one ends with this socket, and never hears what its successor is asked.
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = fork_server.fork(module, label, [page_fd, theirs.fileno(), *pool.fds])
            except BaseException:
                ours.close()
                raise
    finally:
        os.close(page_fd)
    return process, page, ours


class Watchdog:
    """One thread that looks at every child four times a second and kills the stalled ones."""

    PERIOD_S = 0.25

    def __init__(self, children: Callable[[], list[Child]], stall_timeout_s: float) -> None:
        self._children = children
        self._limit_s = stall_timeout_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5 * self.PERIOD_S)

    def _run(self) -> None:
        while not self._stop.wait(self.PERIOD_S):
            now = time.monotonic()
            for child in self._children():
                stalled_s = child.stalled_s(now) if child.alive else 0.0
                slow, child.slow = stalled_s > SLOW_S and not child.slow, stalled_s > SLOW_S
                if slow:
                    child.on_trouble("slow")
                if stalled_s > (child.stall_timeout_s or self._limit_s):
                    child.on_trouble("stall")
                    message = f"{child.label} made no progress for {stalled_s:.1f} s"
                    child.kill(DiskStalledError(message, child.label))
