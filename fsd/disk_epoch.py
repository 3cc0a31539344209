"""The lock and the epoch of a disk: it owns the two small files that keep a second engine out."""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable

from fsd import layout
from fsd.errors import DiskRefusedError
from fsd.identity import heal_identity
from fsd.small_file import parse_json, replace_file

LOCK_WAIT_S = 3.0
LOCK_POLL_S = 0.02


def open_lock(path: str) -> int:
    """Open the lock file, which a disk mounted read-only must have already."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def take_lock(fd: int, path: str, step: Callable[[], None]) -> None:
    """Lock the opened lock file; DiskRefusedError when another engine holds it for long."""
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            # The process of an engine that was killed ends only after its last system call.
            if time.monotonic() > deadline_s:
                raise DiskRefusedError(f"another engine holds the lock of {path}") from None
        step()
        time.sleep(LOCK_POLL_S)


def read_epoch(path: str) -> int:
    """Return the epoch the disk was last entered in; 0 when it never was, or is not readable."""
    try:
        with open(os.path.join(path, layout.EPOCH_NAME), encoding="ascii") as file:
            return int(parse_json(file.read())["epoch"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return 0  # A bad sector, as good as damaged.


def heal_papers(path: str, epoch: int) -> list[str]:
    """Write epoch and identity again where they cannot be read; returns what was damaged."""
    found: list[str] = []
    if read_epoch(path) == 0:
        write_epoch(path, epoch)
        found.append(f"{layout.EPOCH_NAME} was damaged")
    return [*found, *heal_identity(path)]


def write_epoch(path: str, epoch: int) -> None:
    """Write the epoch the disk is entered in; durable when it returns."""
    target = os.path.join(path, layout.EPOCH_NAME)
    replace_file(target, json.dumps({"epoch": epoch}).encode())
