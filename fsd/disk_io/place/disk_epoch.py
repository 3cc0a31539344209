"""The lock and the epoch of a disk: it owns the small files that keep a second engine out.

The epoch lies on a disk twice, each with a checksum. It is the higher one of those whose checksum
holds: an engine that takes the disk over counts from its first write on, a damaged file hides
nothing, and no flipped bit is taken for another engine.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from typing import Any

from base.files import parse_json, write_durably
from fsd.disk_io.place.identity import checksum, heal_identity, read_cold
from fsd.format import layout
from fsd.format.errors import DiskRefusedError

LOCK_WAIT_S = 3.0
LOCK_POLL_S = 0.02
_NAMES = (layout.EPOCH_NAME, layout.EPOCH_TWIN_NAME)


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
    return max(_read(path, name, _read_warm) or 0 for name in _NAMES)


def enter_epoch(path: str, epoch: int) -> list[str]:
    """Enter the epoch where the disk can be written; returns what was damaged and is written again.

    The caller holds the lock. DiskRefusedError when the disk is in a later epoch.
    """
    written = read_epoch(path)
    if written > epoch:
        raise DiskRefusedError(f"another engine took {path} over (epoch {written} > {epoch})")
    try:
        return heal_metadata(path, epoch)
    except OSError:
        return []  # A read-only disk is still read from.


def heal_metadata(path: str, epoch: int) -> list[str]:
    """Write epoch and identity again where they cannot be read; returns what was damaged.

    An earlier epoch becomes this one; durable when it returns. DiskRefusedError when one of the
    files has a later epoch: the disk is another engine's then, and stays as it is.
    """
    found = {name: _read(path, name, read_cold) for name in _NAMES}
    if (latest := max(one or 0 for one in found.values())) > epoch:
        raise DiskRefusedError(f"another engine took {path} over (epoch {latest} > {epoch})")
    damaged: list[str] = []
    for name in _NAMES:
        target = os.path.join(path, name)
        # On a new disk there is none, and no twin on one of an older version: that is no damage.
        if found[name] is None and os.path.exists(target):
            damaged.append(f"{name} was damaged")
        if found[name] != epoch:
            # Barrier: a crash behind the first of the two leaves the disk entered, as both do.
            write_durably(target, _pack(epoch))
    return [*damaged, *heal_identity(path)]


def _pack(epoch: int) -> bytes:
    body = {"epoch": epoch}
    return json.dumps({**body, "checksum": checksum(body)}).encode()


def _read(path: str, name: str, read: Callable[[str], bytes]) -> int | None:
    """Return what a file says; None when it is damaged or not there."""
    try:
        document: Any = parse_json(read(os.path.join(path, name)))
        epoch = document["epoch"]
        # Earlier versions wrote no checksum, and nothing else either.
        body = {"epoch": epoch}
        sound = document in (body, {**body, "checksum": checksum(body)})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None  # A bad sector, as good as damaged.
    return epoch if sound and type(epoch) is int else None


def _read_warm(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
