"""The end of a try to tell somebody: it owns one deadline for a connection, and speaks no protocol.

A socket's own timeout is about silence: whoever sends a byte now and then is never silent. Here a
thread ends the connection itself, whatever is being read or written on it: one of the process, for
all tries; a thread for each took longer than a short try.
"""

from __future__ import annotations

import contextlib
import heapq
import http.client
import itertools
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType


class _Ends:
    """The deadlines of a process, and the thread that ends what is over."""

    def __init__(self) -> None:
        # Guards all below, between the thread and who begins a try. A deadline's lock is taken with
        # it by nobody.
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Deadline]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._wakes_s = math.inf

    def add(self, end_s: float, one: Deadline) -> None:
        """End this one then, unless it is over before."""
        with self._changed:
            # Most of them are: the oldest go here, so the list is as long as there are tries.
            while self._waiting and self._waiting[0][2].is_over:
                heapq.heappop(self._waiting)
            heapq.heappush(self._waiting, (end_s, next(self._numbers), one))
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                thread.start()
                self._thread = thread
            elif end_s < self._wakes_s:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                left_s = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if left_s is None or left_s > 0:
                    self._wakes_s = self._waiting[0][0] if self._waiting else math.inf
                    self._changed.wait(left_s)
                    continue
                found = heapq.heappop(self._waiting)[2]
            found.end()


class Deadline:
    """Ends the connections made through it when its time is over; a TimeoutError says so."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._end_s = time.monotonic() + within_s
        self._handles: list[socket.socket] = []
        # Guards `_handles` and `_over`, between the thread and who uses the connection. Innermost.
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Deadline:
        _ends.add(self._end_s, self)
        return self

    def connect(
        self,
        host: str,
        port: int,
        silence_s: float,
        permit: Callable[[str], None] | None = None,
    ) -> socket.socket:
        """Return a connection to a receiver; all its addresses share the time that is left.

        `permit` is asked with each of them before any is connected to, and raises OSError.
        """
        problem: OSError = self._is_late()
        found_at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if permit is not None:
            for *_, address in found_at:
                permit(str(address[0]))
        for family, kind, protocol, _, address in found_at:
            left_s = self._end_s - time.monotonic()
            if left_s <= 0:
                break
            found = socket.socket(family, kind, protocol)
            try:
                found.settimeout(min(silence_s, left_s))
                found.connect(address)
                found.settimeout(silence_s)
                self.watch(found)
            except OSError as error:
                found.close()
                problem = error
                continue
            return found
        raise problem

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            over = self._over
            self._over = True
            for handle in self._handles:
                handle.close()
            self._handles.clear()
        if over and isinstance(error, OSError | http.client.HTTPException):
            raise self._is_late() from error

    def _is_late(self) -> TimeoutError:
        return TimeoutError(f"it took longer than {self._within_s:g} s")

    def watch(self, found: socket.socket) -> None:
        """End this connection, too, when the time is over."""
        # A second handle on it: the first may become that of TLS, which has none, or be closed.
        with self._lock:
            if self._over:
                raise self._is_late()
            self._handles.append(socket.socket(fileno=os.dup(found.fileno())))

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing left to end."""
        return self._over

    def end(self) -> None:
        """End what was made through it; whoever uses it gets an error."""
        with self._lock:
            self._over = True
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)


_ends = _Ends()


def _begin_anew() -> None:
    # A fork has no thread, and may have the lock of one that was in the middle.
    global _ends
    _ends = _Ends()


os.register_at_fork(after_in_child=_begin_anew)
