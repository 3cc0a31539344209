"""The trees a mount shows: it owns their numbers and open tree files, never a view's row.

A tree keeps its number while it is published with the same content, also across index generations,
so that inode numbers stay. A number is not used again after its tree was unpublished.
"""

import errno
import json
from collections.abc import Awaitable, Callable, Container, Iterator
from typing import Any

import pyfuse3
import trio

from base.errors import DrystoneError
from fsd.format.errors import FsdError
from fsd.format.tree import ROOT, Tree
from fsd.mount.inodes import (
    IMMUTABLE_TIMEOUT_S,
    JOB_INDEX,
    LISTING_TIMEOUT_S,
    SEAL_INDEX,
    Attributes,
    missing,
    tree_inode,
)

JOB_NAME = b"_JOB.json"
SEAL_NAME = b"_SEALED"


class MountedTree:
    """One published tree; whoever asks for more than its root opens its file first."""

    def __init__(
        self,
        number: int,
        identity: tuple[str, str, int],
        open_tree: Callable[[], Awaitable[Tree]],
        document: dict[str, Any] | None,
    ) -> None:
        self.number = number
        self.identity = identity
        self.created_ns = identity[2]
        self._open_tree = open_tree
        self._tree: Tree | None = None
        self._failure: Exception = FsdError("nobody opened the tree")
        # Held while the file is opened, across awaits: who comes meanwhile waits for that try.
        self._opening = trio.Lock()
        self._tries = 0
        job = None if document is None else _canonical_json(document)
        self._own: dict[bytes, tuple[int, bytes]] = {}
        if job is not None:
            self._own = {JOB_NAME: (JOB_INDEX, job), SEAL_NAME: (SEAL_INDEX, b"")}

    async def open_for(self, index: int) -> None:
        """Open the tree's file for what a node is, unless that is known without it."""
        if self._tree is None and index != ROOT and self.own_file(index) is None:
            await self._open()

    async def open_folder(self, folder: int, name: bytes = b"") -> None:
        """Open the tree's file for a name in a folder, or for all, unless known without it."""
        if self._tree is None and not (folder == ROOT and name in self._own):
            await self._open()

    async def _open(self) -> None:
        """Open the file, all of which is read; other requests go on meanwhile.

        What prevents it is raised to those who then ask for the tree. Who waited for another one's
        try does not try again.
        """
        tries = self._tries
        async with self._opening:
            if self._tree is None and tries == self._tries:
                try:
                    self._tree = await self._open_tree()
                except (DrystoneError, OSError, pyfuse3.FUSEError) as error:
                    self._failure = error
                self._tries += 1

    @property
    def tree(self) -> Tree:
        """Return the tree, once it was opened."""
        if self._tree is None:
            raise self._failure
        return self._tree

    def root_attributes(self) -> Attributes:
        """Return the root's attributes; its name may be unpublished, so it has a short timeout."""
        return Attributes(
            tree_inode(self.number, ROOT),
            True,
            0,
            self.created_ns,
            LISTING_TIMEOUT_S,
            IMMUTABLE_TIMEOUT_S,
        )

    def _own_attributes(self, index: int, data: bytes) -> Attributes:
        return self._attributes(index, False, len(data), self.created_ns)

    def _attributes(self, index: int, folder: bool, size_bytes: int, mtime_ns: int) -> Attributes:
        inode = tree_inode(self.number, index)
        timeout_s = IMMUTABLE_TIMEOUT_S
        return Attributes(inode, folder, size_bytes, mtime_ns, timeout_s, timeout_s)

    def own_entries(self) -> Iterator[tuple[bytes, Attributes]]:
        """Yield (name, attributes) of the files the view has besides its tree."""
        for name, own in self._own.items():
            yield name, self._own_attributes(*own)

    def own_file(self, index: int) -> bytes | None:
        """Return the content of `_JOB.json` or `_SEALED`, None for a node of the tree."""
        for own_index, data in self._own.values():
            if own_index == index:
                return data
        return None

    def attributes(self, index: int) -> Attributes:
        """Return the attributes of a node; FUSEError ESTALE when there is none."""
        data = self.own_file(index)
        if data is not None:
            return self._own_attributes(index, data)
        if index == ROOT:
            return self.root_attributes()
        try:
            node = self.tree.node(index)
        except IndexError:
            raise pyfuse3.FUSEError(errno.ESTALE) from None
        return self._attributes(index, node.kind == "dir", node.size_bytes, node.mtime_ns)

    def lookup(self, folder: int, name: bytes) -> Attributes:
        """Return the attributes of a folder's child; FUSEError ENOENT when there is none."""
        own = self._own.get(name) if folder == ROOT else None
        if own is not None:
            return self._own_attributes(*own)
        try:
            index = self.tree.lookup(folder, name)
        except NotADirectoryError:
            raise pyfuse3.FUSEError(errno.ENOTDIR) from None
        if index is None:
            raise missing()
        return self.attributes(index)


