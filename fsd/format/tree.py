"""The tree file: a manifest laid out for the mount, read through mmap without building objects.

It owns that one file format and its reading; `tree_write` writes it. It is a projection: rebuilt
from the manifest object at any time, never the truth, and so written without a barrier for its
folder.

Layout, little-endian, sections back to back in this order:

    header  128 bytes
        0   8s  magic `DRYTREE1`
        8   u32 version (1)
        12  u32 size of a node record in bytes (64)
        16  u64 count of nodes, the root included
        24  u64 count of files (texts included)
        32  u64 count of directories (the root included)
        40  u64 sum of the sizes of all files, in bytes
        48  i64 created_ns: modification time of directories, and of files without one
        56  u64 offset of the node records        64  u64 offset of the names
        72  u64 offset of the texts               80  u64 size of the whole file
        88  u64 xxh3-64 of everything after the header (checked by `Tree.verify` only)
        96  24 zero bytes
        120 u64 xxh3-64 of bytes 0..119
    nodes   64 bytes each, breadth first: the children of a directory are contiguous, sorted by name
        0   32s file: sha256. text: u64 offset in the texts. directory: u32 first child, u32 count
        32  u64 size in bytes (0 for a directory)
        40  i64 mtime_ns
        48  u64 offset of the name in the names
        56  u32 parent (the root's is 0)
        60  u8  length of the name in bytes
        61  u8  kind: 0 directory, 1 file, 2 text
        62  2 zero bytes
    names   the names in the order of the nodes, without separators
    texts   the texts in the order of the nodes

Whatever damage is in the file, reading ends in CorruptTreeError or in a wrong answer that the
store's own checksums catch (a wrong key), never in a crash. The one exception is a file truncated
*while* it is mapped, which the kernel answers with SIGBUS: tree files are replaced by rename.
"""

import io
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self, cast

import xxhash

from fsd.format.errors import FsdError

MAGIC = b"DRYTREE1"
VERSION = 1
HEADER_SIZE_BYTES = 128
NODE_SIZE_BYTES = 64
ROOT = 0
# Children are read in chunks that double from the first to the last size, so that one call for a
# few names stays cheap and a whole listing runs at the speed of struct.iter_unpack.
_CHUNK_NODES_FIRST = 64
_CHUNK_NODES_MAX = 4096

HEADER_STRUCT = struct.Struct("<8sIIQQQQqQQQQQ24x")
NODE_STRUCT = struct.Struct("<32sQqQIBB2x")
_NAME = struct.Struct("<Q4xB")  # a node from byte 48: offset and length of its name
_NAME_AT = 48
CHILDREN_STRUCT = struct.Struct("<II24x")
TEXT_AT_STRUCT = struct.Struct("<Q24x")
CHECKSUM_STRUCT = struct.Struct("<Q")
assert HEADER_STRUCT.size + CHECKSUM_STRUCT.size == HEADER_SIZE_BYTES
assert NODE_STRUCT.size == NODE_SIZE_BYTES
assert CHILDREN_STRUCT.size == TEXT_AT_STRUCT.size == 32

Kind = Literal["dir", "file", "text"]
_KINDS: tuple[Kind, ...] = ("dir", "file", "text")
DIRECTORY_KIND, FILE_KIND, TEXT_KIND = range(3)


class CorruptTreeError(FsdError):
    """The tree file is damaged or is none; delete it, it is rebuilt from its manifest."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.path = os.fspath(path)
        super().__init__(f"tree file {os.fspath(path)!r} is damaged: {reason}; delete it")


class TreeEntry(NamedTuple):
    """One file of the tree: `key` (sha256) and `size_bytes`, or the bytes of an inline `text`.

    A named tuple, because a million of them take a third of the time of a frozen dataclass.
    `size_bytes` is ignored for a text; `mtime_ns` defaults to the tree's creation.
    """

    path: str
    key: bytes | None
    size_bytes: int = 0
    text: bytes | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One node, decoded. `key` only of a file; `first_child` and `child_count` of a directory."""

    kind: Kind
    name: bytes
    parent: int
    size_bytes: int
    mtime_ns: int
    key: bytes | None = None
    first_child: int = 0
    child_count: int = 0


