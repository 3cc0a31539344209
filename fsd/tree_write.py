"""Writes the tree file that `tree` describes and reads: sorts a manifest's files into nodes."""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from operator import itemgetter
from pathlib import Path

import xxhash

from fsd.paths import COMPONENT_SIZE_BYTES_MAX, encode_path
from fsd.tree import (
    CHECKSUM_STRUCT,
    CHILDREN_STRUCT,
    DIRECTORY_KIND,
    FILE_KIND,
    HEADER_SIZE_BYTES,
    HEADER_STRUCT,
    MAGIC,
    NODE_SIZE_BYTES,
    NODE_STRUCT,
    TEXT_AT_STRUCT,
    TEXT_KIND,
    VERSION,
    TreeEntry,
)

NODES_MAX = 2**32 - 1
_WRITE_CHUNK = 8192


@dataclass(slots=True)
class _Directory:
    """A directory while the tree is laid out; positions count within their level."""

    first_child: int = 0
    child_count: int = 0


@dataclass(slots=True)
class _Level:
    """All nodes of one depth in breadth-first order, as parallel lists."""

    names: list[bytes] = field(default_factory=list[bytes])
    parents: list[int] = field(default_factory=list[int])
    contents: "list[_Directory | TreeEntry]" = field(default_factory=list["_Directory | TreeEntry"])


class _Layout:
    """Takes the files in depth-first order; the nodes of one depth, in that order, are a level."""

    def __init__(self) -> None:
        root = _Directory()
        self.levels = [_Level([b""], [0], [root])]
        # The directories from the root down to the last file's folder, and their names.
        self._open = [root]
        self._open_names: list[bytes] = []

    def add(self, encoded: bytes, entry: TreeEntry) -> None:
        *folders, name = encoded.split(b"\0")
        if folders != self._open_names:
            self._enter(folders, entry)
        self._append(name, entry, entry)

    def _enter(self, folders: list[bytes], entry: TreeEntry) -> None:
        """Leave the directories that `folders` does not share, and make those that are new."""
        pairs = zip(self._open_names, folders, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        del self._open_names[shared:], self._open[shared + 1 :]
        for name in folders[shared:]:
            directory = _Directory()
            self._append(name, directory, entry)
            self._open.append(directory)
            self._open_names.append(name)

    def _append(self, name: bytes, content: _Directory | TreeEntry, entry: TreeEntry) -> None:
        """Add a child to the innermost open directory."""
        if name in (b"", b".", b"..") or len(name) > COMPONENT_SIZE_BYTES_MAX:
            raise ValueError(f"{entry.path!r} cannot stand in a tree")
        parent, depth = self._open[-1], len(self._open)
        if depth == len(self.levels):
            self.levels.append(_Level())
        level = self.levels[depth]
        if parent.child_count == 0:
            parent.first_child = len(level.names)
        # Siblings arrive sorted, so an equal name is the one before.
        elif level.names[-1] == name:
            raise ValueError(f"{entry.path!r} is there twice, or is both a file and a folder")
        parent.child_count += 1
        level.names.append(name)
        level.parents.append(len(self.levels[depth - 1].names) - 1)
        level.contents.append(content)


def write_tree(
    path: str | os.PathLike[str], entries: Iterable[TreeEntry], *, created_ns: int
) -> None:
    """Sort the entries and write their tree file; it appears complete or not at all.

    Written to `path + ".tmp"` (replaced if present), fsynced, renamed; one writer per path. The
    folder is not fsynced: after a power cut the old file, or none, is there, and is rebuilt. Raises
    ValueError for paths no tree can hold: given twice, both file and folder, bad components.
    The memory is that of the entries plus about 200 bytes each.
    """
    levels = _lay_out(entries)
    temporary = os.fspath(path) + ".tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(bytes(HEADER_SIZE_BYTES))
            checksum = xxhash.xxh3_64()
            for piece in _body(levels, created_ns):
                checksum.update(piece)
                file.write(piece)
            header = _header(levels, created_ns, file.tell(), checksum.intdigest())
            file.seek(0)
            file.write(header)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, struct.error):
            raise ValueError(f"a size or time does not fit into 64 bits: {error}") from None
        raise


