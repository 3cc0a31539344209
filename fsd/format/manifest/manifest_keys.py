"""Which entries of a manifest have the same content: it owns their order by key, and deduplication.

Pure, as `manifest` is.
"""

from array import array
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Literal, NamedTuple

from fsd.format.manifest.manifest_columns import KEY_SIZE_BYTES, Columns
from fsd.format.paths import SORTED_BY_NUMPY_MIN

_COMPARED_AT_ONCE = 100_000

DedupMode = Literal["by_sha256", "by_node"]


class KeyOrder(NamedTuple):
    """Positions of the entries with a key, by key, equal ones as they come; and those places in
    this order, ascending, whose key is that of the place before.
    """

    order: "array[int]"
    repeats: Sequence[int]


def deduplicate(columns: Columns, mode: DedupMode) -> tuple[Columns, int, KeyOrder]:
    """Drop repeated content.

    Returns (the kept entries in canonical order, how many were dropped, the kept ones by key).

    `by_sha256`: each content once, its first path in canonical order wins. `by_node`: once per
    node and content; an entry without a node id is a node of its own. Texts always stay. The
    columns that are given are brought into canonical order.
    """
    if mode not in ("by_sha256", "by_node"):
        raise ValueError(f"unknown dedup mode {mode!r}: by_sha256 or by_node")
    columns.sort()
    keyed = by_key(columns)
    order, repeats = keyed
    kept = bytearray(b"\1") * len(columns)
    nodes, last, node_of = set[str | int](), -1, columns.node
    for place in repeats:
        if place - 1 != last:
            # The first entry of another content.
            node = node_of(order[place - 1])
            nodes = set() if node is None else {node}
        last, number = place, order[place]
        node = node_of(number)
        if mode == "by_sha256" or node in nodes:
            kept[number] = 0
        elif node is not None:
            nodes.add(node)
    dropped = kept.count(0)
    if not dropped:
        return columns, 0, keyed
    columns = columns.keep(kept)
    return columns, dropped, by_key(columns)


def by_key(columns: Columns) -> KeyOrder:
    """Sort the entries that have a key by it."""
    if len(columns) < SORTED_BY_NUMPY_MIN:
        key, texts = columns.key, columns.texts
        listed = sorted((key(n), n) for n in range(len(columns)) if n not in texts)
        order = array("q", map(itemgetter(1), listed))
        repeats = [at for at in range(1, len(listed)) if listed[at][0] == listed[at - 1][0]]
        return KeyOrder(order, repeats)
    return _by_head(columns)


def _by_head(columns: Columns) -> KeyOrder:
    """By the first eight bytes of the keys, and by the others where those are alike."""
    import numpy as np

    has_key = np.ones(len(columns), np.bool_)
    has_key[list(columns.texts)] = False
    heads = np.frombuffer(columns.keys, ">u8")[:: KEY_SIZE_BYTES // 8]
    found = np.flatnonzero(has_key)
    heads = heads[found].astype(np.uint64)
    places = np.argsort(heads, kind="stable")
    heads, at = heads[places], found[places].astype(np.int64, copy=False)
    order = array("q", at.tobytes())
    alike = np.flatnonzero(heads[1:] == heads[:-1])
    whole = np.frombuffer(columns.keys, np.uint64).reshape(-1, KEY_SIZE_BYTES // 8)
    pieces = np.array_split(alike, len(alike) // _COMPARED_AT_ONCE + 1)
    if all((whole[at[some]] == whole[at[some + 1]]).all() for some in pieces):
        return KeyOrder(order, array("q", (alike + 1).astype(np.int64, copy=False).tobytes()))
    starts = np.flatnonzero(np.diff(alike, prepend=-2) > 1)
    ends = np.append(starts, len(alike))[1:]
    runs = zip(alike[starts].tolist(), (alike[ends - 1] + 2).tolist(), strict=True)
    return KeyOrder(order, _sort_runs(columns, order, runs))


def _sort_runs(
    columns: Columns, order: "array[int]", runs: Iterable[tuple[int, int]]
) -> Sequence[int]:
    """Sort those ranges of the order, in which only the heads are equal; returns the repeats."""
    repeats, key = array("q"), columns.key
    for low, high in runs:
        listed = sorted((key(number), number) for number in order[low:high])
        order[low:high] = array("q", map(itemgetter(1), listed))
        repeats.extend(
            low + at for at in range(1, len(listed)) if listed[at][0] == listed[at - 1][0]
        )
    return repeats
