"""The end of a try to tell somebody: it owns one deadline for a connection, and speaks no protocol.

A socket's own timeout is about silence: whoever sends a byte now and then is never silent. Here a
timer ends the connection itself, whatever is being read or written on it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType


class Deadline:
    """Ends the connections made through it when its time is over; a TimeoutError says so."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._end_s = time.monotonic() + within_s
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(within_s, self._end)
        self._timer.daemon = True
        # Guards `_handles` and `_over`, between the timer and who uses the connection. Innermost.
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Deadline:
        self._timer.start()
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
        problem: OSError = TimeoutError("no time is left")
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
        self._timer.cancel()
        with self._lock:
            over = self._over
            self._over = True
            for handle in self._handles:
                handle.close()
            self._handles.clear()
        if over and isinstance(error, OSError | http.client.HTTPException):
            raise TimeoutError(f"it took longer than {self._within_s:g} s") from error

    def watch(self, found: socket.socket) -> None:
        """End this connection, too, when the time is over."""
        # A second handle on it: the first may become that of TLS, which has none, or be closed.
        with self._lock:
            if self._over:
                raise TimeoutError("no time is left")
            self._handles.append(socket.socket(fileno=os.dup(found.fileno())))

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)
