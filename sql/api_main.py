"""The process of the HTTP API: it owns its sockets, its token and its signals.

    python -m sql.api_main --config FILE [--tcp-port PORT --token-file FILE]

The unix socket is for the owner alone (mode 0600), who needs no token. Over TCP, on 127.0.0.1 only,
every request bears the token of a file that nobody else may read; it is never an argument, which
everybody can see, nor in a log.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import stat
import sys
from collections.abc import Generator

import uvicorn

from sql.api import make_app
from sql.api_turns import Turns
from sql.config import find_config, load_config
from sql.database import Database
from sql.errors import DatabaseUnavailableError, SqlError, UsageError

SOCKET_NAME = "database.sock"
HOST = "127.0.0.1"
TOKEN_LENGTH_MIN = 20
SHUTDOWN_GRACE_S = 5


def main() -> int:
    """Serve one database until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Serve the database's HTTP API.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--tcp-port", type=int)
    parser.add_argument("--token-file")
    arguments = parser.parse_args()
    try:
        serve(arguments.config, arguments.tcp_port, arguments.token_file)
    except SqlError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve(config_path: str | None, tcp_port: int | None, token_file: str | None) -> None:
    """Serve in the foreground. Raises SqlError when it cannot begin."""
    if (tcp_port is None) != (token_file is None):
        raise UsageError("TCP needs both a port and a token: give --tcp-port and --token-file")
    token = read_token(token_file) if token_file is not None else None
    path = find_config(config_path)
    run_dir = load_config(path).run_dir
    with (
        contextlib.ExitStack() as stack,
        Database.open(path) as database,
    ):
        listener = stack.enter_context(_unix_listener(run_dir))
        turns = Turns()
        servers = [(_server(database, None, turns), listener)]
        if tcp_port is not None:
            tcp = stack.enter_context(_tcp_listener(tcp_port))
            servers.append((_server(database, token, turns), tcp))
        asyncio.run(_run(servers))


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


def _server(database: Database, token: str | None, turns: Turns) -> uvicorn.Server:
    options = uvicorn.Config(
        make_app(database, token, turns),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return uvicorn.Server(options)


async def _run(servers: list[tuple[uvicorn.Server, socket.socket]]) -> None:
    def shut_down() -> None:
        for server, _ in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, shut_down)
    # Not `serve`, which takes the signals for itself and knows of one server only.
    await asyncio.gather(*(server._serve([listener]) for server, listener in servers))  # pyright: ignore[reportPrivateUsage]


@contextlib.contextmanager
def _unix_listener(run_dir: str) -> Generator[socket.socket]:
    """Open the socket for its owner only; the lock tells a stale one from one that is served."""
    path = os.path.join(run_dir, SOCKET_NAME)
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    with open(path + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseUnavailableError(f"somebody serves {path} already") from None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            _bind(listener, run_dir)
            listener.listen(128)
            yield listener
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _bind(listener: socket.socket, run_dir: str) -> None:
    # Through a descriptor: a socket's own path may have 107 bytes only.
    folder = os.open(run_dir, os.O_PATH | os.O_DIRECTORY)
    mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{SOCKET_NAME}")
    except OSError as error:
        raise DatabaseUnavailableError(
            f"the socket in {run_dir} cannot be opened: {error.strerror}"
        ) from error
    finally:
        os.umask(mask)
        os.close(folder)


def _tcp_listener(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise UsageError(f"port {port} of {HOST} cannot be opened: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
