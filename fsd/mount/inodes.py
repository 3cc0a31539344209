"""Inode numbers of the mount: it owns how they are composed, never what they stand for.

A node of a tree has the number (tree << 32 | node index), so that listing a million files needs no
table. Fixed folders and the prefix folders of `objects/` have small numbers. What remains (object
files, the folders of an id) is counted up and kept while the kernel refers to it.
"""

import errno
from typing import NamedTuple

import pyfuse3

ROOT, OBJECTS, BATCHES, STATUS, STAGE, EXPORTS, BROWSE = range(1, 8)
STATUS_FIRST = 16
PREFIX_FIRST = 1 << 8
PAIR_FIRST = 1 << 16
TREE_SHIFT = 32
TREE_END = 1 << 62
OBJECT_FILE_FIRST = TREE_END
GROUP_FIRST = OBJECT_FILE_FIRST + (1 << 61)
# The two files every view has besides its tree; a tree has fewer nodes than this.
JOB_INDEX = (1 << TREE_SHIFT) - 1
SEAL_INDEX = JOB_INDEX - 1

LISTING_TIMEOUT_S = 1.0
OBJECT_TIMEOUT_S = 60.0
IMMUTABLE_TIMEOUT_S = 86_400.0


class Attributes(NamedTuple):
    """What stat shows of a file or folder, and for how long the kernel may believe it."""

    inode: int
    folder: bool
    size_bytes: int
    mtime_ns: int
    entry_timeout_s: float
    attribute_timeout_s: float


def folder_attributes(inode: int, mtime_ns: int, timeout_s: float) -> Attributes:
    """Return the attributes of a folder."""
    return Attributes(inode, True, 0, mtime_ns, timeout_s, timeout_s)


def tree_inode(number: int, index: int) -> int:
    """Return the inode number of a node of a tree; tree numbers begin at 1."""
    return number << TREE_SHIFT | index


def split_tree_inode(inode: int) -> tuple[int, int]:
    """Return (tree number, node index) of an inode from 1 << TREE_SHIFT up to TREE_END."""
    return inode >> TREE_SHIFT, inode & JOB_INDEX


def in_tree(inode: int) -> bool:
    """Return whether an inode belongs to a tree."""
    return 1 << TREE_SHIFT <= inode < TREE_END


def missing() -> pyfuse3.FUSEError:
    """Return the error for a name that does not exist."""
    return pyfuse3.FUSEError(errno.ENOENT)


class DynamicInodes:
    """Numbers given out on lookup, kept until the kernel forgets its last reference.

    A number is never used again, so that a forgotten one cannot come to mean something else. The
    identity is compared whole: a hash cut to 62 bits would sooner or later name two objects.
    """

    def __init__(self, first: int) -> None:
        self._next = first
        self._numbers: dict[bytes, int] = {}
        self._identities: dict[int, bytes] = {}
        self._lookups: dict[int, int] = {}

    def number(self, identity: bytes) -> int:
        """Return the number of a key or name, a new one when it has none."""
        number = self._numbers.get(identity)
        if number is None:
            number = self._next
            self._next += 1
            self._numbers[identity] = number
            self._identities[number] = identity
            self._lookups[number] = 0
        return number

    def identity(self, number: int) -> bytes:
        """Return what a number stands for; FUSEError ESTALE when nobody may know it any more."""
        identity = self._identities.get(number)
        if identity is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        return identity

    def remember(self, number: int) -> None:
        """Count one reference of the kernel."""
        self._lookups[number] += 1

    def forget(self, number: int, count: int) -> None:
        """Take references away; without any the number is gone. A count of 0 only tidies up."""
        left = self._lookups.get(number, 0) - count
        if left > 0:
            self._lookups[number] = left
        elif number in self._lookups:
            del self._lookups[number]
            del self._numbers[self._identities.pop(number)]

    def __len__(self) -> int:
        return len(self._numbers)
