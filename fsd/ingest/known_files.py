"""What a batch has already when it is put again: it owns finding a file's key by its path.

A small batch's paths are kept in memory. A large one would take some 300 bytes for each there: its
listing is made on the SSD first, as it is when the batch ends, and the paths are looked up in that.
"""

from base.errors import DrystoneError
from fsd.compile.batch_tree import compile_batch
from fsd.compile.lost_parts import open_listing, read_part, way_out
from fsd.format.batch_part import latest, parse_files
from fsd.format.errors import FsdError, NoReplicaError, NotFoundError
from fsd.format.paths import encode_path
from fsd.format.tree import Tree
from fsd.store.index import BatchRow
from fsd.store.purged_keys import without_purged
from fsd.store.read import read_small
from fsd.store.store import Store

KEPT_BYTES_MAX = 16 << 20
"""Of parts, whose paths are kept in memory: of some 100,000 files."""


class KnownFiles:
    """The paths of one batch as they were when it was opened; any thread may ask.

    Where one `has_lost_parts`, nobody knows whose paths those are: all have to be listed again.
    """

    def __init__(self) -> None:
        self.has_lost_parts = False
        self._keys: dict[str, str] = {}
        self._tree: Tree | None = None

    def load(
        self, store: Store, row: BatchRow, parts: list[bytes], *, listed: bool = False
    ) -> None:
        """Take in what the parts list; what was put last counts, as in the listing.

        With `listed` a listing that was made of all of them is asked instead: a batch that is put
        to often has a part of each put, and reading those would cost the disks a seek for each.
        The row gets a new listing when the batch is large, or a part of it is lost. FsdError when
        that is the only one that knew of some files.
        """
        if listed and (tree := open_listing(store, row, parts, parts)) is not None:
            self._tree = tree
            return
        places = [store.index.locate(key) for key in parts]
        size_bytes = sum(place.length_bytes for place in places if place is not None)
        if size_bytes > KEPT_BYTES_MAX and self._open_tree(store, row):
            return
        read = (parse_files(read_small(store, key)) for key in reversed(parts))
        read = (without_purged(store, files) for files in read)
        try:
            found = latest(file for part in read for file in reversed(part))
        except (NoReplicaError, NotFoundError) as error:
            if self._open_tree(store, row):
                return
            raise FsdError(
                f"a part of the list of files of batch {row.name} is lost, and its listing too: "
                + way_out(store, row, [part for part in parts if read_part(store, part) is None])
            ) from error
        self._keys = {path: file.key for path, file in found.items()}

    def _open_tree(self, store: Store, row: BatchRow) -> bool:
        try:
            self.has_lost_parts = not compile_batch(store, row)
            self._tree = Tree(store.index.tree_path(row.tree_file))
        except (DrystoneError, OSError):
            # The batch cannot be listed, or the SSD is full: no reason not to store the rest of it.
            return False
        return True

    def key(self, path: str) -> str | None:
        """Return the key (hex) that the batch has for a path, or None."""
        if self._tree is None:
            return self._keys.get(path)
        node: int | None = 0
        for name in encode_path(path).split(b"/"):
            try:
                node = self._tree.lookup(node, name)
            except NotADirectoryError:
                return None
            if node is None:
                return None
        key = self._tree.node(node).key
        return None if key is None else key.hex()

    def close(self) -> None:
        """Let the listing go; nobody asks any more."""
        if self._tree is not None:
            self._tree.close()
