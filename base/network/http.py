"""HTTP between our processes: connections to a unix socket or a TCP port, and sockets to listen on.

With the standard library, which is there ten times sooner than a larger client (0.03 s against
0.3 s of every command's time). A path of a unix socket may have any length: the kernel's limit of
107 bytes is passed by a descriptor of its folder.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

SOCKET_PATH_SIZE_BYTES_MAX = 107
BACKLOG = 128


def connection(
    address: str, timeout_s: float, tls: ssl.SSLContext | None = None
) -> http.client.HTTPConnection:
    """Return an unopened connection to an address: `http://HOST:PORT`, `https://`, or a path."""
    if "://" not in address:
        return _UnixConnection(address, timeout_s)
    parts = urlsplit(address)
    host = parts.hostname or "localhost"
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=tls)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout_s)


def listen(path: str) -> socket.socket:
    """Open a unix socket for its owner only, in the place of a stale one; OSError when it cannot.

    The mask of the whole process is changed for a moment: threads that make files wait for it.
    """
    with suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with _reachable(path) as short_path:
            listener.bind(short_path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.settimeout(self.timeout)
            with _reachable(self._path) as path:
                opened.connect(path)
        except OSError:
            opened.close()
            raise
        self.sock = opened


@contextmanager
def _reachable(path: str) -> Generator[str]:
    """Yield a path that `bind` and `connect` take: the given one, or one through a descriptor."""
    if len(os.fsencode(path)) <= SOCKET_PATH_SIZE_BYTES_MAX:
        yield path
        return
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
