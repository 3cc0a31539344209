"""Writes the tree file that `tree` describes and reads: sorts a manifest's files into nodes."""

import os
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby, islice, repeat
from operator import eq, itemgetter
from pathlib import Path

import xxhash

from fsd.format.manifest.manifest_columns import KEY_SIZE_BYTES, Columns, is_sorted, sort_paths
from fsd.format.paths import COMPONENT_SIZE_BYTES_MAX, encode_path
from fsd.format.tree import (
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
_WRITE_NODES = 4096
_WRITE_BYTES = 1 << 20
_BAD_NAMES = frozenset((b"", b".", b".."))
# With NUL for the slash, whole paths sort as their components do: "a/b" before "a-b".
_SWAPPED = bytes.maketrans(b"/\0", b"\0/")
_FOLDER_OF: Callable[[tuple[bytes, bytes, bytes]], bytes] = itemgetter(0)


@dataclass(slots=True)
class _Directory:
    """A directory while the tree is laid out; positions count within their level."""

    first_child: int = 0
    child_count: int = 0


@dataclass(slots=True)
class _Level:
    """All nodes of one depth in breadth-first order, as columns: millions of them.

    `contents`: of a file its number among the entries, of a directory -1 less its number here.
    """

    names: bytearray = field(default_factory=bytearray)
    lengths: bytearray = field(default_factory=bytearray)
    parents: "array[int]" = field(default_factory=lambda: array("I"))
    contents: "array[int]" = field(default_factory=lambda: array("q"))
    directories: list[_Directory] = field(default_factory=list[_Directory])
    name_last: bytes = b""

    def add(self, names: list[bytes], parent: int, contents: Iterable[int]) -> None:
        """Append siblings."""
        self.names += b"".join(names)
        self.lengths += bytes(map(len, names))
        self.parents.extend(repeat(parent, len(names)))
        self.contents.extend(iter(contents))  # perhaps an array of another kind
        self.name_last = names[-1]


class _Layout:
    """Takes the files in depth-first order; the nodes of one depth, in that order, are a level."""

    def __init__(self) -> None:
        root = _Directory()
        self.levels = [_Level(directories=[root])]
        self.levels[0].add([b""], 0, (-1,))
        # The directories from the root down to the last file's folder, and their names.
        self._open = [root]
        self._open_names: list[bytes] = []

    def add(self, paths: list[bytes], numbers: Sequence[int]) -> None:
        """Take files, as paths with NUL for the slash, sorted; and their numbers."""
        if b"\0" in {path[:1] for path in paths}:
            raise ValueError(f"a path in {_shown(b'', paths)} cannot stand in a tree: absolute")
        at = 0
        # Millions pass through here: what can be is done for all of a folder's at once.
        for folder, parts in groupby([path.rpartition(b"\0") for path in paths], _FOLDER_OF):
            names = [name for _, _, name in parts]
            self._enter(folder.split(b"\0") if folder else [])
            self._append(names, numbers[at : at + len(names)], folder)
            at += len(names)

    def _enter(self, folders: list[bytes]) -> None:
        """Leave the directories that a folder does not share with the last, make those it adds."""
        shared = 0
        for before, now in zip(self._open_names, folders, strict=False):
            if before != now:
                break
            shared += 1
        del self._open_names[shared:], self._open[shared + 1 :]
        for name in folders[shared:]:
            directory, level = _Directory(), self._level(len(self._open))
            self._append([name], (-1 - len(level.directories),), b"\0".join(self._open_names))
            level.directories.append(directory)
            self._open.append(directory)
            self._open_names.append(name)

    def _append(self, names: list[bytes], contents: Iterable[int], folder: bytes) -> None:
        """Add files, or one folder, to the innermost open directory."""
        parent, depth = self._open[-1], len(self._open)
        level = self._level(depth)
        if not _BAD_NAMES.isdisjoint(names) or max(map(len, names)) > COMPONENT_SIZE_BYTES_MAX:
            raise ValueError(f"{_shown(folder, names)} cannot stand in a tree")
        if parent.child_count == 0:
            parent.first_child = len(level.contents)
        # Siblings arrive sorted, so an equal name is the one before.
        is_repeated = parent.child_count > 0 and level.name_last == names[0]
        if is_repeated or any(map(eq, names, islice(names, 1, None))):
            what = "is there twice, or is both a file and a folder"
            raise ValueError(f"{_shown(folder, names)} {what}")
        parent.child_count += len(names)
        level.add(names, len(self.levels[depth - 1].contents) - 1, contents)

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
    """
    columns, mtimes_ns = _gather(entries)
    _write(path, columns, mtimes_ns, created_ns, lambda: None)


def write_columns(
    path: str | os.PathLike[str], columns: Columns, *, created_ns: int, step: Callable[[], None]
) -> None:
    """Do the same for a manifest whose sizes are all known; `step` is called now and then."""
    _write(path, columns, {}, created_ns, step)


def _gather(entries: Iterable[TreeEntry]) -> tuple[Columns, dict[int, int]]:
    """Make columns of the entries; returns also the times of those that have their own."""
    columns, mtimes_ns = Columns(), dict[int, int]()
    for path, key, size_bytes, text, mtime_ns in entries:
        if "\0" in path:
            raise ValueError(f"{path!r} cannot stand in a tree")
        if mtime_ns is not None:
            mtimes_ns[len(columns)] = mtime_ns
        if (key is None) == (text is None) or (key is not None and len(key) != KEY_SIZE_BYTES):
            raise ValueError(f"{path!r} needs a key of 32 bytes or a text, and not both")
        try:
            columns.add_file(encode_path(path), key, size_bytes, text)
        except OverflowError:
            raise _oversized() from None
    return columns, mtimes_ns


def _oversized() -> ValueError:
    return ValueError("a size or time does not fit into 64 bits")


def _write(
    path: str | os.PathLike[str],
    columns: Columns,
    mtimes_ns: dict[int, int],
    created_ns: int,
    step: Callable[[], None],
) -> None:
    levels = _lay_out(columns, step)
    body = _Body(levels, columns, mtimes_ns, created_ns)
    temporary = os.fspath(path) + ".tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(bytes(HEADER_SIZE_BYTES))
            checksum = xxhash.xxh3_64()
            for piece in body.pieces():
                step()
                checksum.update(piece)
                file.write(piece)
            header = _header(levels, columns, created_ns, file.tell(), checksum.intdigest())
            file.seek(0)
            file.write(header)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, struct.error):
            raise _oversized() from None
        raise


def _lay_out(columns: Columns, step: Callable[[], None]) -> list[_Level]:
    layout = _Layout()
    for paths, numbers in _sorted_files(columns):
        step()
        layout.add(paths, numbers)
    return layout.levels


def _sorted_files(columns: Columns) -> Iterator[tuple[list[bytes], Sequence[int]]]:
    """Yield the paths, with NUL for the slash, in their order, in blocks, and their numbers."""
    if not is_sorted(_with_nul(columns)):
        yield from sort_paths(_with_nul(columns))
        return
    first = 0
    for paths in _with_nul(columns):
        yield paths, range(first, first + len(paths))
        first += len(paths)


def _with_nul(columns: Columns) -> Iterator[list[bytes]]:
    for paths in columns.path_blocks():
        yield b"\0".join(paths).translate(_SWAPPED).split(b"/")


def _header(
    levels: list[_Level], columns: Columns, created_ns: int, end: int, checksum: int
) -> bytes:
    nodes = sum(len(level.contents) for level in levels)
    directories = sum(len(level.directories) for level in levels)
    texts_size_bytes = sum(map(len, columns.texts.values()))
    counts = (nodes, nodes - directories, directories, sum(columns.sizes))
    names_at = HEADER_SIZE_BYTES + nodes * NODE_SIZE_BYTES
    offsets = (HEADER_SIZE_BYTES, names_at, end - texts_size_bytes, end)
    header = HEADER_STRUCT.pack(
        MAGIC, VERSION, NODE_SIZE_BYTES, *counts, created_ns, *offsets, checksum
    )
    return header + CHECKSUM_STRUCT.pack(xxhash.xxh3_64_intdigest(header))


class _Body:
    """What follows the header, as pieces of some 256 KiB; one use."""

    def __init__(
        self,
        levels: list[_Level],
        columns: Columns,
        mtimes_ns: dict[int, int],
        created_ns: int,
    ) -> None:
        self._levels = levels
        self._columns = columns
        self._mtimes_ns = mtimes_ns
        self._created_ns = created_ns
        self._name_at = 0
        self._text_at = 0
        self._texts: list[bytes] = []

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the nodes, the names and the texts."""
        if sum(len(level.contents) for level in self._levels) > NODES_MAX:
            raise ValueError(f"a tree holds at most {NODES_MAX} nodes")
        above = here = 0
        for level in self._levels:
            below = here + len(level.contents)
            for start in range(0, len(level.contents), _WRITE_NODES):
                yield b"".join(self._nodes(level, start, above, below))
            above, here = here, below
        for level in self._levels:
            view = memoryview(level.names)
            for start in range(0, len(view), _WRITE_BYTES):
                yield view[start : start + _WRITE_BYTES]
        yield from self._texts

    def _nodes(self, level: _Level, start: int, above: int, below: int) -> Iterable[bytes]:
        """The records of some nodes of a level. Positions within a level become indices by adding
        the level's offset.
        """
        behind = start + _WRITE_NODES
        lengths, contents = level.lengths[start:behind], level.contents[start:behind]
        names_at = list(accumulate(lengths, initial=self._name_at))
        self._name_at = names_at.pop()
        parents = [above + parent for parent in level.parents[start:behind]]
        texts, own_ns = self._columns.texts, self._mtimes_ns
        if min(contents) < 0 or own_ns or (texts and not texts.keys().isdisjoint(contents)):
            unions, sizes, times, kinds = zip(
                *(self._content(level, number, below) for number in contents), strict=True
            )
        else:
            unions, sizes = (
                self._columns.keys_of(contents),
                map(self._columns.sizes.__getitem__, contents),
            )
            times, kinds = repeat(self._created_ns), repeat(FILE_KIND)
        return map(NODE_STRUCT.pack, unions, sizes, times, names_at, parents, lengths, kinds)

    def _content(self, level: _Level, number: int, below: int) -> tuple[bytes, int, int, int]:
        """Return (union, size, time, kind) of a node."""
        if number < 0:
            directory = level.directories[-1 - number]
            union = CHILDREN_STRUCT.pack(below + directory.first_child, directory.child_count)
            return union, 0, self._created_ns, DIRECTORY_KIND
        size, time_ns = self._columns.sizes[number], self._mtimes_ns.get(number, self._created_ns)
        text = self._columns.texts.get(number)
        if text is None:
            return self._columns.key(number), size, time_ns, FILE_KIND
        union = TEXT_AT_STRUCT.pack(self._text_at)
        self._texts.append(text)
        self._text_at += len(text)
        return union, len(text), time_ns, TEXT_KIND


def _shown(folder: bytes, names: list[bytes]) -> str:
    listed = [(folder + b"/" + name).replace(b"\0", b"/") for name in names[:3]]
    return f"one of {listed}" if len(listed) > 1 else repr(listed[0])
