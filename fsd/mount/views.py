"""What is published in the mount: it owns the names of batches and views, down to their trees.

    batches/<name>/...   stage/<id>/<layout>[/<part>]/...   exports/<id>/<layout>/...
    browse/<id>[/<layout>]/...

A row in the index publishes, its removal unpublishes; both are seen within a second.
"""

from collections.abc import Iterable

import trio

from fsd.format.errors import NotFoundError
from fsd.format.index_rows import BatchRow, ViewRow
from fsd.format.paths import IDENTIFIER_SIZE_BYTES_MAX
from fsd.format.tree import Tree, open_verified
from fsd.mount.index import MountIndex
from fsd.mount.inodes import (
    BATCHES,
    BROWSE,
    EXPORTS,
    GROUP_FIRST,
    LISTING_TIMEOUT_S,
    STAGE,
    Attributes,
    DynamicInodes,
    folder_attributes,
    missing,
)
from fsd.mount.trees import MountedTree, Trees

KINDS = {STAGE: "stage", EXPORTS: "exports", BROWSE: "browse"}

_Row = BatchRow | ViewRow


class PublishedFolders:
    """The sections of batches and views; `groups` are the folders above views."""

    def __init__(self, index: MountIndex, mounted_ns: int) -> None:
        self.groups = DynamicInodes(GROUP_FIRST)
        self.trees = Trees()
        self._index = index
        self._mounted_ns = mounted_ns

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Return the attributes of a child of a section or of an id's folder."""
        identifier = _identifier(name)
        if parent == BATCHES:
            path = f"batches/{identifier}"
            return self._root(path, self._index.batch(identifier))
        path = f"{KINDS.get(parent) or self._group_path(parent)}/{identifier}"
        row = self._index.view(path)
        if row is None and self._index.has_view_below(path):
            return self._group(path)
        return self._root(path, row)

    def attributes(self, inode: int) -> Attributes:
        """Return the attributes of an id's folder."""
        self.groups.identity(inode)
        return folder_attributes(inode, self._mounted_ns, LISTING_TIMEOUT_S)

    def names(self, inode: int) -> Iterable[bytes]:
        """Return what is published below a section or an id's folder, by name."""
        if inode == BATCHES:
            rows = self._index.batches()
            self.trees.retain("batches/", {f"batches/{row.name}" for row in rows})
            return [row.name.encode() for row in rows]
        if inode in KINDS:
            kind = KINDS[inode]
            views = self._index.views(kind)
            self.trees.retain(f"{kind}/", {row.name for row in views})
            return dict.fromkeys(row.view_id.encode() for row in views)
        path = self._group_path(inode)
        below = [row.name.removeprefix(f"{path}/") for row in self._index.views(path)]
        return dict.fromkeys(name.partition("/")[0].encode() for name in below)

    def _group_path(self, inode: int) -> str:
        return self.groups.identity(inode).decode()

    def _group(self, path: str) -> Attributes:
        return self.attributes(self.groups.number(path.encode()))

    def _root(self, path: str, row: _Row | None) -> Attributes:
        if row is None:
            self.trees.retire(path)
            raise missing()
        return self._publish(path, row).root_attributes()

    def _publish(self, path: str, row: _Row) -> MountedTree:
        if isinstance(row, ViewRow):
            content, document = row.manifest_key, row.document
        else:
            content, document = f"{row.files} files, {row.size_bytes} bytes", None

        async def open_tree() -> Tree:
            return await self._open_tree(path, row)

        return self.trees.publish((path, content, row.created_ns), open_tree, document)

    async def _open_tree(self, path: str, row: _Row) -> Tree:
        try:
            return await _open_verified(self._index.tree_path(row.tree_file))
        except (FileNotFoundError, NotFoundError):
            # A new generation has files of its own; the row there says which.
            self._index.refresh(force=True)
        name = path.removeprefix("batches/")
        again = self._index.batch(name) if isinstance(row, BatchRow) else self._index.view(path)
        if again is None:
            raise missing()
        return await _open_verified(self._index.tree_path(again.tree_file))


async def _open_verified(path: str) -> Tree:
    """Open a tree file in a thread: all of it is read, and others must not wait for that."""
    return await trio.to_thread.run_sync(open_verified, path, abandon_on_cancel=True)


def _identifier(name: bytes) -> str:
    try:
        identifier = name.decode()
    except UnicodeDecodeError:
        raise missing() from None
    if len(name) > IDENTIFIER_SIZE_BYTES_MAX:
        raise missing()
    return identifier
