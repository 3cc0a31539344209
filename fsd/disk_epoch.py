"""The lock and the epoch of a disk: it owns the two small files that keep a second engine out."""

import errno
import json
import os

from fsd import layout
from fsd.shard_file import sync_folder


def open_lock(path: str) -> int:
    """Open the lock file, which a disk mounted read-only must have already."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def read_epoch(path: str) -> int:
    """Return the epoch the disk was last entered in; 0 when it never was."""
    try:
        with open(os.path.join(path, layout.EPOCH_NAME), encoding="ascii") as file:
            return int(json.load(file)["epoch"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return 0


def write_epoch(path: str, epoch: int) -> None:
    """Write the epoch the disk is entered in; durable when it returns."""
    target = os.path.join(path, layout.EPOCH_NAME)
    with open(target + ".tmp", "w", encoding="ascii") as file:
        json.dump({"epoch": epoch}, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(target + ".tmp", target)
    sync_folder(path)
