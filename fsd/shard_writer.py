"""Open shards: it owns creating, extending and sealing them, and the order of durability.

    group bytes -> fdatasync -> read back      on every acknowledging disk (in their processes)
    shard_open in the catalog                  before the first group of a shard
    index commit                               one transaction per group
    acknowledge                                by the caller, after all of these

A shard has one writer at a time. When a disk fails under a group, the shard is sealed at the last
group that is durable on all its disks, and the group moves to a fresh shard: never fewer copies.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fsd.disks import Disk
from fsd.errors import DiskError, FsdError
from fsd.group import large_group_bytes, readdress
from fsd.index import IndexWriter
from fsd.open_shard import OpenShard, append_everywhere, write_footer
from fsd.placement import choose_disks
from fsd.purge_place import put_objects
from fsd.record import (
    Entry,
    ShardHeader,
    iterate_entries,
    pack_entry,
    pack_footer,
    pack_shard_header,
)
from fsd.slots import Slot
from fsd.store import PART_BYTES_MAX, Store

COMMIT_TRIES_MAX = 4
SEAL_BELOW_BYTES = 1 << 16
IDLE_SHARDS_MAX = 8


@dataclass(frozen=True, slots=True)
class BuiltGroup:
    """A group in a slot, ready to be committed; entry offsets count from the group's start."""

    slot: Slot
    length_bytes: int
    digest: bytes
    entries: bytes


IndexExtra = Callable[[IndexWriter, OpenShard, int], None]


