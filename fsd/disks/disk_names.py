"""What a disk is called: it owns finding the one that a person named, whichever verb was asked.

It knows neither the engine's disks nor the configuration's: whatever has a name, an id and a path.
"""

import os
from collections.abc import Iterable
from typing import Protocol, TypeVar

from base.errors import UsageError


class Named(Protocol):
    """A disk as anybody knows it."""

    @property
    def name(self) -> str:
        """Return the name a person gave it."""
        ...

    @property
    def disk_id(self) -> str:
        """Return the id from the identity file."""
        ...

    @property
    def path(self) -> str:
        """Return the folder it is at, or was last."""
        ...


Found = TypeVar("Found", bound=Named)


def find_disk(disks: Iterable[Found], given: str) -> Found:
    """Return the disk of this name, id or path; UsageError lists the names otherwise.

    Of several that were at one path one after the other, it is the newest.
    """
    known = list(disks)
    called = [disk for disk in known if given in (disk.name, disk.disk_id)]
    # A shell that completes the path of a folder ends it with a slash.
    path = os.path.normpath(given)
    there = [disk for disk in reversed(known) if path == os.path.normpath(disk.path)]
    for disk in (*called, *there):
        return disk
    names = ", ".join(disk.name for disk in known)
    # Quoted as it is typed, on one line, and in bytes that every terminal can show.
    raise UsageError(f"there is no disk {ascii(given)[1:-1]}; the disks are {names}")
