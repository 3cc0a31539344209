"""`status/` in the mount: it owns two names; the engine replaces their files on the SSD."""

import os
import stat
from collections.abc import Iterable

from fsd.mount.inodes import STATUS, STATUS_FIRST, Attributes, missing

NAMES = (b"health.json", b"capacity.json")


class StatusFolder:
    """The section of status files; a file that the engine has not written does not exist."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def path(self, inode: int) -> str:
        """Return where the file of an inode lies."""
        position = inode - STATUS_FIRST
        if not 0 <= position < len(NAMES):
            raise missing()
        return os.path.join(self._folder, NAMES[position].decode())

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Return the attributes of a child."""
        if parent != STATUS or name not in NAMES:
            raise missing()
        return self.attributes(STATUS_FIRST + NAMES.index(name))

    def attributes(self, inode: int) -> Attributes:
        """Return the attributes of a status file, never to be cached: it changes at any time."""
        try:
            status = os.stat(self.path(inode))
        except FileNotFoundError:
            raise missing() from None
        if not stat.S_ISREG(status.st_mode):
            raise missing()
        return Attributes(inode, False, status.st_size, status.st_mtime_ns, 0.0, 0.0)

    def names(self, inode: int) -> Iterable[bytes]:
        """Return the names; a file that is not there is left out of the listing by its lookup."""
        return NAMES