class Child(NamedTuple):
    """What a directory listing needs of one node."""

    node: int
    name: bytes
    kind: Kind
    size_bytes: int
    mtime_ns: int


class Tree:
    """An open tree file. Safe to read from several threads; close it when no reader is left.

    Opening costs one page. Raises CorruptTreeError when the header or the sizes do not fit or
    cannot be read, OSError when there is no such file. Every method raises ValueError after
    `close`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with self.path.open("rb", buffering=0) as file:
            header = _read(file, self.path, HEADER_SIZE_BYTES)
            if len(header) < HEADER_SIZE_BYTES:
                raise CorruptTreeError(self.path, "it is shorter than its header")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self._read_header(header)
        except BaseException:
            self._map.close()
            raise

    def _read_header(self, header: bytes) -> None:
        if not header.startswith(MAGIC):
            raise CorruptTreeError(self.path, f"its magic is {header[:8]!r}")
        if CHECKSUM_STRUCT.pack(xxhash.xxh3_64_intdigest(header[:120])) != header[120:]:
            raise CorruptTreeError(self.path, "the checksum of its header is wrong")
        fields = cast("tuple[bytes, *tuple[int, ...]]", HEADER_STRUCT.unpack_from(header))
        _, version, node_size_bytes, *counts = fields
        if (version, node_size_bytes) != (VERSION, NODE_SIZE_BYTES):
            raise CorruptTreeError(self.path, f"version {version} is not known here")
        self.node_count, self.file_count, self.directory_count, self.size_bytes = counts[:4]
        self.created_ns, self._nodes_at, self._names_at, self._texts_at = counts[4:8]
        self._end, self._body_checksum = counts[8:]
        if self._end != len(self._map):
            raise CorruptTreeError(self.path, f"it has {len(self._map)} of {self._end} bytes")
        nodes_end = HEADER_SIZE_BYTES + self.node_count * NODE_SIZE_BYTES
        sections = (HEADER_SIZE_BYTES, nodes_end, self._texts_at)
        in_order = self.node_count > 0 and nodes_end <= self._texts_at <= self._end
        if not in_order or sections[:2] != (self._nodes_at, self._names_at):
            raise CorruptTreeError(self.path, "its sections do not fit together")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file; idempotent."""
        self._map.close()

    def verify(self) -> None:
        """Read the whole file and compare its checksum; raises CorruptTreeError.

        Not through the map: a sector that cannot be read, or is not there, would kill the process.
        """
        if self._map.closed:
            raise ValueError("the tree is closed")
        checksum = xxhash.xxh3_64()
        with self.path.open("rb", buffering=0) as file:
            file.seek(HEADER_SIZE_BYTES)
            while piece := _read(file, self.path, 1 << 20):
                checksum.update(piece)
        if checksum.intdigest() != self._body_checksum:
            raise CorruptTreeError(self.path, "the checksum of its content is wrong")

    def _record(self, index: int) -> tuple[bytes, int, int, int, int, int, int]:
        if not 0 <= index < self.node_count:
            raise IndexError(f"node {index} of {self.node_count} in {self.path}")
        record = NODE_STRUCT.unpack_from(self._map, HEADER_SIZE_BYTES + index * NODE_SIZE_BYTES)
        return cast("tuple[bytes, int, int, int, int, int, int]", record)

    def _name(self, offset: int, length: int) -> bytes:
        start = self._names_at + offset
        if start + length > self._texts_at:
            raise CorruptTreeError(self.path, "a name lies outside the names")
        return self._map[start : start + length]

    def _range(self, directory: int) -> tuple[int, int]:
        """The first child and the count of a directory; NotADirectoryError for a file."""
        union, *_, kind = self._record(directory)
        if kind != DIRECTORY_KIND:
            raise NotADirectoryError(f"node {directory} of {self.path} is not a directory")
        first, count = cast("tuple[int, int]", CHILDREN_STRUCT.unpack(union))
        # A child lies behind its parent, so that no damage can lead a walk in a circle.
        if count and (first <= directory or first + count > self.node_count):
            raise CorruptTreeError(self.path, f"the children of node {directory} lie outside")
        return first, count

    def node(self, index: int) -> Node:
        """Node `index`, 0 is the root; IndexError when there is none."""
        union, size_bytes, mtime_ns, offset, parent, length, kind = self._record(index)
        name = self._name(offset, length)
        if kind == DIRECTORY_KIND:
            first, count = self._range(index)
            return Node("dir", name, parent, 0, mtime_ns, None, first, count)
        if kind == FILE_KIND:
            return Node("file", name, parent, size_bytes, mtime_ns, union)
        if kind == TEXT_KIND:
            return Node("text", name, parent, size_bytes, mtime_ns)
        raise CorruptTreeError(self.path, f"node {index} is of unknown kind {kind}")

    def lookup(self, directory: int, name: bytes) -> int | None:
        """The child of that name, by binary search; NotADirectoryError for a file."""
        low, count = self._range(directory)
        high = low + count
        at = HEADER_SIZE_BYTES + _NAME_AT
        while low < high:
            middle = (low + high) // 2
            offset, length = _NAME.unpack_from(self._map, at + middle * NODE_SIZE_BYTES)
            found = self._name(offset, length)
            if found == name:
                return middle
            if found < name:
                low = middle + 1
            else:
                high = middle
        return None

    def children(self, directory: int, start: int = 0) -> Iterator[Child]:
        """Yield the children sorted by name, from position `start` on (readdir's offset), in O(1).

        Raises NotADirectoryError for a file, CorruptTreeError for damage, at the first `next`.
        """
        first, count = self._range(directory)
        position, end = first + max(start, 0), first + count
        chunk = _CHUNK_NODES_FIRST
        while position < end:
            stop = min(end, position + chunk)
            yield from self._chunk(position, stop)
            position, chunk = stop, min(chunk * 2, _CHUNK_NODES_MAX)

    def _chunk(self, position: int, stop: int) -> Iterator[Child]:
        at = HEADER_SIZE_BYTES + position * NODE_SIZE_BYTES
        # A copy, not a view: a view would keep `close` from unmapping.
        records = self._map[at : at + (stop - position) * NODE_SIZE_BYTES]
        texts_at, names_at, kinds = self._texts_at, self._names_at, _KINDS
        for _, size_bytes, mtime_ns, offset, _, length, kind in NODE_STRUCT.iter_unpack(records):
            start = names_at + offset
            if kind > TEXT_KIND or start + length > texts_at:
                raise CorruptTreeError(self.path, f"node {position} is out of bounds")
            name = self._map[start : start + length]
            yield Child(position, name, kinds[kind], size_bytes, mtime_ns)
            position += 1

    def text(self, index: int) -> bytes:
        """The bytes of a text node; ValueError for another kind."""
        union, size_bytes, *_, kind = self._record(index)
        if kind != TEXT_KIND:
            raise ValueError(f"node {index} of {self.path} is not a text")
        (offset,) = cast("tuple[int]", TEXT_AT_STRUCT.unpack(union))
        start = self._texts_at + offset
        if start + size_bytes > self._end:
            raise CorruptTreeError(self.path, "a text lies outside the texts")
        return self._map[start : start + size_bytes]


def _read(file: io.FileIO, path: Path, size_bytes: int) -> bytes:
    try:
        return file.read(size_bytes)
    except OSError as error:
        raise CorruptTreeError(path, f"it cannot be read: {error}") from error


def open_verified(path: str | os.PathLike[str]) -> Tree:
    """Open a tree file and read all of it once: what is read of it then is what was written."""
    tree = Tree(path)
    try:
        tree.verify()
    except BaseException:
        tree.close()
        raise
    return tree


def path_of(tree: Tree, node: int) -> str:
    """Return the path of a node of a listing."""
    names: list[bytes] = []
    while node:
        found = tree.node(node)
        names.append(found.name)
        node = found.parent
    return os.fsdecode(b"/".join(reversed(names)))
