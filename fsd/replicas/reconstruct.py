"""Reconstruction: it owns making one sound replica of a shard that is damaged on all of its disks.

Each replica may be damaged in another place: whatever is sound of any of them is put together and
written again, byte for byte (see `rewrite`), to a part that becomes an ordinary replica only when
the footer bears all of it out. A content that no replica has is taken from another shard where
there is one: that is how a lost file that was stored again heals the shard that lost it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from base.logging.ids import about
from base.text import count_text
from fsd.disk_io.queue_rule import Kind
from fsd.disks.disks import Disk
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError, FsdError, NoReplicaError
from fsd.format.record import SECTOR_BYTES, Entry
from fsd.format.rewrite import rewrite
from fsd.process.slots import Slot
from fsd.repair.elsewhere import other_places, read_elsewhere
from fsd.repair.reconstruct_outline import find_outline
from fsd.repair.reconstruct_record import Records, ReplicaReader
from fsd.replicas.shard_copy import blaming_target
from fsd.store.index import Location
from fsd.store.store import Store

BACKGROUND = int(Kind.BACKGROUND)
BARRIERS = ("part begun", "part whole", "part adopted")
OUTPUT_BYTES = 4 << 20
LOST_NAMED_MAX = 5
TRY_AGAIN_S = 6 * 3600.0
"""A sector that could not be read may be readable later; nothing else changes by itself."""


@dataclass(slots=True)
class GivenUp:
    """A shard that cannot be reconstructed: why, which records are lost, and what it looked like.

    `deleted` says that only deleted content is damaged: a compaction gives the shard up.
    """

    reason: str
    lost: list[Entry]
    deleted: bool
    seen: object
    at_s: float = field(default_factory=time.monotonic)


class Reconstructor:
    """Reconstructs shards of one store, and remembers those that cannot be."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.given_up: dict[str, GivenUp] = {}
        # Told what is lost of a shard, all of whose disks are here.
        self.on_loss: Callable[[CatalogShard, list[Entry]], None] = lambda _shard, _lost: None
        # Told the name of each barrier; the crash tests end here.
        self.on_barrier: Callable[[str], None] = lambda _name: None

    def is_hopeless(self, shard: CatalogShard) -> bool:
        """Return whether the shard could not be rebuilt, and nothing has changed since then."""
        if self._store.sound_replicas(shard.shard_id):
            self.given_up.pop(shard.shard_id, None)
        known = self.given_up.get(shard.shard_id)
        if known is None or time.monotonic() - known.at_s > TRY_AGAIN_S:
            return False
        return known.seen == self._look(shard, known.lost)

    def check(self, shard: CatalogShard) -> None:
        """Raise NoReplicaError when there is nothing new to try."""
        known = self.given_up.get(shard.shard_id)
        if known is not None and self.is_hopeless(shard):
            raise NoReplicaError(known.reason, [shard.shard_id])

    def reconstruct(
        self, shard: CatalogShard, target: Disk, between: Callable[[int], None]
    ) -> None:
        """Make a sound replica file of a claimed shard on `target`; the catalog is the caller's.

        `between` is told the bytes done and raises when it is to end. NoReplicaError when a record
        is sound nowhere, TargetError or DiskError when a disk fails. Nothing is changed then.
        """
        seen = self._sessions(shard), []
        slot = self._store.pool.acquire()
        try:
            _Reconstruction(self._store, shard, target, slot, self.on_barrier, between).run()
        except _LostError as error:
            # What was there when it was looked for: a place that came meanwhile is news.
            seen = seen[0], [error.places[entry.key] for entry in error.records]
            known = GivenUp(str(error), error.records, not error.records, seen)
            raise self._give_up(shard, known) from None
        except CorruptError as error:
            raise self._give_up(shard, GivenUp(str(error), [], False, seen)) from error
        finally:
            self._store.pool.release(slot)
        self.given_up.pop(shard.shard_id, None)
        self._store.disks.log.warning(
            "shard %s, damaged on all its disks, was put together again",
            shard.shard_id,
            extra=about("shard.reconstructed", shard=shard.shard_id),
        )

    def deleted_only(self) -> frozenset[str]:
        """Return the shards that could not be reconstructed for deleted content alone."""
        return frozenset(shard_id for shard_id, one in list(self.given_up.items()) if one.deleted)

    def _give_up(self, shard: CatalogShard, known: GivenUp) -> NoReplicaError:
        self.given_up[shard.shard_id] = known
        # A disk that is away may have it.
        if known.lost and len(self._store.replicas(shard.shard_id)) == len(shard.disks):
            self.on_loss(shard, known.lost)
        return NoReplicaError(known.reason, [shard.shard_id])

    def _look(self, shard: CatalogShard, lost: list[Entry]) -> object:
        """Return what has to change before another try can go better."""
        places = [other_places(self._store, shard, entry) for entry in lost]
        return self._sessions(shard), places

    def _sessions(self, shard: CatalogShard) -> list[tuple[str, int]]:
        disks = self._store.replicas(shard.shard_id)
        return sorted((disk.disk_id, disk.session) for disk in disks)