class ShardWriter:
    """Lends open shards to packing lanes and commits their groups."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._idle: list[OpenShard] = []
        self._sealing = threading.Lock()

    def lease(self, class_name: str, need_bytes: int, owner: str = "") -> OpenShard:
        """Return an open shard of the class with room, which nobody else writes until released.

        An owner's shards are lent to that owner only.
        """
        store = self._store
        with store.lock:
            for shard in self._idle:
                same = shard.class_name == class_name and shard.owner == owner
                if same and shard.room_bytes >= need_bytes and shard.whole:
                    self._idle.remove(shard)
                    return shard
        shard = self.create(class_name, store.config.store.shard_size_bytes, large=False)
        shard.owner = owner
        return shard

    def release(self, shard: OpenShard) -> None:
        """Give a leased shard back; a full one, or one too many, is sealed."""
        if not shard.whole or shard.room_bytes < SEAL_BELOW_BYTES:
            self.seal(shard)
            return
        with self._store.lock:
            self._idle.append(shard)
            extra = self._idle[:-IDLE_SHARDS_MAX]
            self._idle = self._idle[-IDLE_SHARDS_MAX:]
        for other in extra:
            self.seal(other)

    def seal_idle(self, predicate: Callable[[OpenShard], bool] = lambda _shard: True) -> None:
        """Seal the open shards that nobody writes and the predicate takes."""
        with self._sealing:  # A rebuild must not miss those that housekeeping is sealing.
            with self._store.lock:
                taken = [shard for shard in self._idle if predicate(shard)]
                self._idle = [shard for shard in self._idle if shard not in taken]
            try:
                while taken:
                    self.seal(taken.pop())
            finally:
                for shard in taken:
                    self._leave(shard.shard_id)

    def create(self, class_name: str, size_bytes: int, *, large: bool) -> OpenShard:
        """Create a shard on as many disks as an acknowledgement needs, known to the catalog.

        Raises NotEnoughDisksError when fewer can take it.
        """
        store = self._store
        for _ in range(COMMIT_TRIES_MAX):
            shard_id = os.urandom(16).hex()
            chosen = choose_disks(
                store.disks.spaces(),
                store.ack_copies(class_name),
                size_bytes + PART_BYTES_MAX,
                store.random,
                allow_same_domain=store.config.store.allow_same_device,
            )
            disks = [store.disks.disks[disk_id] for disk_id in chosen]
            if self._create_files(shard_id, class_name, disks, size_bytes, large=large):
                return self._register(shard_id, class_name, disks, size_bytes, large=large)
        raise DiskError("no shard could be created; see `drystone health`")

    def _create_files(
        self, shard_id: str, class_name: str, disks: list[Disk], size_bytes: int, *, large: bool
    ) -> bool:
        store = self._store
        header = ShardHeader(
            bytes.fromhex(shard_id),
            bytes.fromhex(store.config.store.store_id),
            time.time_ns(),
            class_name,
            large,
        )
        head = pack_shard_header(header)
        futures = [
            (disk, disk.request("create_shard", shard_id, head, size_bytes, False))
            for disk in disks
        ]
        failed = False
        for disk, future in futures:
            try:
                future.result()
                disk.free_bytes = max(0, disk.free_bytes - size_bytes)
            except (FsdError, OSError) as error:
                store.disks.note_error(disk, error, writing=True)
                failed = True
        if failed:
            # Files without a catalog entry hold nothing acknowledged: the survivors' are removed.
            for disk in disks:
                if disk.state == "online":
                    disk.request("remove_shard", shard_id, False)
        return not failed

    def _register(
        self, shard_id: str, class_name: str, disks: list[Disk], size_bytes: int, *, large: bool
    ) -> OpenShard:
        store = self._store
        ids = [disk.disk_id for disk in disks]
        with store.lock:
            # Before the catalog knows it, or a recovery that runs just now would take it for left.
            store.shards.writing.add(shard_id)
        entry: dict[str, object] = {"shard": shard_id, "class_name": class_name, "disks": ids}
        try:
            # Barrier: from here on a restart knows the shard and looks for its groups.
            store.catalog.append(("shard_open", {**entry, "large": True} if large else entry))
            with store.index.write() as writer:
                number = writer.next_shard_number()
                shard = OpenShard(shard_id, number, class_name, disks, size_bytes, large)
                writer.put_shard(shard.row())
        except BaseException:
            self._leave(shard_id)
            raise
        with store.lock:
            store.shards.name(shard_id, number)
        return shard

    def commit(self, shard: OpenShard, group: BuiltGroup, extra: IndexExtra) -> OpenShard:
        """Make a group durable, verified and indexed; returns the shard it ended up in.

        `extra` adds to the same index transaction. The returned shard differs from `shard` when a
        disk failed and the group had to move. Raises when it could be put nowhere.
        """
        for _ in range(COMMIT_TRIES_MAX):
            try:
                if append_everywhere(
                    self._store, shard, shard.length_bytes, group.slot, group.length_bytes
                ):
                    self._index(shard, group, extra)
                    return shard
            except BaseException:
                self._leave(shard.shard_id)
                raise
            self.seal(shard)
            placed = shard.placed
            shard = self.lease(shard.class_name, group.length_bytes, shard.owner)
            shard.placed &= placed
            group = self._moved(shard, group)
        self.release(shard)
        raise DiskError(f"a group could not be written after {COMMIT_TRIES_MAX} tries; see health")

    def _leave(self, shard_id: str) -> None:
        """Write a shard no more; the recovery seals it at the groups that its replicas hold."""
        with self._store.lock:
            self._store.shards.writing.discard(shard_id)

    def _moved(self, shard: OpenShard, group: BuiltGroup) -> BuiltGroup:
        digest = readdress(
            group.slot.view,
            group.entries,
            bytes.fromhex(shard.shard_id),
            len(shard.digests),
            shard.next_sequence,
        )
        return BuiltGroup(group.slot, group.length_bytes, digest, group.entries)

    def _index(self, shard: OpenShard, group: BuiltGroup, extra: IndexExtra) -> None:
        base = shard.length_bytes
        placed = [
            Entry(entry.key, base + entry.offset, entry.length_bytes, entry.flags)
            for entry in iterate_entries(group.entries)
        ]
        self.grow(shard, group.length_bytes, group.digest, placed)
        # Barrier: the group is durable and verified; a crash before this commit leaves it to the
        # roll-forward at the next start, which finds the same entries in the shard.
        with self._store.index.write() as writer:
            if shard.placed:
                put_objects(writer, shard.number, placed)
            writer.put_shard(shard.row())
            extra(writer, shard, base)

    def commit_large(self, shard: OpenShard, digest: bytes, entry: bytes) -> None:
        """Index and seal a shard whose single large group is durable on all its disks."""
        placed = [
            Entry(item.key, shard.length_bytes + item.offset, item.length_bytes, item.flags)
            for item in iterate_entries(entry)
        ]
        length = large_group_bytes(placed[0].length_bytes)
        self.grow(shard, length, digest, placed)
        try:
            with self._store.index.write() as writer:
                put_objects(writer, shard.number, placed)
                writer.put_shard(shard.row())
            self.seal(shard)
        except BaseException:
            self._leave(shard.shard_id)
            raise

    @staticmethod
    def grow(shard: OpenShard, length: int, digest: bytes, placed: Iterable[Entry]) -> None:
        """Note a group that is durable on all the shard's disks."""
        placed = list(placed)
        shard.length_bytes += length
        shard.next_sequence += len(placed)
        # Packed: a shard of small files has hundreds of thousands, 48 bytes each instead of 400.
        shard.entries += b"".join(map(pack_entry, placed))
        shard.payload_bytes += sum(entry.length_bytes for entry in placed)
        shard.digests.append(digest)

    def seal(self, shard: OpenShard) -> None:
        """Write the footer everywhere, cut the files, tell the catalog; never reopened after.

        Disks that fail here simply keep no replica of it; the reconciler copies it again.
        """
        store = self._store
        footer = pack_footer(
            bytes.fromhex(shard.shard_id),
            iterate_entries(shard.entries),
            shard.length_bytes,
            shard.digests,
        )
        length = shard.length_bytes + len(footer)
        if shard.digests:
            write_footer(store, shard, footer)
        try:
            # Barrier: footers first, then the catalog. A crash between them finds a shard that is
            # open for the catalog and sealed on disk, and recovery seals it to the same bytes.
            if shard.disks or not shard.digests:
                seal_in_catalog(store, shard, length, indexed=shard.placed)
            # Otherwise all its disks are lost at once. The catalog keeps it open: whichever of
            # them comes back is recovered from, since its groups were acknowledged.
        finally:
            self._leave(shard.shard_id)

    def abandon(self, shard: OpenShard) -> None:
        """Drop a shard that holds nothing acknowledged (a large file that changed)."""
        store = self._store
        store.catalog.append(("shard_abandon", {"shard": shard.shard_id}))
        with store.index.write() as writer:
            writer.delete_shard(shard.row())
        with store.lock:
            store.shards.writing.discard(shard.shard_id)
        for disk in shard.disks:
            disk.request("remove_shard", shard.shard_id, False)


def seal_in_catalog(store: Store, shard: OpenShard, length: int, *, indexed: bool = True) -> None:
    """Record a sealed shard (or drop an empty one) in the catalog and the index.

    A shard that is not `indexed` has records that the index may lack: its row stays open, and the
    roll-forward takes it in.
    """
    if not shard.digests:
        ShardWriter(store).abandon(shard)
        return
    row = shard.row(sealed=True, length_bytes=length)
    data = {"shard": shard.shard_id, "length": length, "disks": row.disks}
    store.catalog.append(("shard_seal", {**data, "time_ns": row.sealed_ns}))
    if indexed:
        with store.index.write() as writer:
            writer.put_shard(row)
    with store.lock:
        store.shards.writing.discard(shard.shard_id)
