"""The ballast: it owns a file on the SSD that only takes up room, given up when there is no other.

Whoever fills the SSD (an export, the database, somebody's film) takes the room of the index too.
LMDB grows its file by what it writes and turns to that with the last write of a commit: one that
meets the end of the room fails as a whole, and the index stays as it was. Nothing acknowledged is
lost by that, but nothing could be purged, indexed or started any more either. So before an index
write finds hardly any room, the ballast is deleted, and what comes back is left to those that go on
or clean up: a new put is refused, and one that runs ends, until the ballast fits again.

With it nothing is preallocated in the index itself: a file that ends in unused pages would only be
room for the next commits, and the ballast is that for whatever comes next, tree files included.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Generator

from base.text import size_text
from fsd.format.errors import DiskError, QuotaError

NAME = "ballast"
SIZE_BYTES_MIN = 4 << 20
SIZE_BYTES_MAX = 64 << 20
"""As large as the index, which a commit rewrites some of, within these."""
PARTITION_SHARE = 100
"""Never more than one part in so many of the SSD."""
FULL_BYTES = 1 << 20
_BTRFS_IOC_SYNC = 0x9408
LOW_SHARE = 4
"""Given up when less than one part in so many of it is free."""


def keep(index_root: str, index_bytes: int) -> None:
    """Make the ballast, or a larger one, if then still more than its own size is free."""
    wanted_bytes = _wanted_bytes(index_root, index_bytes)
    if size_bytes(index_root) >= wanted_bytes or not _fits(index_root, wanted_bytes):
        return
    try:
        with open(os.path.join(index_root, NAME), "ab") as file:
            os.posix_fallocate(file.fileno(), 0, wanted_bytes)
    except OSError:
        # Somebody was faster, or the filesystem knows no such files: none is as good as a part.
        give_up(index_root)


def ease(index_root: str) -> None:
    """Give the ballast up when hardly anything else is free; to be called before an index write."""
    held_bytes = size_bytes(index_root)
    if held_bytes and free_bytes(index_root) < held_bytes // LOW_SHARE:
        give_up(index_root)


def give_up(index_root: str) -> None:
    """Delete the ballast, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(index_root, NAME))


@contextlib.contextmanager
def naming(index_root: str) -> Generator[None]:
    """Turn the end of the room on the SSD into a QuotaError; the ballast is given up then."""
    try:
        yield
    except (OSError, DiskError) as error:  # A DiskError it is from a child.
        if error.errno != errno.ENOSPC:
            raise
        give_up(index_root)
        raise QuotaError(full_message(index_root)) from error


def is_full(index_root: str, message: str) -> bool:
    """Return whether LMDB's message means that the SSD is full: it calls a short write EIO."""
    if os.strerror(errno.ENOSPC) in message:
        return True
    return os.strerror(errno.EIO) in message and free_bytes(index_root) < FULL_BYTES


def size_bytes(index_root: str) -> int:
    """Return how much room the ballast takes; 0 when it was given up."""
    try:
        return os.stat(os.path.join(index_root, NAME)).st_size
    except FileNotFoundError:
        return 0


def check_room(index_root: str, index_bytes: int) -> None:
    """Raise QuotaError while the SSD is so full that the ballast is given up."""
    ease(index_root)
    if given_up(index_root, index_bytes):
        # btrfs shows what was removed only when it has committed it.
        _commit_removals(index_root)
        if given_up(index_root, index_bytes):
            raise QuotaError(full_message(index_root))
    keep(index_root, index_bytes)


def given_up(index_root: str, index_bytes: int) -> bool:
    """Return whether there is no ballast, and no room for it either."""
    missing = not size_bytes(index_root)
    return missing and not _fits(index_root, _wanted_bytes(index_root, index_bytes))


def full_message(index_root: str) -> str:
    """Return what a person who meets the full SSD should know and do."""
    return (
        f"the SSD is full ({size_text(free_bytes(index_root))} are free) and its ballast given up: "
        "remove exports that are no longer needed, or whatever else filled it, and puts go on "
        "without a restart; what is stored stays readable"
    )


def free_bytes(index_root: str) -> int:
    """Return what is free on the SSD for an engine that is not root."""
    found = _partition(index_root)
    return found.f_bavail * found.f_frsize


def _wanted_bytes(index_root: str, index_bytes: int) -> int:
    found = _partition(index_root)
    bearable_bytes = found.f_blocks * found.f_frsize // PARTITION_SHARE
    return min(max(index_bytes, SIZE_BYTES_MIN), SIZE_BYTES_MAX, bearable_bytes)


def _fits(index_root: str, wanted_bytes: int) -> bool:
    more_bytes = wanted_bytes - size_bytes(index_root)
    # As much again stays free, and a little: it would else be given up by the next write.
    return free_bytes(index_root) >= more_bytes + wanted_bytes + wanted_bytes // LOW_SHARE


def _commit_removals(index_root: str) -> None:
    # Not syncfs: that would take the error of a write from whoever waits to be told of it.
    with contextlib.suppress(OSError):  # Another filesystem; or somebody deleted the index.
        descriptor = os.open(index_root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _BTRFS_IOC_SYNC)
        finally:
            os.close(descriptor)


def _partition(index_root: str) -> os.statvfs_result:
    try:
        return os.statvfs(index_root)
    except FileNotFoundError:  # Somebody deleted the index, which can be made anew.
        return os.statvfs(os.path.dirname(index_root))
