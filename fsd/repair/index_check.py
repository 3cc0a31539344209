"""The look at an index as such: it owns finding rows and tree files that are not what was written.

Rows of JSON, the parts of batches and tree files have checksums; what should be there besides, the
catalog says. Whether a place of an object is right the footers say (see `care` and `index_heal`).
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from fsd.format.errors import CorruptError
from fsd.format.tree import CorruptTreeError, open_verified
from fsd.store.index import Index, IndexReader
from fsd.store.store import Store

TABLES = ("shards", "batches", "views", "disks", "meta")
STEP_EVERY = 4096
LOOK_AGAIN_S = 1.0
"""What was just acknowledged is in the catalog a moment before it is in the index."""


def check_rows(index: Index) -> list[str]:
    """Return what is wrong in the rows besides objects; reads no tree file and no disk."""
    found: list[str] = []
    for check in (*(_table_check(table) for table in TABLES), _wrong_numbers, _wrong_parts):
        # Damage of the tables themselves ends the look at that one.
        try:
            with index.read() as reader:
                found += check(reader)
        except CorruptError as error:
            found.append(str(error))
    return found


def _table_check(table: str) -> Callable[[IndexReader], list[str]]:
    def check(reader: IndexReader) -> list[str]:
        keys = [key for key, _ in reader.rows(table)]
        return _disorder(table, keys, int(reader.transaction.stat(reader.tables[table])["entries"]))

    return check


def _disorder(table: str, keys: list[bytes], count: int) -> list[str]:
    if keys == sorted(set(keys)) and len(keys) == count:
        return []
    return [f"the index is damaged: its {table} are in disorder"]


def _wrong_numbers(reader: IndexReader) -> list[str]:
    named = {row.shard_id: row.number for row in reader.shards()}
    cursor = reader.transaction.cursor(db=reader.tables["shard_ids"])
    found = {bytes(key).hex(): int.from_bytes(bytes(value), "big") for key, value in cursor}
    return [] if found == named else ["the index is damaged: its numbers of shards are wrong"]


def _wrong_parts(reader: IndexReader) -> list[str]:
    names = [row.name for row in reader.batches()]
    parts = sum(len(reader.batch_parts(name)) for name in names)
    stored = int(reader.transaction.stat(reader.tables["batch_parts"])["entries"])
    return [] if parts == stored else ["the index is damaged: it has parts of no batch"]


def check_order(index: Index, step: Callable[[], None]) -> list[str]:
    """Return whether the objects of an index can all be found: in their order, as many as said."""
    count, before = 0, b""
    try:
        with index.read() as reader:
            table = reader.tables["objects"]
            for key, value in reader.transaction.cursor(db=table):
                if count % STEP_EVERY == 0:
                    step()
                if not before < bytes(key) or len(key) != 32 or len(value) != 16:
                    return ["the index is damaged: its objects are in disorder"]
                count, before = count + 1, bytes(key)
            if count != reader.object_count():
                return [f"the index is damaged: it has {count} of {reader.object_count()} objects"]
    except CorruptError as error:
        return [str(error)]
    return []


def missing_rows(store: Store) -> list[str]:
    """Return which batches, views and shards of the catalog the index has no row of.

    None while the index is known to follow the catalog later.
    """
    if store.behind or store.is_unfinished:
        return []
    missing = set(_missing(store))
    if missing:
        time.sleep(LOOK_AGAIN_S)
        missing &= set(_missing(store))
    return [f"the index lacks {what}" for what in sorted(missing)]


def _missing(store: Store) -> Iterator[str]:
    with store.lock:
        state = store.shards.state
        batches, views = state.batches.keys() - state.hidden_batches(), set(state.views)
        shards = {shard.shard_id for shard in state.shards.values() if shard.sealed}
    with contextlib.suppress(CorruptError), store.index.read() as reader:
        yield from (f"batch {name}" for name in batches if reader.batch(name) is None)
        yield from (f"view {name}" for name in views if reader.view(name) is None)
        yield from (f"shard {one}" for one in shards if reader.shard_number(one) is None)


def drop_damaged_trees(store: Store, step: Callable[[], None]) -> list[str]:
    """Delete the tree files that fail their checksum; housekeeping makes them again.

    The mount keeps what it has open. Returns what was wrong.
    """
    found: list[str] = []
    names: list[str] = []
    with contextlib.suppress(CorruptError), store.index.read() as reader:
        names += [row.tree_file for row in (*reader.batches(), *reader.views())]
    for name in filter(None, names):
        step()
        path = store.index.tree_path(name)
        # One that is not there was made anew meanwhile, or is missing, which `fsck` tells.
        with contextlib.suppress(FileNotFoundError):
            try:
                open_verified(path).close()
            except CorruptTreeError as error:
                found.append(str(error))
                store.behind = True
                os.unlink(path)
    return found
