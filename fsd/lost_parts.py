"""Parts of a batch's list of files that no disk gives: it owns what its listing still says of them.

The listing on the SSD was made of all the parts that there were by then. So it has every path that
a lost one names, and tells when a put has named all of them again. What it does not have is the
former content of a path that was put again with another.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import blake2b
from itertools import islice

from fsd.batch_part import PartFile, parse_files
from fsd.errors import NoReplicaError, NotFoundError
from fsd.index import BatchRow, IndexReader
from fsd.purge_place import live_shard
from fsd.read import read_small
from fsd.store import Store
from fsd.tree import CorruptTreeError, Tree, open_verified, path_of

FILES_AT_ONCE = 65_536
"""Of a listing, in memory."""
MARK_BYTES = 16
"""Of a path and its key, when very many are compared."""


def read_part(store: Store, key: bytes) -> bytes | None:
    """Return a part's bytes; None when nothing that is here gives them."""
    if is_gone(store, key):
        return None  # At once: a read waits for disks that may be about to return.
    try:
        return read_small(store, key)
    except (NoReplicaError, NotFoundError):
        return None


def is_gone(store: Store, key: bytes) -> bool:
    """Return whether all disks that had it were declared gone."""
    with store.index.read() as reader:
        place, spares = reader.locate(key), reader.spares(key)
    shards = [live_shard(store, one) for one in ([] if place is None else [place, *spares])]
    return bool(shards) and all(shard is not None and not shard.disks for shard in shards)


def name_tree(parts: int) -> str:
    """Return a new name for a listing that is made of the first so many parts of its batch."""
    return f"batch-{time.time_ns():x}-{parts}.tree"


def parts_listed(tree_file: str) -> int:
    """Return of how many parts a listing was made; 0 where its name, an older one, does not say."""
    _, _, count = tree_file.removesuffix(".tree").partition("-")[2].partition("-")
    return int(count) if count.isdigit() else 0


def is_behind(reader: IndexReader, row: BatchRow, part: bytes) -> bool:
    """Return whether a part comes after those that the batch's listing was made of.

    The listing stays then: it may be all that still tells what a lost one of these named.
    """
    listed = reader.batch_parts(row.name)[: parts_listed(row.tree_file)]
    return bool(listed) and part not in listed


def open_listing(
    store: Store, row: BatchRow, parts: Sequence[bytes], lost: Collection[bytes]
) -> Tree | None:
    """Open the batch's listing, proven, if it was made of the lost ones of its parts too.

    `parts` are all that the index has, in their order. Later ones have higher numbers.
    """
    if not set(lost) <= set(parts[: parts_listed(row.tree_file)]):
        return None
    try:
        return open_verified(store.index.tree_path(row.tree_file))
    except (OSError, CorruptTreeError):
        return None


def listed_files(tree: Tree) -> Iterator[PartFile]:
    """Yield every file of a listing."""
    for number in range(tree.node_count):
        node = tree.node(number)
        if node.key is not None:
            yield PartFile(path_of(tree, number), node.key.hex(), node.size_bytes)


def newest_first(store: Store, row: BatchRow, parts: Sequence[bytes]) -> Iterator[list[PartFile]]:
    """Yield the files of a batch's parts, the newest part first, a path perhaps again and again.

    From a lost part on the listing stands for all of them; without that it is a NoReplicaError.
    """
    for key in reversed(parts):
        data = read_part(store, key)
        if data is not None:
            yield parse_files(data)
            continue
        tree = open_listing(store, row, parts, [key])
        if tree is None:
            raise not_listed(row.name, key)
        with tree:
            listed = listed_files(tree)
            while files := list(islice(listed, FILES_AT_ONCE)):
                yield files
        return


def not_listed(batch: str, lost: bytes) -> NoReplicaError:
    """Return the error for a lost part of a batch without a listing that was made of it."""
    return NoReplicaError(
        f"no replica of {lost.hex()} can be read, a part of the list of files of batch {batch}, "
        "which has no other listing; `drystone reindex` gives up parts whose disks are gone",
        [lost.hex()],
    )


def are_named_again(
    store: Store, tree: Tree, parts: Sequence[bytes], step: Callable[[], None]
) -> bool:
    """Return whether these parts name every file of a listing, with the content that it has.

    Some 120 bytes of memory for each file. `step` is called now and then.
    """
    named: set[bytes] = set()
    for part in parts:
        step()
        named.update(_mark(file) for file in parse_files(read_small(store, part)))
    return all(_mark(file) in named for file in listed_files(tree))


def _mark(file: PartFile) -> bytes:
    text = f"{file.key}{file.path}".encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=MARK_BYTES).digest()
