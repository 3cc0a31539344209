"""Files that survive a crash: written whole or not at all, with names and contents on the disk.

The order is always bytes, fsync, rename, fsync of the folder; each function says what a crash in
between leaves.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
from typing import Any

REMOVED_PREFIX = ".removed-"
OWNER_AS_IT_IS = (-1, -1)

_libc = ctypes.CDLL(None, use_errno=True)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(
    path: str, content: bytes, *, mode: int = 0o666, owner: tuple[int, int] | None = None
) -> None:
    """Put `content` in the place of a file; durable on return, a crash leaves the old or the new.

    It has one writer at a time: what is being written lies beside it with `.tmp` at its end. `mode`
    is less the umask; `owner` is (user id, group id), and then the mode is exact.
    """
    beside = path + ".tmp"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # Left by a crash; its mode may be another, or it a link.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(beside, flags, mode), "wb") as file:
            file.write(content)
            if owner is not None:
                os.fchown(file.fileno(), *owner)
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        # Barrier: a crash before this leaves the old file, and one beside it that nobody reads.
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    sync_folder(os.path.dirname(path) or ".")


def write_json_durably(path: str, value: Any) -> None:
    """Write a JSON document durably; names that are not UTF-8 become ASCII escapes."""
    write_durably(path, json.dumps(value, sort_keys=True).encode("ascii") + b"\n")


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says; ValueError for all that is none, also what is nested too deep.

    Bytes that are no UTF-8 are none either (UnicodeDecodeError is a ValueError).
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def sync_filesystem(place: str | os.PathLike[str] | int) -> None:
    """Make everything durable that was written to the filesystem of a folder or a descriptor.

    One syncfs for thousands of files, of which each fsync would wait for the device. OSError when
    it failed: what was written is to be discarded then.
    """
    if not isinstance(place, int):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_filesystem(descriptor)
        finally:
            os.close(descriptor)
        return
    if _libc.syncfs(place) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"syncfs failed, discard what was written: {os.strerror(code)}")


def remove_folder(folder: str) -> None:
    """Remove a folder so that after a crash it is there whole or not under its name.

    What an earlier removal left is swept.
    """
    parent, name = os.path.split(folder)
    doomed = os.path.join(parent, REMOVED_PREFIX + name)
    shutil.rmtree(doomed, ignore_errors=True)
    if os.path.isdir(folder):
        os.rename(folder, doomed)
        sync_folder(parent)
        shutil.rmtree(doomed, ignore_errors=True)
