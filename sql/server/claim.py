"""Who holds the data folder: it owns the locks of the embedded server, and starts nothing.

Two flocks, which the kernel drops with the last process that holds them. One on a lock file, for
whoever starts or stops the server; one on the data folder, which all processes of the server
inherit: as long as it is held one of them lives, whatever postmaster.pid says after a kill -9.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator

from base.processes.process import find, take_lock, write_pid, written_pid
from sql.core.errors import DatabaseUnavailableError

ORPHANS_TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.02


@contextlib.contextmanager
def lock(path: str, timeout_s: float) -> Generator[None]:
    """Let one process start or stop the server at a time.

    Raises DatabaseUnavailableError, which names the process that holds the lock, after the timeout.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"the database cannot be started or stopped: {path}: {error.strerror}"
        ) from error
    try:
        if not take_lock(descriptor, timeout_s):
            holder = written_pid(descriptor)
            raise DatabaseUnavailableError(
                f"process {holder or '?'} has been starting or stopping the database for more than "
                f"{timeout_s:g} s; wait for it, or end it"
            )
        with contextlib.suppress(OSError):  # On a full disk nobody is named.
            write_pid(descriptor, os.getpid())
        yield
    finally:
        os.close(descriptor)


def in_use(data: str) -> bool:
    """Tell whether a process of a server lives, by trying to share the lock that they hold."""
    return find(data) is not None


@contextlib.contextmanager
def sole_use(data: str) -> Generator[int]:
    """Yield a descriptor that holds the data folder, once a killed server's processes are gone.

    Then its postmaster.pid is stale for certain and is removed: PostgreSQL alone would refuse to
    start when the number in it has passed to another process, as in a container that starts again.
    """
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not take_lock(descriptor, ORPHANS_TIMEOUT_S):
            raise DatabaseUnavailableError(
                f"queries of a killed server still work in {data}; wait for them, or end the "
                "postgres processes that have this working directory"
            )
        _remove_stale_mark(data)
        yield descriptor
    finally:
        os.close(descriptor)


def serves(pid: int, data: str) -> bool:
    """Tell whether this process lives, is a PostgreSQL, and works in this data folder."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read().partition(b"(")[2].rpartition(b")")
    except OSError:
        return False
    return name == b"postgres" and rest.split()[0] not in (b"Z", b"X") and _works_in(pid, data)


def _works_in(pid: int, data: str) -> bool:
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except PermissionError:
        return True  # Root without CAP_SYS_PTRACE may not look: the name has to do.
    except OSError:
        return False


def _remove_stale_mark(data: str) -> None:
    path = os.path.join(data, "postmaster.pid")
    with contextlib.suppress(FileNotFoundError, ValueError):
        with open(path, encoding="utf-8") as file:
            pid = int(file.readline())
        # One that a person started without us holds no lock: PostgreSQL then says so itself.
        if not serves(pid, data):
            os.unlink(path)