class _Reconstruction:
    """One shard's way from all of its disks to one; `slot` is cut up among them."""

    def __init__(
        self,
        store: Store,
        shard: CatalogShard,
        target: Disk,
        slot: Slot,
        on_barrier: Callable[[str], None],
        between: Callable[[int], None],
    ) -> None:
        self._store = store
        self._shard = shard
        self._target = target
        self._slot = slot
        self._on_barrier = on_barrier
        self._between = between
        self._offset = self._filled = 0
        self._places: dict[bytes, list[Location]] = {}
        # The target's own damaged file is read last: that disk has enough to do.
        disks = sorted(store.replicas(shard.shard_id), key=lambda disk: disk is target)
        room = (slot.size_bytes - OUTPUT_BYTES) // max(1, len(disks)) // SECTOR_BYTES * SECTOR_BYTES
        readers = [
            ReplicaReader(disk, shard.shard_id, slot, OUTPUT_BYTES + place * room, room)
            for place, disk in enumerate(disks)
        ]
        self._records = Records(readers, self._elsewhere)

    def run(self) -> None:
        """Make the replica file; _LostError, CorruptError or DiskError with nothing left."""
        shard_id, length = self._shard.shard_id, self._shard.length_bytes
        outline = find_outline(self._store, self._shard)
        try:
            self._on_target("copy_create", shard_id, length)
            # Barrier: until it is adopted there is a part file only, which a start deletes.
            self._on_barrier("part begun")
            for piece in rewrite(outline, self._records.payload):
                self._put(memoryview(piece))
            self._append()
            if self._records.lost:
                raise CorruptError("a record is not what its sha256 says")
            self._on_target("copy_finish", shard_id)
            # Barrier: the part is whole, proven, synced and read back, and counts for nothing yet.
            self._on_barrier("part whole")
            self._on_target("adopt_part", shard_id)
            # Barrier: as with every copy. In a damaged one's place it counts already; where the
            # catalog does not know of a replica the next start verifies it and lets it count.
            self._on_barrier("part adopted")
        except BaseException as error:
            # Waited for: it must not come late, and take the part of whoever tries again.
            self._target.request("copy_drop", shard_id, priority=BACKGROUND).exception()
            if self._records.lost and isinstance(error, CorruptError):
                raise _LostError(self._shard, self._records.lost, self._places) from None
            raise

    def _put(self, piece: memoryview) -> None:
        while len(piece):
            size = min(len(piece), OUTPUT_BYTES - self._filled)
            self._slot.view[self._filled : self._filled + size] = piece[:size]
            piece, self._filled = piece[size:], self._filled + size
            if self._filled == OUTPUT_BYTES:
                self._append()

    def _append(self) -> None:
        size, self._filled = self._filled, 0
        # What cannot become whole is read to its end, for the list of losses, and not written.
        if size and not self._records.lost:
            arguments = (self._shard.shard_id, self._offset, self._slot.number, size)
            self._on_target("copy_write", *arguments, slots=(self._slot,))
            self._on_target("copy_prove", self._shard.shard_id, size)
            self._store.disks.note_success(self._target, written_bytes=size, read_bytes=size)
        self._offset += size
        self._between(size)

    def _on_target(self, operation: str, *arguments: Any, slots: tuple[Slot, ...] = ()) -> None:
        with blaming_target(self._store, self._target):
            asked = self._target.request(operation, *arguments, slots=slots, priority=BACKGROUND)
            asked.result()

    def _elsewhere(self, entry: Entry, piece: int) -> bytes | None:
        places = other_places(self._store, self._shard, entry)
        self._places.setdefault(entry.key, places)
        return read_elsewhere(self._store, places, entry, piece)


class _LostError(FsdError):
    """A shard is lost: `records` are the living ones that none of the `places` gives."""

    def __init__(
        self, shard: CatalogShard, lost: list[Entry], places: dict[bytes, list[Location]]
    ) -> None:
        self.places = places
        dead = shard.dead_records()
        self.records = [entry for entry in lost if not dead.has(entry.offset, entry.key)]
        keys = ", ".join(entry.key.hex() for entry in self.records[:LOST_NAMED_MAX])
        more = len(self.records) - LOST_NAMED_MAX
        what = f"no disk has a sound copy of {count_text(len(self.records), 'object')}: {keys}"
        what += f" and {more} more" * (more > 0)
        if not self.records:
            what = "only deleted content is sound nowhere"
        super().__init__(f"shard {shard.shard_id} is damaged on all its disks; {what}")
