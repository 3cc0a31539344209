"""Access beneath a folder: it owns opening and removing by relative path, never through a link.

Whoever writes into a scraped folder could put a link in the place of any part of a path. Every
part is opened in the folder before it, so the length of the whole path does not matter either.
"""

from __future__ import annotations

import errno
import os
import stat


def open_beneath(root: str, path: str, flags: int = os.O_RDONLY) -> int:
    """Open a file or folder by its relative path and return the descriptor; '' is the root.

    No part may be a link; the root itself may. Never waits for the other end of a FIFO. OSError
    (with the path) for everything that cannot be opened, links included.
    """
    parts = path.split("/") if path else []
    if any(part in ("", ".", "..") for part in parts):
        raise OSError(errno.EINVAL, "is no path beneath a folder", path)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for number, part in enumerate(parts, 1):
        above = descriptor
        how = flags if number == len(parts) else os.O_RDONLY | os.O_DIRECTORY
        try:
            descriptor = os.open(part, how | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(above)
    return descriptor


def unlink_beneath(root: str, path: str) -> None:
    """Remove one regular file by its relative path; OSError when it is a link or anything else."""
    folder, _, name = path.rpartition("/")
    if name in ("", ".", ".."):
        raise OSError(errno.EINVAL, "is no path beneath a folder", path)
    parent = open_beneath(root, folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", path)
        os.unlink(name, dir_fd=parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(parent)
