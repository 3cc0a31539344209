"""A manifest in memory: it owns the columns that entries are kept in, and no rule about them.

Millions of entries as objects took 340 bytes each and minutes to make; as columns they take a
hundred. Paths are kept as the bytes that the kernel sees, joined in pieces of BLOCK_ENTRIES.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, islice, repeat, starmap
from operator import le
from typing import NamedTuple, cast

from fsd.format.paths import SORTED_BY_NUMPY_MIN, decode_path, encode_path

KEY_SIZE_BYTES = 32
BLOCK_ENTRIES = 4096
UNKNOWN_SIZE = -1
_NO_KEY = bytes(KEY_SIZE_BYTES)
_NO_NODE, _NUMBER, _NAME = range(3)
# Behind a path and before its number: less than whatever may follow in a path, and no name is
# empty, so none has it.
_MARK = b"\0\0"
_NUMBER_BYTES = 4


class ManifestEntry(NamedTuple):
    """One file of the target folder: stored content (`key`) or inline `text`, exactly one of them.

    `key` is the 32-byte sha256. `size_bytes` is None where the manifest does not say it; for a text
    the parser fills in the length of its bytes. Integer and string node ids are never equal.
    """

    path: str
    key: bytes | None = None
    text: str | None = None
    size_bytes: int | None = None
    node_id: str | int | None = None

    def text_bytes(self) -> bytes:
        """The bytes of an inline text's file; empty for an entry with a key."""
        return encode_path(self.text) if self.text is not None else b""


