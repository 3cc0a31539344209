"""Copying living records into fresh shards: it owns the proof of each, and the groups they fill.

Every payload is compared with its SHA-256 before it is written, and goes the way of every write:
two disks at least, synced and read back. The fresh shards are left to the roll-forward: the index
points at them only when they are sealed.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence

from base.errors import DrystoneError
from fsd.disk_io.extract import check_record
from fsd.disk_io.extract_windows import Item, plan_windows
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError, FsdError, NoReplicaError
from fsd.format.group import GroupWriter
from fsd.format.record import Entry
from fsd.ingest.open_shard import OpenShard
from fsd.ingest.shard_writer import BuiltGroup, ShardWriter
from fsd.process.slots import Slot
from fsd.replicas.replicate import BACKGROUND
from fsd.store.index import IndexWriter, Location
from fsd.store.read import read_record
from fsd.store.read_errors import note_read_error
from fsd.store.store import Store


def proven_records(
    store: Store, shard: CatalogShard, number: int, entries: Sequence[Entry]
) -> Iterator[tuple[Entry, bytes | memoryview]]:
    """Yield (entry, payload) by offset, each payload valid until the next; all are as written.

    NoReplicaError when a record is sound on no replica.
    """
    ordered = sorted(entries, key=lambda entry: entry.offset)
    items = [Item(entry.offset, entry.length_bytes, entry.key, ()) for entry in ordered]
    slot = store.pool.acquire()
    try:
        for window in plan_windows(items, slot.size_bytes):
            view = _read_window(store, shard, slot, window.start, window.end)
            for position in range(window.first, window.last):
                entry = ordered[position]
                payload = _from_view(shard, view, window.start, items[position])
                if payload is None:
                    location = Location(number, entry.offset, entry.length_bytes)
                    payload = _from_any(store, location, entry.key)
                yield entry, payload
    finally:
        store.pool.release(slot)


def _read_window(
    store: Store, shard: CatalogShard, slot: Slot, start: int, end: int
) -> memoryview | None:
    """Read a part of a shard from the best replica; None when that fails."""
    for disk in store.sound_replicas(shard.shard_id)[:1]:
        try:
            count = disk.request(
                "read_window",
                shard.shard_id,
                start,
                slot.number,
                0,
                end - start,
                slots=(slot,),
                priority=BACKGROUND,
            ).result()
            store.disks.note_success(disk, read_bytes=count)
            return slot.view[:count]
        except (DrystoneError, OSError) as error:
            note_read_error(store, disk, shard.shard_id, error)
    return None


def _from_view(
    shard: CatalogShard, view: memoryview | None, start: int, item: Item
) -> memoryview | None:
    if view is None:
        return None
    try:
        payload = check_record(view, item.offset - start, bytes.fromhex(shard.shard_id), item)
    except CorruptError:
        return None
    return payload if hashlib.sha256(payload).digest() == item.key else None


def _from_any(store: Store, location: Location, key: bytes) -> bytes:
    payload = read_record(store, location, key)
    if hashlib.sha256(payload).digest() != key:
        raise NoReplicaError(f"{key.hex()} does not match its sha256 on any disk", [key.hex()])
    return payload


class Copier:
    """Packs records of one class into groups of fresh shards; used by one thread."""

    def __init__(self, store: Store, writer: ShardWriter, class_name: str) -> None:
        self._store = store
        self._writer = writer
        self._class_name = class_name
        self._slot: Slot = store.pool.acquire()
        self._shard: OpenShard | None = None
        self._group: GroupWriter | None = None
        self.sealed: list[str] = []

    def add(self, entry: Entry, payload: bytes | memoryview) -> None:
        """Put a record into the current group, or into the next one when it is full."""
        if self._current().add(entry.key, payload, entry.flags) >= 0:
            return
        self._commit()
        if self._current().add(entry.key, payload, entry.flags) >= 0:
            return
        # What is left of this shard is too little.
        self._group = None
        self._seal()
        if self._current().add(entry.key, payload, entry.flags) < 0:
            raise FsdError(f"{entry.key.hex()} is too large to be moved")

    def finish(self) -> None:
        """Commit and seal what is left; `sealed` are the ids of all fresh shards then."""
        self._commit()
        self._seal()

    def close(self) -> None:
        """Give up what was not committed, seal the rest, and give the buffer back."""
        self._group = None
        with contextlib.suppress(DrystoneError):  # A start seals what cannot be sealed now.
            self._seal()
        self._store.pool.release(self._slot)

    def _current(self) -> GroupWriter:
        if self._group is None:
            sizes = self._store.config.store
            if self._shard is None:
                self._shard = self._writer.create(
                    self._class_name, sizes.shard_size_bytes, large=False
                )
                self._shard.placed = False
            shard = self._shard
            self._group = GroupWriter(
                self._slot.view,
                min(sizes.group_size_bytes, shard.room_bytes),
                bytes.fromhex(shard.shard_id),
                len(shard.digests),
                shard.next_sequence,
            )
        return self._group

    def _commit(self) -> None:
        shard, group = self._shard, self._group
        self._group = None
        if shard is None or group is None or not group.entries():
            return
        length, digest = group.close()
        built = BuiltGroup(self._slot, length, digest, group.entries())
        # While it is being committed nobody else seals it, and afterwards it may be another one.
        self._shard = None
        committed = self._writer.commit(shard, built, _no_more)
        if committed is not shard:
            # The one before was sealed at its last durable group.
            self.sealed.append(shard.shard_id)
        self._shard = committed

    def _seal(self) -> None:
        shard, self._shard = self._shard, None
        if shard is not None:
            self._writer.seal(shard)
            self.sealed.append(shard.shard_id)


def _no_more(_writer: IndexWriter, _shard: OpenShard, _base: int) -> None:
    """Add nothing to the index transaction: batch parts are read by the roll-forward."""
