"""Writes the tree file that `tree` describes and reads: sorts a manifest's files into nodes."""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
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
KEY_SIZE_BYTES = 32
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

    def add(self, files: list[tuple[bytes, TreeEntry]]) -> None:
        """Take all files, as (the path with NUL for the slash, the file), sorted by the first."""
        # Millions pass through here, and hardly any is the first of its folder: that is all that
        # is worth a call.
        folder_last: bytes | None = None
        level, parent, above = self.levels[0], self._open[0], 0
        for encoded, entry in files:
            cut = encoded.rfind(b"\0") + 1
            folder, name = encoded[:cut], encoded[cut:]
            if folder != folder_last:
                level, parent, above = self._enter(folder, entry)
                folder_last = folder
            # Siblings arrive sorted, so an equal name is the one before.
            if parent.child_count == 0:
                parent.first_child = len(level.names)
            elif level.names[-1] == name:
                raise ValueError(f"{entry.path!r} is there twice, or is both a file and a folder")
            if len(name) > COMPONENT_SIZE_BYTES_MAX or name in (b"", b".", b".."):
                raise ValueError(f"{entry.path!r} cannot stand in a tree")
            parent.child_count += 1
            level.names.append(name)
            level.parents.append(above)
            level.contents.append(entry)

    def _enter(self, folder: bytes, entry: TreeEntry) -> tuple[_Level, _Directory, int]:
        """Leave the directories that a folder does not share with the last, make those it adds.

        The folder ends with its NUL; the root is empty. Returns the level of its files, the folder
        itself and its position in the level above.
        """
        folders = folder[:-1].split(b"\0") if folder else []
        shared = 0
        for before, now in zip(self._open_names, folders, strict=False):
            if before != now:
                break
            shared += 1
        del self._open_names[shared:], self._open[shared + 1 :]
        for name in folders[shared:]:
            directory = _Directory()
            self._append(name, directory, entry)
            self._open.append(directory)
            self._open_names.append(name)
        depth = len(self._open)
        return self._level(depth), self._open[-1], len(self.levels[depth - 1].names) - 1

    def _append(self, name: bytes, directory: _Directory, entry: TreeEntry) -> None:
        """Add a folder to the innermost open directory."""
        if name in (b"", b".", b"..") or len(name) > COMPONENT_SIZE_BYTES_MAX:
            raise ValueError(f"{entry.path!r} cannot stand in a tree")
        parent, depth = self._open[-1], len(self._open)
        level = self._level(depth)
        if parent.child_count == 0:
            parent.first_child = len(level.names)
        elif level.names[-1] == name:
            raise ValueError(f"{entry.path!r} is there twice, or is both a file and a folder")
        parent.child_count += 1
        level.names.append(name)
        level.parents.append(len(self.levels[depth - 1].names) - 1)
        level.contents.append(directory)

    def _level(self, depth: int) -> _Level:
        if depth == len(self.levels):
            self.levels.append(_Level())
        return self.levels[depth]


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
    # With NUL for the slash, whole paths sort as their components do: "a/b" before "a-b".
    files = [
        (path.encode("ascii").replace(b"/", b"\0"), entry)
        if (path := entry[0]).isascii() and "\0" not in path
        else (_encode(entry), entry)
        for entry in entries
    ]
    files.sort(key=itemgetter(0))
    layout = _Layout()
    layout.add(files)
    return layout.levels


def _encode(entry: TreeEntry) -> bytes:
    if "\0" in entry.path:
        raise ValueError(f"{entry.path!r} cannot stand in a tree")
    return encode_path(entry.path).replace(b"/", b"\0")


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
    pack = NODE_STRUCT.pack
    name_at = text_at = above = here = 0
    for level in levels:
        below = here + len(level.names)
        for name, parent, content in zip(level.names, level.parents, level.contents, strict=True):
            size_bytes, mtime_ns, kind = 0, created_ns, DIRECTORY_KIND
            if isinstance(content, _Directory):
                union = CHILDREN_STRUCT.pack(below + content.first_child, content.child_count)
            else:
                _, union, size_bytes, text, own_ns = content
                kind, mtime_ns = FILE_KIND, created_ns if own_ns is None else own_ns
                if text is not None or union is None or len(union) != KEY_SIZE_BYTES:
                    union, size_bytes, kind = _describe_text(content, text_at)
                    text_at += size_bytes
            length = len(name)
            yield pack(union, size_bytes, mtime_ns, name_at, above + parent, length, kind)
            name_at += length
        above, here = here, below


def _describe_text(entry: TreeEntry, text_at: int) -> tuple[bytes, int, int]:
    if entry.text is None or entry.key is not None:
        raise ValueError(f"{entry.path!r} needs a key of 32 bytes or a text, and not both")
    return TEXT_AT_STRUCT.pack(text_at), len(entry.text), TEXT_KIND
