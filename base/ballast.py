"""A ballast: a file that only takes up room, given up when a filesystem has no other.

What comes back is left to those that go on or clean up: who begins something new is refused until
the ballast fits again. Full is a filesystem without inodes too, whatever it has of bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass

from base.text import size_text

INODES_MIN = 16
"""So many are needed for what goes on: logs, marks, the next file of a log."""
LOW_SHARE = 4
"""Given up when less than one part in so many of it is free."""
NO_BYTES = 1 << 20
_BTRFS_IOC_SYNC = 0x9408


@dataclass(frozen=True, slots=True)
class Ballast:
    """The ballast at a path, whose folder need not be there."""

    path: str
    wanted_bytes: int

    def keep(self) -> None:
        """Make the ballast, or a larger one, if then still more than its own size is free."""
        if self.size_bytes() >= self.wanted_bytes or not self._fits():
            return
        try:
            with open(self.path, "ab") as file:
                os.posix_fallocate(file.fileno(), 0, self.wanted_bytes)
        except OSError:
            # Somebody was faster, or the filesystem knows no such files: none is as good as a part.
            self.give_up()

    def ease(self) -> None:
        """Give the ballast up when hardly anything else is free; to be called before a write."""
        held_bytes = self.size_bytes()
        if held_bytes and free_bytes(self.path) < held_bytes // LOW_SHARE:
            self.give_up()

    def give_up(self) -> None:
        """Delete the ballast, if it is there, and ours."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def has_room(self) -> bool:
        """Return whether something new may begin; the ballast is given up, or made, for that."""
        self.ease()
        if self.is_given_up():
            # btrfs shows what was removed only when it has committed it.
            _commit_removals(os.path.dirname(self.path))
            if self.is_given_up():
                return False
        self.keep()
        return True

    def is_given_up(self) -> bool:
        """Return whether there is no ballast, and no room for it either."""
        return (not self.size_bytes() and not self._fits()) or not has_inodes(self.path)

    def size_bytes(self) -> int:
        """Return how much room the ballast takes; 0 when it was given up."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def _fits(self) -> bool:
        more_bytes = self.wanted_bytes - self.size_bytes()
        # As much again stays free, and a little: the next write would else give it up.
        spare_bytes = self.wanted_bytes + self.wanted_bytes // LOW_SHARE
        return free_bytes(self.path) >= more_bytes + spare_bytes


def filesystem(path: str) -> os.statvfs_result:
    """Return the filesystem that a path lies on, or would."""
    while True:
        try:
            return os.statvfs(path)
        except FileNotFoundError:
            path = os.path.dirname(path) or "."


def free_bytes(path: str) -> int:
    """Return what is free where a path lies, for a process that is not root."""
    found = filesystem(path)
    return found.f_bavail * found.f_frsize


def has_inodes(path: str) -> bool:
    """Return whether files can be made where a path lies, as far as inodes go.

    Some filesystems count none, and others make them of free bytes, so that they lack those.
    """
    found = filesystem(path)
    return not found.f_files or found.f_favail >= INODES_MIN or free_bytes(path) < NO_BYTES


def free_text(path: str) -> str:
    """Return how full it is where a path lies: `2.1 MB are free`, or that files are the matter."""
    if has_inodes(path):
        return f"{size_text(free_bytes(path))} are free"
    return (
        f"{filesystem(path).f_favail:,} inodes are free, each file takes one: remove many small "
        f"files; {size_text(free_bytes(path))} are free"
    )


def _commit_removals(folder: str) -> None:
    # Not syncfs: that would take the error of a write from whoever waits to be told of it.
    with contextlib.suppress(OSError):  # Another filesystem; or somebody deleted the folder.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _BTRFS_IOC_SYNC)
        finally:
            os.close(descriptor)
