"""The ballast of the index: room on the SSD that its next commits find when there is no other.

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
import os
from collections.abc import Generator

from base.ballast import Ballast, filesystem, free_bytes, free_text
from fsd.format.errors import DiskError, QuotaError

NAME = "ballast"
SIZE_BYTES_MIN = 4 << 20
SIZE_BYTES_MAX = 64 << 20
"""As large as the index, which a commit rewrites some of, within these."""
PARTITION_SHARE = 100
"""Never more than one part in so many of the SSD."""
FULL_BYTES = 1 << 20
SCARCE_BALLASTS = 4
"""Room is scarce while less than so many ballasts are free."""


def of_index(index_root: str, index_bytes: int = 0) -> Ballast:
    """Return the ballast of an index that is so large."""
    found = filesystem(index_root)
    bearable_bytes = found.f_blocks * found.f_frsize // PARTITION_SHARE
    wanted_bytes = min(max(index_bytes, SIZE_BYTES_MIN), SIZE_BYTES_MAX, bearable_bytes)
    return Ballast(os.path.join(index_root, NAME), wanted_bytes)


@contextlib.contextmanager
def naming(index_root: str) -> Generator[None]:
    """Turn the end of the room on the SSD into a QuotaError; the ballast is given up then."""
    try:
        yield
    except (OSError, DiskError) as error:  # A DiskError it is from a child.
        if error.errno != errno.ENOSPC:
            raise
        of_index(index_root).give_up()
        raise QuotaError(full_message(index_root)) from error


def is_full(index_root: str, message: str) -> bool:
    """Return whether LMDB's message means that the SSD is full: it calls a short write EIO."""
    if os.strerror(errno.ENOSPC) in message:
        return True
    return os.strerror(errno.EIO) in message and free_bytes(index_root) < FULL_BYTES


def check_room(index_root: str, index_bytes: int) -> None:
    """Raise QuotaError while the SSD is so full that the ballast is given up."""
    if not of_index(index_root, index_bytes).has_room():
        raise QuotaError(full_message(index_root))


def is_scarce(index_root: str, index_bytes: int) -> bool:
    """Return whether so little is free that writes of the index begin one after the other.

    Those on their way when one meets the end of the room would use up what the ballast leaves.
    """
    return free_bytes(index_root) < SCARCE_BALLASTS * of_index(index_root, index_bytes).wanted_bytes


def full_message(index_root: str) -> str:
    """Return what a person who meets the full SSD should know and do."""
    return (
        f"the SSD is full ({free_text(index_root)}) and its ballast given up: "
        "remove exports that are no longer needed, or whatever else filled it, and puts go on "
        "without a restart; what is stored stays readable"
    )
