"""Parts that count for no batch any more: it owns telling them from those that do.

A purge marks the parts of its batch wherever the index knows them. A shard that it does not know
(its disks were declared gone, and the index was made anew without them) may come back later, when
a batch of the same name was put again: what the shard has is not of that one. The order of the
catalog tells: a batch has no part in a shard that had ended before the batch was purged last.

Such a part is an object like others, for somebody may have stored a file of the same bytes. It is
only no part, and must not become one by being written again: a fresh shard ends after the purge.
"""

from collections.abc import Iterable, Iterator

from base.errors import DrystoneError
from fsd.format.batch_part import PartHead, parse_head
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError
from fsd.format.record import RECORD_BATCH_PART, RECORD_OBJECT, Entry
from fsd.store.index import BatchRow, IndexWriter, Location
from fsd.store.read import read_record
from fsd.store.store import Store


def joins(store: Store, shard: CatalogShard, batch: str) -> bool:
    """Return whether a batch's parts in a shard count for it."""
    with store.lock:
        return store.shards.state.joins(shard, batch)


def joined(
    store: Store, shard: CatalogShard, entries: Iterable[Entry], *, in_doubt: int
) -> Iterator[Entry]:
    """Yield entries of a shard, with parts that count for none as objects.

    Of one that cannot be read nobody knows whose it is: it gets the flags `in_doubt`. Nothing is
    read where no batch was purged since the shard ended.
    """
    with store.lock:
        number = store.shards.numbers.get(shard.shard_id)
        all_join = shard.ended is None or shard.ended >= store.shards.state.purge_commits
    for entry in entries:
        if all_join or entry.flags != RECORD_BATCH_PART:
            yield entry
            continue
        batch = None if number is None else _batch_of(store, number, entry)
        if batch is None:
            yield entry._replace(flags=in_doubt)
        else:
            yield entry if joins(store, shard, batch) else entry._replace(flags=RECORD_OBJECT)


def flags_of(store: Store, shard: CatalogShard, entry: Entry, payload: bytes) -> int:
    """Return with which flags a record of a shard, here with its content, is written again."""
    if entry.flags != RECORD_BATCH_PART:
        return entry.flags
    try:
        batch = parse_head(payload).batch
    except CorruptError:
        return entry.flags
    return entry.flags if joins(store, shard, batch) else RECORD_OBJECT


def join(store: Store, writer: IndexWriter, key: bytes, head: PartHead) -> None:
    """Add a part to the row of its batch, which may be the first that is heard of it."""
    row = writer.batch(head.batch) or _new_row(store, head)
    if writer.add_batch_part(row, head.number, key):
        row.files += head.files
        row.size_bytes += head.size_bytes
    writer.put_batch(row)


def _new_row(store: Store, head: PartHead) -> BatchRow:
    with store.lock:
        purges = store.shards.state.purge_counts.get(head.batch, 0)
    return BatchRow(head.batch, head.class_name, 0, purges=purges)


def _batch_of(store: Store, number: int, entry: Entry) -> str | None:
    location = Location(number, entry.offset, entry.length_bytes)
    try:
        return parse_head(read_record(store, location, entry.key)).batch
    except DrystoneError:
        return None
