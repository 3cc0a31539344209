"""A remote worker's folder for the logs of its attempts: it owns making it, and removing it.

A worker that is killed removes nothing. Its folder is locked for as long as it, or the horse that
goes on without it, is alive: one that nobody has locked is removed by the next worker of the user.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator

PREFIX = "drystone-worker-logs-"
"""Another one than before folders were locked: an older worker may be at work in its own."""
TRIES_MAX = 10


@contextlib.contextmanager
def worker_folder(root: str | None = None) -> Generator[str]:
    """Make a folder of this worker's own below the system's temporary one, and clear those left."""
    root = root or tempfile.gettempdir()
    _remove_left(root)
    path, fd = _make(root)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(fd)


def _make(root: str) -> tuple[str, int]:
    """Return a new folder and what keeps it locked."""
    for _ in range(TRIES_MAX):
        path = tempfile.mkdtemp(prefix=PREFIX, dir=root)
        with contextlib.suppress(FileNotFoundError):
            fd = _open(path)
            # Another worker may have seen it before it was locked, and removed it by now.
            if _lock(fd) and os.path.exists(path):
                return path, fd
            os.close(fd)
    raise OSError(f"no folder below {root} stays there; does something remove it?")


def _remove_left(root: str) -> None:
    """Remove the folders of workers that are gone; whatever is not surely one stays."""
    with os.scandir(root) as found:
        names = [one.name for one in found if one.name.startswith(PREFIX)]
    for name in names:
        path = os.path.join(root, name)
        try:
            fd = _open(path)
        except OSError:
            continue  # A link, a file, or somebody else's.
        try:
            if os.fstat(fd).st_uid == os.geteuid() and _lock(fd):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(fd)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _lock(fd: int) -> bool:
    """Lock a folder for as long as it is open, in forks too; False when somebody else has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