class TreeListing:
    """A folder of a tree, for readdir; offset n stands behind the n-th entry."""

    def __init__(self, mounted: MountedTree, folder: int) -> None:
        self._tree = mounted.tree
        self._number = mounted.number
        self._folder = folder
        self._own = list(mounted.own_entries()) if folder == ROOT else []

    def entries(self, start: int) -> Iterator[tuple[bytes, Attributes, int]]:
        """Yield (name, attributes, offset behind it) from an offset on."""
        own = self._own
        for position in range(start, len(own)):
            name, attributes = own[position]
            yield name, attributes, position + 1
        offset = max(start, len(own))
        base = tree_inode(self._number, 0)
        new = tuple.__new__
        timeout_s = IMMUTABLE_TIMEOUT_S
        children = self._tree.children(self._folder, offset - len(own))
        for index, name, kind, size_bytes, mtime_ns in children:
            offset += 1
            fields = (base | index, kind == "dir", size_bytes, mtime_ns, timeout_s, timeout_s)
            # As in Tree.children: the plain constructor of a named tuple costs 0.5 us more.
            yield name, new(Attributes, fields), offset


class Trees:
    """All trees of the mount by number and by name."""

    def __init__(self) -> None:
        self._by_number: dict[int, MountedTree] = {}
        self._by_name: dict[str, MountedTree] = {}
        self._last_number = 0

    def get(self, number: int) -> MountedTree:
        """Return a published tree; FUSEError ESTALE when it was unpublished."""
        mounted = self._by_number.get(number)
        if mounted is None:
            raise pyfuse3.FUSEError(errno.ESTALE)
        return mounted

    def publish(
        self,
        identity: tuple[str, str, int],
        open_tree: Callable[[], Awaitable[Tree]],
        document: dict[str, Any] | None,
    ) -> MountedTree:
        """Return the tree of (name, content, created_ns), under a new number when it is new."""
        name = identity[0]
        mounted = self._by_name.get(name)
        if mounted is not None and mounted.identity == identity:
            return mounted
        self.retire(name)
        self._last_number += 1
        mounted = MountedTree(self._last_number, identity, open_tree, document)
        self._by_name[name] = self._by_number[mounted.number] = mounted
        return mounted

    def retire(self, name: str) -> None:
        """Forget an unpublished tree; files that are open hold all they need."""
        mounted = self._by_name.pop(name, None)
        if mounted is not None:
            # Not closed: a listing may be half-way. The last reference unmaps the file.
            del self._by_number[mounted.number]

    def retain(self, prefix: str, names: Container[str]) -> None:
        """Retire every tree below a prefix that is not among these names."""
        gone = [name for name in self._by_name if name.startswith(prefix) and name not in names]
        for name in gone:
            self.retire(name)


def _canonical_json(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")
