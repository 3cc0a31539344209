"""The mount's namespace: it owns the root folder and who answers for which inode number.

It reads the index, tree files and the status folder (all on the SSD), never a disk. Nothing but
`open_tree` and `open_folder` awaits, which come before a tree is asked. Names that can appear or
vanish have short timeouts, the inside of a view has long ones.
"""

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyfuse3

from fsd.mount.index import MountIndex
from fsd.mount.inodes import (
    BATCHES,
    BROWSE,
    EXPORTS,
    GROUP_FIRST,
    OBJECT_FILE_FIRST,
    OBJECT_TIMEOUT_S,
    OBJECTS,
    PREFIX_FIRST,
    ROOT,
    STAGE,
    STATUS,
    STATUS_FIRST,
    Attributes,
    folder_attributes,
    in_tree,
    missing,
    split_tree_inode,
)
from fsd.mount.objects import ObjectFolders
from fsd.mount.trees import TreeListing
from fsd.mount.views import PublishedFolders

_SECTIONS = {
    b"objects": OBJECTS,
    b"batches": BATCHES,
    b"status": STATUS,
    b"stage": STAGE,
    b"exports": EXPORTS,
    b"browse": BROWSE,
}
_STATUS_NAMES = (b"health.json", b"capacity.json")
_PUBLISHED = (BATCHES, STAGE, EXPORTS, BROWSE)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file contains: an object, bytes at hand, or a file of the status folder.

    `resized`: the kernel was told another length than the index has, and would cut a read there.
    """

    name: bytes = b""
    key: bytes = b""
    length_bytes: int = 0
    resized: bool = False
    data: bytes | None = None
    status_path: str = ""


class Section(Protocol):
    """The folders below one name of the root."""

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Return the attributes of a child; FUSEError ENOENT when there is none."""
        ...

    def attributes(self, inode: int) -> Attributes:
        """Return the attributes of an inode; FUSEError when it stands for nothing now."""
        ...

    def names(self, inode: int) -> Iterable[bytes]:
        """Return the names of a folder's children."""
        ...


class Listing(Protocol):
    """An open folder."""

    def entries(self, start: int) -> Iterator[tuple[bytes, Attributes, int]]:
        """Yield (name, attributes, offset behind it) from an offset on."""
        ...


class Snapshot:
    """The names of a folder when it was opened; offset n stands behind the n-th of them.

    Attributes are looked up one by one as they are listed, so that numbers are only given to names
    that the kernel hears of.
    """

    def __init__(self, namespace: "Namespace", folder: int, names: Iterable[bytes]) -> None:
        self._namespace = namespace
        self._folder = folder
        self._names = list(names)

    def entries(self, start: int) -> Iterator[tuple[bytes, Attributes, int]]:
        """See Listing."""
        for position in range(start, len(self._names)):
            name = self._names[position]
            try:
                attributes = self._namespace.lookup(self._folder, name)
            except pyfuse3.FUSEError as error:
                if error.errno != errno.ENOENT:
                    raise
                continue
            yield name, attributes, position + 1


class Namespace:
    """Every name of the mount."""

    def __init__(self, index: MountIndex, status_folder: str) -> None:
        self._index = index
        self._mounted_ns = time.time_ns()
        self._status = StatusFolder(status_folder)
        self._objects = ObjectFolders(index, self._mounted_ns)
        self._published = PublishedFolders(index, self._mounted_ns)

    async def open_tree(self, inode: int) -> None:
        """Open the tree that an inode lies in, if any, for what is asked of that inode."""
        if in_tree(inode):
            number, index = split_tree_inode(inode)
            await self._published.trees.get(number).open_for(index)

    async def open_folder(self, inode: int, name: bytes = b"") -> None:
        """Open the tree that a folder lies in, if any, for one of its names or for all of them."""
        if in_tree(inode):
            number, index = split_tree_inode(inode)
            await self._published.trees.get(number).open_folder(index, name)

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Return the attributes of a folder's child; FUSEError ENOENT when there is none."""
        if in_tree(parent):
            number, index = split_tree_inode(parent)
            return self._published.trees.get(number).lookup(index, name)
        self._index.refresh()
        if parent != ROOT:
            return self._section(parent).lookup(parent, name)
        if name not in _SECTIONS:
            raise missing()
        return self._fixed(_SECTIONS[name])

    def attributes(self, inode: int) -> Attributes:
        """Return the attributes of an inode; FUSEError when it stands for nothing now."""
        if in_tree(inode):
            number, index = split_tree_inode(inode)
            return self._published.trees.get(number).attributes(index)
        if inode == ROOT or inode in _SECTIONS.values():
            return self._fixed(inode)
        return self._section(inode).attributes(inode)

    def listing(self, inode: int) -> Listing:
        """Open a folder for reading."""
        if in_tree(inode):
            number, index = split_tree_inode(inode)
            return TreeListing(self._published.trees.get(number), index)
        self._index.refresh()
        names = _SECTIONS if inode == ROOT else self._section(inode).names(inode)
        return Snapshot(self, inode, names)

    def content(self, inode: int) -> Content:
        """Return what a file contains; FUSEError when the inode stands for no file."""
        if in_tree(inode):
            return self._tree_content(*split_tree_inode(inode))
        if inode < PREFIX_FIRST:
            return Content(status_path=self._status.path(inode))
        key, shown_bytes = self._objects.shown(inode)
        location = self._index.locate(key)
        if location is None:
            raise missing()
        return Content(b"", key, location.length_bytes, location.length_bytes != shown_bytes)

    def remember(self, inode: int) -> None:
        """Count a reference of the kernel to an inode; trees and fixed folders need no count."""
        if inode >= GROUP_FIRST:
            self._published.groups.remember(inode)
        elif inode >= OBJECT_FILE_FIRST:
            self._objects.files.remember(inode)

    def forget(self, inode: int, count: int) -> None:
        """Take references away; with a count of 0 a number that was never used is tidied up."""
        if inode >= GROUP_FIRST:
            self._published.groups.forget(inode, count)
        elif inode >= OBJECT_FILE_FIRST:
            self._objects.files.forget(inode, count)

    def _section(self, inode: int) -> Section:
        if inode in _PUBLISHED or inode >= GROUP_FIRST:
            return self._published
        if inode == STATUS or STATUS_FIRST <= inode < PREFIX_FIRST:
            return self._status
        return self._objects

    def _fixed(self, inode: int) -> Attributes:
        return folder_attributes(inode, self._mounted_ns, OBJECT_TIMEOUT_S)

    def _tree_content(self, number: int, index: int) -> Content:
        mounted = self._published.trees.get(number)
        own = mounted.own_file(index)
        if own is not None:
            return Content(data=own)
        node = mounted.tree.node(index)
        if node.key is not None:
            return Content(node.name, node.key, node.size_bytes)
        return Content(node.name, data=mounted.tree.text(index))


class StatusFolder:
    """The section of status files; a file that the engine has not written does not exist."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def path(self, inode: int) -> str:
        """Return where the file of an inode lies."""
        position = inode - STATUS_FIRST
        if not 0 <= position < len(_STATUS_NAMES):
            raise missing()
        return os.path.join(self._folder, _STATUS_NAMES[position].decode())

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Return the attributes of a child."""
        if parent != STATUS or name not in _STATUS_NAMES:
            raise missing()
        return self.attributes(STATUS_FIRST + _STATUS_NAMES.index(name))

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
        return _STATUS_NAMES