class Columns:
    """Checked entries by position. `keys` has 32 bytes for each, zeros for a text; `sizes` a -1
    where the size is not known yet; `texts` the bytes of the rare entries that have one.
    """

    def __init__(self, entries: Iterable[ManifestEntry] = ()) -> None:
        self.keys = bytearray()
        self.sizes = array("q")
        self.texts: dict[int, bytes] = {}
        self._pieces: list[bytes] = []
        self._rest: list[bytes] = []
        self._offsets = array("I")
        self._node_kinds = bytearray()
        self._nodes = array("q")
        self._node_names: dict[int, str] = {}
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self.sizes)

    def add(self, entry: ManifestEntry) -> None:
        """Append an entry."""
        path, key, text, size_bytes, node_id = entry
        data = None if text is None else encode_path(text)
        size = UNKNOWN_SIZE if size_bytes is None else size_bytes
        self.add_file(encode_path(path), key, size, data, node_id)

    def add_file(
        self,
        path: bytes,
        key: bytes | None,
        size_bytes: int,
        text: bytes | None,
        node_id: str | int | None = None,
    ) -> None:
        """Append an entry by its fields; the size of a text is that of its bytes."""
        number, kind = len(self.sizes), _NO_NODE
        if text is not None:
            self.texts[number], size_bytes = text, len(text)
        self.sizes.append(size_bytes)
        self.keys += key or _NO_KEY
        if isinstance(node_id, str):
            self._node_names[number], kind = node_id, _NAME
        elif node_id is not None:
            kind = _NUMBER
        self._nodes.append(node_id if isinstance(node_id, int) else 0)
        self._node_kinds.append(kind)
        self._rest.append(path)
        if len(self._rest) >= BLOCK_ENTRIES:
            self._add_paths([])

    def add_all(
        self,
        paths: list[bytes],
        keys: bytes,
        sizes: Sequence[int] | None,
        nodes: Sequence[int] | None,
    ) -> None:
        """Append entries with keys, of which all or none have a size and a node's number."""
        self.keys += keys
        self.sizes.extend(repeat(UNKNOWN_SIZE, len(paths)) if sizes is None else sizes)
        self._nodes.extend(repeat(0, len(paths)) if nodes is None else nodes)
        kind = _NO_NODE if nodes is None else _NUMBER
        self._node_kinds += bytes((kind,)) * len(paths)
        self._add_paths(paths)

    def _add_paths(self, paths: list[bytes]) -> None:
        rest = self._rest
        rest += paths
        while len(rest) >= BLOCK_ENTRIES:
            self._pieces.append(b"\0".join(rest[:BLOCK_ENTRIES]))
            del rest[:BLOCK_ENTRIES]

    def path_blocks(self) -> Iterator[list[bytes]]:
        """Yield the paths of BLOCK_ENTRIES entries after the other."""
        for piece in self._pieces:
            yield piece.split(b"\0")
        if self._rest:
            yield list(self._rest)

    def paths_of(self, numbers: Iterable[int]) -> list[bytes]:
        """Return the paths of several entries. The first call takes four bytes for every entry."""
        pieces, offsets, size = self._pieces, self._offsets, BLOCK_ENTRIES
        if self._rest:
            pieces = [*pieces, b"\0".join(self._rest)]
        if len(offsets) < len(self):
            del offsets[len(offsets) // size * size :]
            for paths in islice(self.path_blocks(), len(offsets) // size, None):
                lengths = map((1).__add__, map(len, paths))
                offsets.extend(accumulate(islice(lengths, len(paths) - 1), initial=0))
        found: list[bytes] = []
        for number in numbers:
            piece, start = pieces[number // size], offsets[number]
            end = piece.find(b"\0", start)
            found.append(piece[start:end] if end >= 0 else piece[start:])
        return found

    def key(self, number: int) -> bytes:
        """Return the key of an entry that has one."""
        return bytes(self.keys[number * KEY_SIZE_BYTES : (number + 1) * KEY_SIZE_BYTES])

    def keys_of(self, numbers: Sequence[int]) -> list[bytes]:
        """Return the keys of several entries that have one."""
        size = KEY_SIZE_BYTES
        if len(self) < SORTED_BY_NUMPY_MIN:
            with memoryview(self.keys) as view:
                return [view[number * size : (number + 1) * size].tobytes() for number in numbers]
        # A fifth of the time, and with so many entries numpy is there already.
        import numpy as np

        keys = np.frombuffer(self.keys, f"V{size}")[np.asarray(numbers, np.int64)]
        return cast("list[bytes]", keys.tolist())

    def node(self, number: int) -> str | int | None:
        """Return the node id of an entry."""
        kind = self._node_kinds[number]
        if kind == _NAME:
            return self._node_names[number]
        return self._nodes[number] if kind == _NUMBER else None

    def has_text(self, first: int, behind: int) -> bool:
        """Whether any entry of a range has a text."""
        return not self.texts.keys().isdisjoint(range(first, behind)) if self.texts else False

    def node_numbers(self, first: int, behind: int) -> Sequence[int] | None:
        """Return the node ids of a range if all are integers; None where some are not."""
        if self._node_kinds.count(_NUMBER, first, behind) != behind - first:
            return None
        return self._nodes[first:behind]

    def without_nodes(self, first: int, behind: int) -> bool:
        """Whether no entry of a range has a node id."""
        return self._node_kinds.count(_NO_NODE, first, behind) == behind - first

    def entries(self) -> Iterator[ManifestEntry]:
        """Yield all entries as objects."""
        return starmap(self.entry, enumerate(chain.from_iterable(self.path_blocks())))

    def entry(self, number: int, path: bytes) -> ManifestEntry:
        """Return one entry as an object, of which the path is known already."""
        text, size = self.texts.get(number), self.sizes[number]
        return ManifestEntry(
            decode_path(path),
            self.key(number) if text is None else None,
            None if text is None else decode_path(text),
            None if size == UNKNOWN_SIZE else size,
            self.node(number),
        )

    def sort(self) -> None:
        """Bring the entries into canonical order: by the bytes of their paths."""
        if is_sorted(self.path_blocks()):
            return
        pieces, self._pieces = self._pieces, []
        rest, self._rest = self._rest, []
        order = array("I")
        for paths, numbers in sort_paths(_taken(pieces, rest)):
            self._add_paths(paths)
            order.extend(numbers)
        self._offsets = array("I")
        keys = bytearray()
        for start in range(0, len(order), BLOCK_ENTRIES):
            keys += b"".join(self.keys_of(order[start : start + BLOCK_ENTRIES]))
        self.keys = keys
        self.sizes = array("q", map(self.sizes.__getitem__, order))
        self._nodes = array("q", map(self._nodes.__getitem__, order))
        self._node_kinds = bytearray(map(self._node_kinds.__getitem__, order))
        if self.texts or self._node_names:
            texts, names = self.texts, self._node_names
            self.texts = {new: texts[old] for new, old in enumerate(order) if old in texts}
            self._node_names = {new: names[old] for new, old in enumerate(order) if old in names}

    def keep(self, kept: bytearray) -> "Columns":
        """Return the entries whose byte in `kept` is 1, in their order."""
        chosen = Columns()
        places = array("q", accumulate(kept, initial=0))
        for block, paths in enumerate(self.path_blocks()):
            start = block * BLOCK_ENTRIES
            mask = kept[start : start + len(paths)]
            chosen._add_paths(list(compress(paths, mask)))
            numbers = list(compress(range(start, start + len(mask)), mask))
            chosen.keys += b"".join(self.keys_of(numbers))
        chosen.sizes = array("q", compress(self.sizes, kept))
        chosen._nodes = array("q", compress(self._nodes, kept))
        chosen._node_kinds = bytearray(compress(self._node_kinds, kept))
        chosen.texts = {places[n]: text for n, text in self.texts.items() if kept[n]}
        chosen._node_names = {places[n]: name for n, name in self._node_names.items() if kept[n]}
        return chosen


def is_sorted(blocks: Iterable[list[bytes]]) -> bool:
    """Whether the paths of all blocks are in the order of their bytes."""
    last = b""
    for paths in blocks:
        if paths and (last > paths[0] or not all(map(le, paths, islice(paths, 1, None)))):
            return False
        last = paths[-1] if paths else last
    return True


def sort_paths(blocks: Iterable[list[bytes]]) -> Iterator[tuple[list[bytes], Sequence[int]]]:
    """Yield all paths in the order of their bytes, in blocks, and the position that each had.

    No name in a path may be empty, where NUL stands between the names.
    """
    listed: list[bytes] = []
    for paths in blocks:
        first = len(listed)
        tails = _MARK + array("I", range(first, first + len(paths))).tobytes()
        # One object for each path, which knows its number, takes half of the memory of two.
        listed += [
            path + _MARK + tails[at : at + _NUMBER_BYTES]
            for path, at in zip(paths, range(2, len(tails), _NUMBER_BYTES), strict=True)
        ]
    listed.sort()
    cut = -len(_MARK) - _NUMBER_BYTES
    for start in range(0, len(listed), BLOCK_ENTRIES):
        block = listed[start : start + BLOCK_ENTRIES]
        listed[start : start + BLOCK_ENTRIES] = repeat(b"", len(block))  # freed as it is used up
        numbers = array("I")
        numbers.frombytes(b"".join([one[-_NUMBER_BYTES:] for one in block]))
        yield [one[:cut] for one in block], numbers


def _taken(pieces: list[bytes], rest: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the paths of pieces, which are freed meanwhile."""
    for number, piece in enumerate(pieces):
        pieces[number] = b""
        yield piece.split(b"\0")
    if rest:
        yield rest