def _lay_out(entries: Iterable[TreeEntry]) -> list[_Level]:
    layout = _Layout()
    # With NUL for the slash, whole paths sort as their components do: "a/b" before "a-b".
    walk = [(encode_path(entry.path).replace(b"/", b"\0"), entry) for entry in entries]
    for encoded, entry in sorted(walk, key=itemgetter(0)):
        if "\0" in entry.path:
            raise ValueError(f"{entry.path!r} cannot stand in a tree")
        layout.add(encoded, entry)
    return layout.levels


def _header(levels: list[_Level], created_ns: int, end: int, checksum: int) -> bytes:
    contents = list(chain.from_iterable(level.contents for level in levels))
    files = [content for content in contents if isinstance(content, TreeEntry)]
    texts_size_bytes = sum(len(file.text) for file in files if file.text is not None)
    size_bytes = texts_size_bytes + sum(file.size_bytes for file in files if file.text is None)
    counts = (len(contents), len(files), len(contents) - len(files), size_bytes)
    names_at = HEADER_SIZE_BYTES + len(contents) * NODE_SIZE_BYTES
    offsets = (HEADER_SIZE_BYTES, names_at, end - texts_size_bytes, end)
    header = HEADER_STRUCT.pack(
        MAGIC, VERSION, NODE_SIZE_BYTES, *counts, created_ns, *offsets, checksum
    )
    return header + CHECKSUM_STRUCT.pack(xxhash.xxh3_64_intdigest(header))


def _body(levels: list[_Level], created_ns: int) -> Iterator[bytes]:
    """The bytes after the header, in pieces of some 100 KiB."""
    names = chain.from_iterable(level.names for level in levels)
    contents = chain.from_iterable(level.contents for level in levels)
    texts = (c.text for c in contents if isinstance(c, TreeEntry) and c.text is not None)
    for pieces in (_nodes(levels, created_ns), names, texts):
        while piece := list(islice(pieces, _WRITE_CHUNK)):
            yield b"".join(piece)


def _nodes(levels: list[_Level], created_ns: int) -> Iterator[bytes]:
    """The node records. Positions within a level become indices by adding the level's offset."""
    if sum(len(level.names) for level in levels) > NODES_MAX:
        raise ValueError(f"a tree holds at most {NODES_MAX} nodes")
    name_at = text_at = above = here = 0
    for level in levels:
        below = here + len(level.names)
        for name, parent, content in zip(level.names, level.parents, level.contents, strict=True):
            size_bytes, mtime_ns, kind = 0, created_ns, DIRECTORY_KIND
            if isinstance(content, _Directory):
                union = CHILDREN_STRUCT.pack(below + content.first_child, content.child_count)
            else:
                union, size_bytes, kind = _describe(content, text_at)
                mtime_ns = created_ns if content.mtime_ns is None else content.mtime_ns
                text_at += size_bytes if kind == TEXT_KIND else 0
            name_part = (name_at, above + parent, len(name))
            yield NODE_STRUCT.pack(union, size_bytes, mtime_ns, *name_part, kind)
            name_at += len(name)
        above, here = here, below


def _describe(entry: TreeEntry, text_at: int) -> tuple[bytes, int, int]:
    if entry.text is not None and entry.key is None:
        return TEXT_AT_STRUCT.pack(text_at), len(entry.text), TEXT_KIND
    if entry.key is None or len(entry.key) != 32 or entry.text is not None:
        raise ValueError(f"{entry.path!r} needs a key of 32 bytes or a text, and not both")
    return entry.key, entry.size_bytes, FILE_KIND
