"""Writes living records again: it packs them into groups of fresh shards.

Each goes the way of every write: two disks at least, synced and read back. The proof of what is
written is the caller's.
"""

import contextlib

from base.errors import DrystoneError
from fsd.format.errors import FsdError
from fsd.format.group import GroupWriter
from fsd.format.record import Entry
from fsd.ingest.open_shard import OpenShard
from fsd.ingest.shard_writer import BuiltGroup, ShardWriter
from fsd.process.slots import Slot
from fsd.store.index import IndexWriter
from fsd.store.store import Store


class Repacker:
    """Packs records of one class into groups of fresh shards; used by one thread.

    Unless `is_placed`, the index points at them only when the roll-forward has seen their sealed
    shard.
    """

    def __init__(
        self, store: Store, writer: ShardWriter, class_name: str, *, is_placed: bool
    ) -> None:
        self._store = store
        self._writer = writer
        self._class_name = class_name
        self._is_placed = is_placed
        self._slot: Slot = store.pool.acquire()
        self._shard: OpenShard | None = None
        self._group: GroupWriter | None = None
        self.sealed: list[str] = []

    def add(self, entry: Entry, payload: bytes | memoryview) -> None:
        """Put a record into the current group, or into the next one when it is full."""
        for begin in (self._current, self._next_group, self._next_shard, self._largest_group):
            if begin().add(entry.key, payload, entry.flags) >= 0:
                return
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
        return self._group or self._begin(self._store.config.store.group_size_bytes)

    def _next_group(self) -> GroupWriter:
        self._commit()
        return self._current()

    def _next_shard(self) -> GroupWriter:
        self._group = None
        self._seal()
        return self._current()

    def _largest_group(self) -> GroupWriter:
        """Begin the first group of a shard as large as can be: they may have been larger once."""
        return self._begin(self._slot.size_bytes, is_first=True)

    def _begin(self, size_bytes: int, *, is_first: bool = False) -> GroupWriter:
        if self._shard is None:
            shard_size_bytes = self._store.config.store.shard_size_bytes
            self._shard = self._writer.create(self._class_name, shard_size_bytes, large=False)
            self._shard.placed = self._is_placed
        shard = self._shard
        self._group = GroupWriter(
            self._slot.view,
            size_bytes if is_first else min(size_bytes, shard.room_bytes),
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
