"""The embedded PostgreSQL server: it owns the start, the finding and the stop of one.

The server listens on a unix socket only, and outlives whoever started it. All its processes
inherit one flock on the data folder (see sql/server/claim.py). It knows nothing of schemas.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from psycopg import conninfo, pq

from base.processes import process
from base.processes.process import ProcessError
from sql.core import programs
from sql.core.errors import DatabaseUnavailableError
from sql.server import data as server_data
from sql.server import room
from sql.server import socket as server_socket
from sql.server.claim import in_use, lock, serves, sole_use
from sql.server.settings import write_settings

LOG_NAME = "database.log"
START_TIMEOUT_S = 900.0
"""A start after a crash replays the log first; it shows its own log when it dies before."""
NOTICE_INTERVAL_S = 5.0
STOP_TIMEOUT_S = 120.0
KILL_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02

# Options that lead nowhere else, some of which cannot be empty.
_HARMLESS = frozenset(
    [
        "service",
        "passfile",
        "connect_timeout",
        "application_name",
        "min_protocol_version",
        "max_protocol_version",
    ]
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """One server: where its data are, where lock and log go, and settings that overrule ours."""

    data: str
    run_dir: str
    settings: dict[str, str] = field(default_factory=dict[str, str])
    has_ballast: bool = False
    """Whether room is kept for it beside its data; a server for a moment needs none."""

    @property
    def log_path(self) -> str:
        """The server's log; one that grew large is beside it as `.1`."""
        return os.path.join(self.run_dir, LOG_NAME)

    def refusal(self) -> str:
        """Return why nothing can be written now, empty where there is room; keeps the ballast."""
        return room.refusal(self.data) if self.has_ballast else ""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was found: its process, its socket, whether it takes connections."""

    pid: int
    started_s: int
    socket_folder: str
    ready: bool
    stopping: bool = False
    """Somebody asked it to stop: it takes no new connections, and waits for the open ones."""


def start(place: Place, say: Say = lambda _: None) -> bool:
    """Start the server, making its data folder first if there is none; False when it ran already.

    Any number of processes may do so at once. Raises DatabaseUnavailableError.
    """
    place.refusal()  # A full filesystem has room for the marks of the server from here on.
    found = find(place)
    if found is not None and found.ready:
        return False
    with _lock(place, START_TIMEOUT_S):
        found = find(place)
        if found is not None and found.stopping:
            # After a plain SIGTERM it would wait for its last client, who may never leave.
            say("the database is being stopped; it is stopped now and started again")
            _stop(place)
        elif found is not None:
            _wait_until_ready(place, found.pid, say)
            return False
        account = server_data.make_data(place.data, say)
        with sole_use(place.data) as claim:
            _launch(place, account, claim, say)
    if refusal := place.refusal():
        say(f"warning: {refusal}")
    return True


def stop(place: Place) -> bool:
    """Stop the server after a checkpoint, cutting its connections; False when none ran."""
    if find(place) is None:
        return False
    with _lock(place, STOP_TIMEOUT_S):
        return _stop(place)


@contextlib.contextmanager
def held_down(place: Place) -> Generator[None]:
    """Stop the server if it runs, and let nobody start it before the block ends."""
    with _lock(place, STOP_TIMEOUT_S):
        _stop(place)
        yield


def find(place: Place) -> Running | None:
    """Return the server of this data folder, or None."""
    process.reap()
    if not in_use(place.data):
        return None
    try:
        with open(os.path.join(place.data, "postmaster.pid"), encoding="utf-8") as file:
            lines = file.read().splitlines()
        pid, started_s, folder = int(lines[0]), int(lines[2]), lines[4]
    except (OSError, ValueError, IndexError):
        return None
    if not serves(pid, place.data):
        return None
    status = lines[7].strip() if len(lines) > 7 else ""
    return Running(pid, started_s, folder, status == "ready", status == "stopping")


def dsn(place: Place, database: str = server_data.DATABASE_NAME) -> str:
    """Return the connection string; it overrules whatever PG* variables are set here."""
    found = find(place)
    folder = found.socket_folder if found else server_socket.choose(place.data, place.run_dir)
    # Empty, PGHOSTADDR would lead elsewhere, whatever the host.
    ours = {"host": folder, "hostaddr": "", "port": str(server_socket.PORT)}
    ours |= {"user": server_data.USER_NAME, "dbname": database}
    return conninfo.make_conninfo("", **{**_environment_undone(), **ours})


def _environment_undone() -> dict[str, str]:
    """Return libpq's own default of every option that a variable of the environment has set."""
    undone: dict[str, str] = {}
    for option in pq.Conninfo.get_defaults():
        name, value = option.keyword.decode(), option.val
        if option.envvar and value and value != option.compiled and name not in _HARMLESS:
            undone[name] = (option.compiled or b"").decode()
    return undone


