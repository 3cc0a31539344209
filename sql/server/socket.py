"""Where the embedded server listens: it owns the choice of a folder and that it is private.

Whoever can enter that folder is trusted by the server, so only its owner (and root) may. A socket's
path has at most 107 bytes, which is why the folder is not always below the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile

from sql.core.errors import DatabaseUnavailableError
from sql.core.programs import Account

PORT = 5432
PATH_SIZE_BYTES_MAX = 107
RUNTIME_ROOT = "/run/drystone"
"""Where root keeps sockets: the server's user cannot reach every store, but it can reach this."""


def choose(data: str, run_dir: str) -> str:
    """Return the folder for the socket of the server with this data folder."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(data))).hexdigest()[:16]
    if os.geteuid() == 0:
        return os.path.join(RUNTIME_ROOT, name)
    near = os.path.join(run_dir, "pg")
    if len(os.fsencode(os.path.join(near, f".s.PGSQL.{PORT}.lock"))) <= PATH_SIZE_BYTES_MAX:
        return near
    return os.path.join(tempfile.gettempdir(), f"drystone-{os.geteuid()}", name)


def make(folder: str, account: Account) -> None:
    """Make the folder private to the server's account; somebody else's is refused."""
    parent = os.path.dirname(folder)
    try:
        os.makedirs(parent, mode=0o755 if parent == RUNTIME_ROOT else 0o700, exist_ok=True)
        _refuse_strangers(parent, {0, os.geteuid()})
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        _refuse_strangers(folder, {0, os.geteuid(), account.uid})
        if os.geteuid() != account.uid:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        os.chmod(folder, 0o700)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"no folder for the database's socket: {folder}: {error.strerror}"
        ) from error


def remove_stale(folder: str) -> None:
    """Remove what a killed server left of its socket.

    Only where nobody can serve it any more: the number in its lock may have passed to another
    process by now, and PostgreSQL would refuse to start for it.
    """
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def remove(folder: str) -> None:
    """Remove the folder of a server that ended, when nothing is in it."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _refuse_strangers(folder: str, owners: set[int]) -> None:
    """In /tmp anybody could have made it first, and would then be the database for us."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise DatabaseUnavailableError(
            f"{folder} belongs to somebody else (or is no folder), so the database's socket cannot "
            "lie there; remove it"
        )
