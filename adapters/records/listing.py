"""The files below a folder: it owns walking them, their names, and what to say when that fails."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from adapters.records.beneath import open_beneath
from adapters.records.errors import AdapterError, BatchChangedError
from base.errors import DrystoneError, UsageError
from base.text import safe_text

PATH_BYTES_MAX = 4_000
"""The longest path below the folder that the store keeps."""
SHOWN_LENGTH_MAX = 200
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the listing; `key` is its sha256 in hexadecimal when it is known already."""

    size_bytes: int
    mtime_ns: int
    key: str | None = None


def list_files(root: str) -> dict[str, FileEntry]:
    """Return every regular file below a folder; links and special files are left out.

    Names that are not UTF-8 carry surrogate escapes, as everywhere in Python. UsageError when
    something cannot be read or a path is too long, BatchChangedError when something vanished.
    """
    found: dict[str, FileEntry] = {}
    waiting = [""]
    while waiting:
        for path, status in _members(root, waiting.pop()):
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            elif stat.S_ISREG(status.st_mode):
                found[path] = FileEntry(status.st_size, status.st_mtime_ns)
    return found


def _members(root: str, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    path = folder
    try:
        descriptor = open_beneath(root, folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if len(os.fsencode(path)) > PATH_BYTES_MAX:
                        raise UsageError(
                            f"{_shown(root, path)} cannot be listed: the path is longer than "
                            f"{PATH_BYTES_MAX:,} bytes, more than the store keeps; shorten the "
                            "names of its folders and repeat"
                        )
                    yield path, entry.stat(follow_symlinks=False)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise reading_error(root, path, error) from error


def reading_error(root: str, path: str, error: OSError) -> DrystoneError:
    """Return what a person should read when the filesystem refuses a path below a folder."""
    shown = _shown(root, path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(
            f"{shown} cannot be read: {error.strerror}; allow it (chmod u+rX) or take it out of "
            "the folder, and repeat"
        )
    if error.errno in _GONE and path:
        return BatchChangedError(
            f"{shown} vanished or became a link after the folder was listed ({error.strerror}); "
            "put it back, let nobody write into the folder, and repeat"
        )
    if error.errno in _GONE:
        return UsageError(f"{shown} is not a folder")
    return AdapterError(f"{shown} cannot be read: {error.strerror}; put that right and repeat")


def quarantine_path(path: str) -> str:
    """Return the printable form of a path that no other path has: its backslashes are doubled.

    Without that, a name with the four characters `\\xff` would be that of a name with the byte.
    """
    return safe_text(path.replace("\\", "\\\\"))


def _shown(root: str, path: str) -> str:
    whole = safe_text(os.path.join(root, path) if path else root)
    return whole if len(whole) <= SHOWN_LENGTH_MAX else f"{whole[:SHOWN_LENGTH_MAX]}..."