def _lock(place: Place, timeout_s: float) -> contextlib.AbstractContextManager[None]:
    return lock(os.path.join(place.run_dir, "database.lock"), timeout_s)


# ---- The process -----------------------------------------------------------------------------


def _launch(place: Place, account: programs.Account, claim: int, say: Say) -> None:
    """Start the server in a session of its own and wait until it takes connections."""
    try:
        write_settings(place.data, place.settings, account)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"{error.filename or place.data}: {error.strerror}; PostgreSQL must be able to write "
            f"its data; {place.refusal()}".removesuffix("; ")
        ) from error
    folder = server_socket.choose(place.data, place.run_dir)
    server_socket.make(folder, account)
    # Whoever holds the claim on the data is alone with this folder, which is named after them.
    server_socket.remove_stale(folder)
    arguments = ["-D", server_data.HERE, "-k", folder, "-p", str(server_socket.PORT)]
    try:
        child = process.spawn(
            [programs.program("postgres"), *arguments],
            place.log_path,
            [claim],
            folder=place.data,
            environment=programs.ENVIRONMENT,
            identity={"umask": 0o077, **programs.identity(account)},
        )
    except ProcessError as error:
        raise DatabaseUnavailableError(f"PostgreSQL cannot be started: {error}") from error
    _wait_until_ready(place, child.pid, say)


def _wait_until_ready(place: Place, pid: int, say: Say) -> None:
    begun = time.monotonic()
    notice_due = begun + NOTICE_INTERVAL_S
    while True:
        found = find(place)
        if found is not None and found.ready:
            return
        if found is not None and found.stopping:
            raise DatabaseUnavailableError(f"somebody stops PostgreSQL (process {pid}) just now")
        if not serves(pid, place.data):
            refusal = place.refusal()
            raise DatabaseUnavailableError(
                f"PostgreSQL ended before it was ready; {refusal and refusal + '; '}"
                f"the end of {place.log_path}:\n{process.log_tail(place.log_path)}"
            )
        now = time.monotonic()
        if now - begun > START_TIMEOUT_S:
            raise DatabaseUnavailableError(
                f"PostgreSQL (process {pid}) runs and is not ready; see {place.log_path}"
            )
        if now >= notice_due:
            notice_due = now + NOTICE_INTERVAL_S
            say(f"the database is still starting ({now - begun:.0f} s)")
        time.sleep(POLL_INTERVAL_S)


def _stop(place: Place) -> bool:
    found = find(place)
    if found is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(found.pid)
        try:
            _end(place, found.pid, descriptor)
        finally:
            os.close(descriptor)
    process.reap()
    server_socket.remove(found.socket_folder)
    return True


def _end(place: Place, pid: int, pidfd: int) -> None:
    """Ask a server to stop, and kill it when it does not; its log is replayed at the next start."""
    # Looked at again, now that the number cannot pass to somebody else.
    if not serves(pid, place.data) or not in_use(place.data):
        return
    for number, timeout_s in ((signal.SIGINT, STOP_TIMEOUT_S), (signal.SIGQUIT, KILL_TIMEOUT_S)):
        signal.pidfd_send_signal(pidfd, number)
        if process.has_ended(pidfd, timeout_s):
            return
    raise DatabaseUnavailableError(f"the database (process {pid}) does not stop; a disk may hang")
