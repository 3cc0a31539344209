"""Parts of a batch's list of files that no disk gives: it owns what its listing still says of them.

The listing on the SSD was made of all the parts that there were by then, which its name tells: it
stands for no others. So it has every path that a lost one names, and tells when a put has named all
of them again. What it does not have is the former content of a path that was put again with
another.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from shlex import quote

from fsd.format.batch_part import PartFile, parse_files
from fsd.format.errors import NoReplicaError, NotFoundError
from fsd.format.tree import CorruptTreeError, Tree, open_verified, path_of
from fsd.store.index import BatchRow
from fsd.store.purge_place import live_shard, places_of
from fsd.store.purged_keys import without_purged
from fsd.store.read import read_small
from fsd.store.store import Store

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
        shards = [live_shard(store, one) for one in places_of(reader, key)]
    return bool(shards) and all(shard is not None and not shard.disks for shard in shards)


def name_tree(parts: Sequence[bytes]) -> str:
    """Return a new name for a listing that is made of these parts, all that its batch has now."""
    return f"batch-{time.time_ns():x}-{len(parts)}-{_digest(parts)}.tree"


def listed_parts(row: BatchRow, parts: Sequence[bytes]) -> Sequence[bytes]:
    """Return those of a batch's parts, all in their order, that its listing was made of.

    None when it was made of others. A name of an earlier version says only how many there were.
    """
    _, _, count, digest, *_ = *row.tree_file.removesuffix(".tree").split("-"), "", "", "", ""
    if not count.isdigit():
        return []
    listed = [part for part in parts if part.hex() not in row.between][: int(count)]
    return listed if (digest or _digest(listed)) == _digest(listed) else []


def is_whole(row: BatchRow, parts: Sequence[bytes]) -> bool:
    """Return whether a batch's listing was made of all these parts, and says so."""
    return row.tree_file.endswith(f"-{len(parts)}-{_digest(parts)}.tree")


def _digest(parts: Sequence[bytes]) -> str:
    return blake2b(b"".join(parts), digest_size=MARK_BYTES).hexdigest()


def open_listing(
    store: Store, row: BatchRow, parts: Sequence[bytes], lost: Collection[bytes]
) -> Tree | None:
    """Open the batch's listing, proven, if it was made of the lost ones of its parts too.

    `parts` are all that the index has, in their order.
    """
    if not set(lost) <= set(listed_parts(row, parts)):
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

    What was purged by itself is left out.
    From a lost part on the listing stands for all that it was made of, and comes before what it
    does not have; without a listing it is a NoReplicaError.
    """
    for place, key in reversed(list(enumerate(parts))):
        data = read_part(store, key)
        if data is not None:
            yield without_purged(store, parse_files(data))
            continue
        tree = open_listing(store, row, parts, [key])
        if tree is None:
            raise not_listed(store, row, key)
        with tree:
            listed = listed_files(tree)
            while files := list(islice(listed, FILES_AT_ONCE)):
                yield without_purged(store, files)
        for other in reversed(unlisted(row, parts, place)):
            data = read_part(store, other)
            if data is None:
                raise not_listed(store, row, other)
            yield without_purged(store, parse_files(data))
        return


def unlisted(row: BatchRow, parts: Sequence[bytes], place: int) -> list[bytes]:
    """Return the parts before a lost one, at a place among all, that its listing does not have.

    They came back with a disk. The listing stands for the lost one and the others before it.
    """
    known = set(listed_parts(row, parts))
    return [part for part in parts[:place] if part not in known]


def not_listed(store: Store, row: BatchRow, lost: bytes) -> NoReplicaError:
    """Return the error for a lost part of a batch without a listing that was made of it."""
    return NoReplicaError(
        f"no replica of {lost.hex()} can be read, a part of the list of files of batch {row.name}, "
        f"which has no other listing; {way_out(store, row, [lost])}",
        [lost.hex()],
    )


def way_out(store: Store, row: BatchRow, lost: Sequence[bytes]) -> str:
    """Return what a person can do about lost parts that no listing of their batch stands for."""
    away = _away(store, lost)
    if away:
        dead = " or ".join(f"drystone rebuild --disk {quote(name)}" for name in away)
        return f"bring {', '.join(away)} back, or declare it gone if it is dead ({dead})"
    back = "bring back a disk that has it whole (drystone disk add PATH)"
    if not all(is_gone(store, part) for part in lost):
        return back
    # A sealed batch takes nothing that it does not list.
    name, other = ("NAME", "as another batch ") if row.sealed else (quote(row.name), "")
    again = f"put that again {other}(drystone put FOLDER --batch {name})"
    return f"{back}, or give up what it named (drystone reindex) and {again}"


def _away(store: Store, lost: Sequence[bytes]) -> list[str]:
    """Return the names of disks that are away, and have a part by the catalog."""
    with store.index.read() as reader:
        places = [one for part in lost for one in places_of(reader, part)]
    shards = [shard for one in places if (shard := live_shard(store, one)) is not None]
    disks = [store.disks.disks.get(disk_id) for shard in shards for disk_id in shard.disks]
    return sorted({disk.name for disk in disks if disk is not None and not disk.readable})


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
