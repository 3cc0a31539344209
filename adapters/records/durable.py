"""Files that survive a crash whole or not at all: it owns the order of writing them."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from typing import Any

REMOVED_PREFIX = ".removed-"


def write_durably(path: str, data: bytes) -> None:
    """Write a file so that after a crash it is there whole, as it was before, or absent."""
    temporary = path + ".tmp"
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    # A crash before this line leaves only the .tmp, which the next writing replaces.
    os.replace(temporary, path)
    sync_folder(os.path.dirname(path))


def write_json_durably(path: str, value: Any) -> None:
    """Write a JSON document durably; names that are not UTF-8 become ASCII escapes."""
    write_durably(path, json.dumps(value, sort_keys=True).encode("ascii") + b"\n")


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: str) -> None:
    """Make everything durable that was written to the filesystem of a path (syncfs)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)


def remove_folder(folder: str) -> None:
    """Remove a folder so that after a crash it is there whole or not under its name.

    What an earlier removal left is swept.
    """
    parent, name = os.path.split(folder)
    grave = os.path.join(parent, REMOVED_PREFIX + name)
    shutil.rmtree(grave, ignore_errors=True)
    if os.path.isdir(folder):
        os.rename(folder, grave)
        sync_folder(parent)
        shutil.rmtree(grave, ignore_errors=True)
