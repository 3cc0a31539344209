"""How an HTTP API of this machine listens: it owns sockets, tokens and signals, and no route.

A unix socket is for its owner alone (mode 0600), who needs no token. Over TCP every request bears
the token of a file that nobody else may read; it is never an argument, which everybody can see, nor
in a log.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import stat
from collections.abc import Generator, Sequence
from typing import Any

import uvicorn

from base.errors import UsageError
from base.http import listen
from sql.core.errors import DatabaseUnavailableError

HOST = "127.0.0.1"
TOKEN_LENGTH_MIN = 20
SHUTDOWN_GRACE_S = 5


def read_token(path: str) -> str:
    """Return the token in a file of mode 0600 that is ours; UsageError says what is wrong."""
    how = f"make one: (umask 077; head -c 32 /dev/urandom | base64 > {path})"
    try:
        with open(path, encoding="ascii") as file:
            state = os.fstat(file.fileno())
            token = file.read().strip()
    except OSError as error:
        raise UsageError(
            f"the token file {path} cannot be read: {error.strerror}; {how}"
        ) from error
    except UnicodeDecodeError:
        raise UsageError(f"the token in {path} must be ASCII; {how}") from None
    if stat.S_IMODE(state.st_mode) & 0o077 or state.st_uid != os.geteuid():
        raise UsageError(f"others may read the token file {path}: chown it to you and chmod 600")
    if len(token) < TOKEN_LENGTH_MIN or len(token.split()) != 1:
        raise UsageError(
            f"the token in {path} must be one word of {TOKEN_LENGTH_MIN} characters; {how}"
        )
    return token


def serve_apps(served: Sequence[tuple[Any, socket.socket]]) -> None:
    """Serve each application (ASGI) on its listening socket until SIGTERM or SIGINT."""
    asyncio.run(_serve([(_server(app), listener) for app, listener in served]))


def _server(app: Any) -> uvicorn.Server:
    options = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return uvicorn.Server(options)


async def _serve(servers: list[tuple[uvicorn.Server, socket.socket]]) -> None:
    def shut_down() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, shut_down)
    # Not `serve`, which takes the signals for itself and knows of one server only.
    await asyncio.gather(*(server._serve([listener]) for server, listener in servers))  # pyright: ignore[reportPrivateUsage]


@contextlib.contextmanager
def unix_listener(run_dir: str, name: str) -> Generator[socket.socket]:
    """Open a socket for its owner only; the lock tells a stale one from one that is served."""
    path = os.path.join(run_dir, name)
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    with open(path + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseUnavailableError(f"somebody serves {path} already") from None
        try:
            listener = listen(path)
        except OSError as error:
            raise DatabaseUnavailableError(
                f"the socket {path} cannot be opened: {error.strerror}"
            ) from error
        with listener:
            yield listener
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def tcp_listener(port: int, host: str = HOST) -> socket.socket:
    """Open a TCP socket; UsageError when the port or the address cannot be had."""
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise UsageError(f"port {port} of {host} cannot be opened: {error}") from error
