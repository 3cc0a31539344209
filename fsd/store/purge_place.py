"""Which record of a content the index points at: it owns placing and unplacing, no transaction.

A content may have several records: it was promoted to raw, written again while disks were away, or
moved. One of them is the object's place, the others are its spares: known, so that a purge marks
them all, and counted as garbage that a compaction may leave out.
"""

from collections.abc import Iterable
from itertools import islice

from fsd.format.catalog import CatalogShard
from fsd.format.purge_marks import DeadRecords
from fsd.format.record import Entry
from fsd.store.index import IndexReader, IndexWriter, Location
from fsd.store.store import Store

PIECE_RECORDS = 1 << 16


def put_objects(writer: IndexWriter, number: int, placed: Iterable[Entry]) -> None:
    """Point the keys of a group just written at their records; what they had becomes a spare.

    Batch parts are objects like others.
    """
    # By key, and with one look-up for those that are new: nearly all are.
    for entry in sorted(placed):
        location = Location(number, entry.offset, entry.length_bytes)
        if writer.put_new_object(entry.key, location):
            continue
        former = writer.locate(entry.key)
        writer.put_object(entry.key, location)
        if former is not None and former != location:
            writer.add_spare(entry.key, former)


def places_of(reader: IndexReader, key: bytes) -> list[Location]:
    """Return every place that the index has of a content: the object's, and its spares."""
    place = reader.locate(key)
    return [*([] if place is None else [place]), *reader.spares(key)]


def live_shard(store: Store, location: Location) -> CatalogShard | None:
    """Return the shard of a record, or None when the record is dead or its shard is no more."""
    with store.lock:
        shard = store.shards.state.shards.get(store.shards.ids.get(location.shard_number, ""))
        if shard is None or location.offset in shard.dead_records():
            return None
        return shard


def is_given(store: Store, key: bytes) -> bool:
    """Return whether a disk that is here has a living record of a content, not known as damaged."""
    with store.index.read() as reader:
        shards = [live_shard(store, one) for one in places_of(reader, key)]
    return any(store.sound_copies(shard.shard_id) for shard in shards if shard is not None)


def place(
    store: Store, writer: IndexWriter, shard: CatalogShard, key: bytes, new: Location
) -> None:
    """Take a living record in: raw wins over generated, else the one that was known stays."""
    if writer.put_new_object(key, new):
        writer.delete_spare(key, new)
        return
    known = writer.locate(key)
    if known == new:
        return
    if known is not None and known.shard_number != new.shard_number:
        other = live_shard(store, known)
        if other is not None and (other.class_name == "raw" or shard.class_name != "raw"):
            writer.add_spare(key, new)
            return
        if other is None:
            known = None
    writer.put_object(key, new)
    writer.delete_spare(key, new)
    if known is not None:
        writer.add_spare(key, known)


def take_in(
    store: Store,
    writer: IndexWriter,
    shard: CatalogShard,
    number: int,
    entries: Iterable[Entry],
    dead: DeadRecords,
) -> None:
    """Place the living records of a shard, of which `number` is the index's, and unplace others."""
    for entry in entries:
        location = Location(number, entry.offset, entry.length_bytes)
        if dead.has(entry.offset, entry.key):
            unplace(store, writer, entry.key, location)
        else:
            place(store, writer, shard, entry.key, location)


def unplace(store: Store, writer: IndexWriter, key: bytes, dead: Location) -> None:
    """Forget a dead record; the key goes with it unless another record of it lives."""
    writer.delete_spare(key, dead)
    if writer.locate(key) != dead:
        return
    living = [(spare, shard) for spare in writer.spares(key) if (shard := live_shard(store, spare))]
    if not living:
        writer.delete_object(key)
        return
    chosen, _ = min(living, key=lambda one: (one[1].class_name != "raw", one[0]))
    writer.put_object(key, chosen)
    writer.delete_spare(key, chosen)


def forget_shards(store: Store, numbers: set[int]) -> None:
    """Forget every record in shards that are no more, wherever the index has them.

    What has another record is found there from now on. The whole index is read: only one that is
    older than a drop or a purge needs this. In pieces, since LMDB keeps all that a transaction
    writes in memory; done again after a crash, it goes on with what is left.
    """
    after = b""
    while True:
        with store.index.read() as reader:
            placed = (one for one in reader.keys(after=after) if one[1].shard_number in numbers)
            gone = list(islice(placed, PIECE_RECORDS))
        if not gone:
            break
        with store.index.write() as writer:
            for key, location in gone:
                unplace(store, writer, key, location)
        after, _ = gone[-1]
    while True:
        with store.index.write() as writer:
            spares = (one for one in writer.all_spares() if one[1].shard_number in numbers)
            gone = list(islice(spares, PIECE_RECORDS))
            for key, location in gone:
                writer.delete_spare(key, location)
        if not gone:
            return
