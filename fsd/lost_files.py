"""Files that a batch lists and the store has no more: it owns finding them, by name.

What was damaged on all disks of a shard that was given up is in no shard any more, so no scrub and
no verification meets it; only the listings still know of it.
"""

import os
from collections.abc import Callable, Iterator

from fsd.index import BatchRow, IndexReader
from fsd.purge_place import live_shard
from fsd.store import Store
from fsd.tree import Tree, open_verified

LOOKED_UP_AT_ONCE = 4096


def lost_files(store: Store, row: BatchRow, step: Callable[[], None]) -> Iterator[tuple[str, str]]:
    """Yield (path, key in hex) of each file whose content no living shard holds.

    By the batch's listing; one that has none yet has nothing here, a damaged one is a
    CorruptTreeError. `step` is called now and then.
    """
    try:
        tree = open_verified(store.index.tree_path(row.tree_file)) if row.tree_file else None
    except OSError:
        return
    if tree is None:
        return
    with tree:
        for start in range(0, tree.node_count, LOOKED_UP_AT_ONCE):
            step()
            end = min(start + LOOKED_UP_AT_ONCE, tree.node_count)
            with store.index.read() as reader:
                lost = [node for node in range(start, end) if _is_lost(store, reader, tree, node)]
            for node in lost:
                key = tree.node(node).key
                if key is not None and not _is_found(store, key):
                    yield _path(tree, node), key.hex()


def _is_lost(store: Store, reader: IndexReader, tree: Tree, node: int) -> bool:
    key = tree.node(node).key
    if key is None:
        return False
    place = reader.locate(key)
    places = [] if place is None else [place, *reader.spares(key)]
    return not any(live_shard(store, one) for one in places)


def _is_found(store: Store, key: bytes) -> bool:
    """Look again: it may have been moved since, or have a wrong place in the index."""
    place = store.index.locate(key)
    if place is None:
        return False
    return live_shard(store, place) is not None or bool(store.find_again(key, place))


def _path(tree: Tree, node: int) -> str:
    names: list[bytes] = []
    while node:
        found = tree.node(node)
        names.append(found.name)
        node = found.parent
    return os.fsdecode(b"/".join(reversed(names)))
