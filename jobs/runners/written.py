"""What a program has written so far: it owns the measuring of a folder, and changes nothing.

Standard library only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """The files below a folder; bytes are the larger of length and occupied space."""

    size_bytes: int = 0
    files: int = 0


def measure(folder: str, enough_bytes: int | None = None) -> Written:
    """Return what lies below folder; the count stops above `enough_bytes`.

    Links are not followed. A file with holes counts with its length, because whoever takes it over
    would read so many bytes; files that vanish meanwhile do not count.
    """
    size_bytes = files = 0
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            files += 1
            size_bytes += max(status.st_size, status.st_blocks * 512)
        if enough_bytes is not None and size_bytes > enough_bytes:
            break
    return Written(size_bytes, files)


def free_bytes(folder: str) -> int:
    """Return what an unprivileged program may still write on the folder's file system."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
