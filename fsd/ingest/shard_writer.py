"""Open shards: it owns creating, extending and sealing them, and the order of durability.

    shard_open in the catalog                  before the first group of a shard
    group bytes -> fsync -> read back          on every acknowledging disk (in their processes)
    index commit                               one transaction per group
    acknowledge                                by the caller, after all of these
    shard_seal in the catalog                  later: with the next shard_open, or by housekeeping

The first group makes the files, the footer comes with the last one: a shard that is filled by one
group is written and read back in one run. A shard has one writer at a time. When a disk fails under
a group, the shard is sealed at the last group that is durable on all its disks, and the group moves
to a fresh shard: never fewer copies.
"""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from base.errors import DrystoneError
from fsd.disks.disk import Disk
from fsd.format.errors import DiskError, NotEnoughDisksError
from fsd.format.group import large_group_bytes, readdress
from fsd.format.record import (
    ENTRY_BYTES,
    Entry,
    ShardHeader,
    iterate_entries,
    pack_entry,
    pack_footer_of,
    pack_shard_header,
)
from fsd.ingest.open_shard import OpenShard, append_everywhere, write_footer
from fsd.ingest.seals import Ended, ended_of, record_seals
from fsd.planning.placement import FairDraws
from fsd.process.slots import Slot
from fsd.store.index import IndexWriter
from fsd.store.purge_place import put_objects
from fsd.store.store import PART_BYTES_MAX, Store

COMMIT_TRIES_MAX = 4
IDLE_SHARDS_MAX = 8
OPEN_AHEAD_MAX = 4
"""Shards that are begun at once: each entry of the catalog takes the head of every disk there and
back. One that is not needed in the end is abandoned without a file."""
SEAL_WITHIN_S = 10.0
"""So long a sealed shard waits for another entry to go to all catalogs with."""


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
        self._draws = FairDraws()
        self._idle: list[OpenShard] = []
        self._lent: dict[str, OpenShard] = {}
        self._ended: list[Ended] = []
        # Held while shards are begun, which others who come then share. After
        # `Engine.maintenance`, before the catalog's.
        self._opening = threading.Lock()
        # Held while idle shards are sealed. After `Engine.maintenance`, before the catalog's. The
        # lists above are guarded by `Store.lock`.
        self._sealing = threading.Lock()

    def lease(
        self, class_name: str, need_bytes: int, owner: str = "", expected_bytes: int = 0
    ) -> OpenShard:
        """Return an open shard of the class with room, which nobody else writes until released.

        An owner's shards are lent to that owner only. Where a new one is begun, so are as many more
        as the `expected_bytes` will fill: the catalog of every disk is told of them in one go.
        """
        if (idle := self._take_idle(class_name, need_bytes, owner)) is not None:
            return idle
        size_bytes = self._store.config.store.shard_size_bytes
        with self._opening:
            # Whoever had it before may have begun enough for both.
            if (idle := self._take_idle(class_name, need_bytes, owner)) is not None:
                return idle
            count = max(1, min(OPEN_AHEAD_MAX, expected_bytes // size_bytes))
            shard, *others = self._create(class_name, [size_bytes] * count, large=False)
            for one in (shard, *others):
                one.owner = owner
            with self._store.lock:
                self._idle += others
                for other in others:
                    del self._lent[other.shard_id]
        return shard

    def _take_idle(self, class_name: str, need_bytes: int, owner: str) -> OpenShard | None:
        with self._store.lock:
            for shard in self._idle:
                same = shard.class_name == class_name and shard.owner == owner
                if same and shard.room_bytes >= need_bytes and self._is_whole(shard):
                    self._idle.remove(shard)
                    self._lent[shard.shard_id] = shard
                    return shard
        return None

    def release(self, shard: OpenShard) -> None:
        """Give a leased shard back; a full one, or one too many, is sealed."""
        if not self._is_whole(shard) or shard.full_after():
            self._end(shard)
            return
        with self._store.lock:
            self._lent.pop(shard.shard_id, None)
            self._idle.append(shard)
            extra = self._idle[:-IDLE_SHARDS_MAX]
            self._idle = self._idle[-IDLE_SHARDS_MAX:]
        self._end_all(extra)

    def tidy(self) -> None:
        """Seal what cannot be written any more, and let the catalog know what waits too long."""
        self.seal_idle(lambda shard: not self._is_whole(shard), SEAL_WITHIN_S)

    def _is_whole(self, shard: OpenShard) -> bool:
        """Return whether the shard may grow: all its disks take writes, and no copy is damaged.

        A damaged one is ended instead, with a footer of what was written: only then can a sound
        copy of it be made, and what is put again meanwhile must not come to lie in it.
        """
        return shard.whole and not self._store.is_damaged(shard.shard_id)

    def seal_idle(
        self,
        predicate: Callable[[OpenShard], bool] = lambda _shard: True,
        within_s: float = 0.0,
    ) -> None:
        """Seal the open shards that nobody writes and the predicate takes.

        Afterwards the catalog knows every shard that was ended `within_s` ago or before.
        """
        with self._sealing:  # A rebuild must not miss those that housekeeping is sealing.
            with self._store.lock:
                taken = [shard for shard in self._idle if predicate(shard)]
                self._idle = [shard for shard in self._idle if shard not in taken]
            try:
                while taken:
                    self._end(taken.pop())
            finally:
                for shard in taken:
                    self._leave(shard.shard_id)
            self._record(self._take_ended(within_s))

    def create(self, class_name: str, size_bytes: int, *, large: bool) -> OpenShard:
        """Begin a shard on as many disks as an acknowledgement needs, known to the catalog.

        Its files are made with the first group. Raises NotEnoughDisksError when fewer can take it.
        """
        return self._create(class_name, [size_bytes], large=large)[0]

    def create_large(self, class_name: str, sizes_bytes: list[int]) -> list[OpenShard]:
        """Begin a shard for each of some large objects, as `create` does, all at once.

        Fewer where the disks get full: those of the first ones.
        """
        return self._create(class_name, sizes_bytes, large=True)

    def end_unused(self, shards: Iterable[OpenShard]) -> None:
        """Give up shards that were begun, and that nothing was written to."""
        self._end_all(list(shards))

    def _end_all(self, shards: list[OpenShard]) -> None:
        """End shards that nobody waits for; what cannot be ended is left to the recovery."""
        try:
            while shards:
                # What the catalog cannot be told now, the next start finds out: of one that was
                # never written there is no file.
                with contextlib.suppress(DrystoneError):
                    self._end(shards.pop())
        finally:
            for shard in shards:
                self._leave(shard.shard_id)

    def _create(self, class_name: str, sizes_bytes: list[int], *, large: bool) -> list[OpenShard]:
        """Begin shards with one write to the catalogs; fewer where the disks get full."""
        store = self._store
        placed = self._place(class_name, sizes_bytes)
        made: list[OpenShard] = []
        try:
            # Barrier: from here on a restart knows the shards and looks for their groups; those
            # without any file, on disks that are all here, it forgets again.
            entries = [_opened(shard_id, class_name, disks, large) for shard_id, disks in placed]
            self._record(self._take_ended(), *entries)
            with store.index.write() as writer:
                for (shard_id, disks), size_bytes in zip(placed, sizes_bytes, strict=False):
                    number = writer.next_shard_number()
                    shard = OpenShard(shard_id, number, class_name, disks, size_bytes, large)
                    shard.head = self._head(shard)
                    writer.put_shard(shard.row())
                    made.append(shard)
        except BaseException:
            for shard_id, _ in placed:
                self._leave(shard_id)
            raise
        with store.lock:
            for shard in made:
                store.shards.name(shard.shard_id, shard.number)
                self._lent[shard.shard_id] = shard
        return made

    def _place(self, class_name: str, sizes_bytes: list[int]) -> list[tuple[str, list[Disk]]]:
        """Draw the disks of new shards; returns their ids, which count as written from now on."""
        store, placed = self._store, list[tuple[str, list[Disk]]]()
        waiting = self._waiting_bytes()
        for size_bytes in sizes_bytes:
            try:
                chosen = self._draws.choose(
                    store.disks.spaces(),
                    store.ack_copies(class_name),
                    size_bytes + PART_BYTES_MAX,
                    store.random,
                    allow_same_domain=store.config.store.allow_same_device,
                    waiting_bytes=waiting,
                )
            except NotEnoughDisksError:
                if placed:
                    break
                raise
            disks = [store.disks.disks[disk_id] for disk_id in chosen]
            for disk in disks:
                disk.free_bytes = max(0, disk.free_bytes - size_bytes)
                waiting[disk.disk_id] += size_bytes
            placed.append((os.urandom(16).hex(), disks))
        with store.lock:
            # Before the catalog knows them, or a recovery that runs just now would take them for
            # left.
            store.shards.writing.update(shard_id for shard_id, _ in placed)
        return placed

    def _waiting_bytes(self) -> Counter[str]:
        """Return what each disk has to write of the shards that are lent, or about to be."""
        waiting = Counter[str]()
        with self._store.lock:
            fresh = [shard for shard in self._idle if not shard.digests]
            for shard in [*self._lent.values(), *fresh]:
                for disk in shard.disks:
                    waiting[disk.disk_id] += shard.capacity_bytes - shard.length_bytes
        return waiting

    def _head(self, shard: OpenShard) -> bytes:
        header = ShardHeader(
            bytes.fromhex(shard.shard_id),
            bytes.fromhex(self._store.config.store.store_id),
            time.time_ns(),
            shard.class_name,
            shard.large,
        )
        return pack_shard_header(header)

    def _take_ended(self, within_s: float = 0.0) -> list[Ended]:
        due_s = time.monotonic() - within_s
        with self._store.lock:
            taken = [ended for ended in self._ended if ended.since_s <= due_s]
            self._ended = [ended for ended in self._ended if ended.since_s > due_s]
        return taken

    def _record(self, ended: list[Ended], *entries: tuple[str, dict[str, object]]) -> None:
        record_seals(self._store, ended, *entries)

    def commit(
        self,
        shard: OpenShard,
        group: BuiltGroup,
        extra: IndexExtra,
        *,
        last: bool = False,
        read_back: bool = True,
    ) -> OpenShard:
        """Make a group durable, verified and indexed; returns the shard it ended up in.

        The `last` group of a shard, and one that fills it, is written with the footer behind it.
        `extra` adds to the same index transaction. The returned shard differs from `shard` when a
        disk failed and the group had to move. Raises when it could be put nowhere.
        """
        for _ in range(COMMIT_TRIES_MAX):
            try:
                records = len(group.entries) // ENTRY_BYTES
                ends = last or shard.full_after(group.length_bytes, records)
                footer = self._put_footer(shard, group) if ends else 0
                place = shard.length_bytes, group.slot, group.length_bytes + footer
                how = {"last": footer > 0, "read_back": read_back}
                if append_everywhere(self._store, shard, *place, **how):
                    self._index(shard, group, extra)
                    shard.footer_bytes = footer
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

    @staticmethod
    def _put_footer(shard: OpenShard, group: BuiltGroup) -> int:
        """Put the footer behind a group in its slot; returns its length, 0 without room for it."""
        entries = b"".join(map(pack_entry, _placed(shard, group)))
        end = shard.length_bytes + group.length_bytes
        footer = pack_footer_of(
            bytes.fromhex(shard.shard_id),
            shard.entries + entries,
            end,
            [*shard.digests, group.digest],
        )
        view = group.slot.view[group.length_bytes :]
        if len(footer) > len(view):
            return 0
        view[: len(footer)] = footer
        return len(footer)

    def _leave(self, shard_id: str) -> None:
        """Write a shard no more; the recovery seals it at the groups that its replicas hold."""
        with self._store.lock:
            self._store.shards.writing.discard(shard_id)
            self._lent.pop(shard_id, None)

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
        placed = _placed(shard, group)
        self.grow(shard, group.length_bytes, group.digest, placed)
        # Barrier: the group is durable and verified; a crash before this commit leaves it to the
        # roll-forward at the next start, which finds the same entries in the shard.
        with self._store.index.write() as writer:
            if shard.placed:
                put_objects(writer, shard.number, placed)
            shard.retaken |= shard.shard_id in self._store.shards.retaken
            writer.put_shard(shard.row())
            extra(writer, shard, base)

    def commit_large(self, shard: OpenShard, digest: bytes, entry: bytes) -> None:
        """Index and end a shard whose single large group is durable on all its disks."""
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
            self._end(shard)
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
        self._end(shard)
        self._record(self._take_ended())

    def _end(self, shard: OpenShard) -> None:
        """Seal a shard; the catalog hears of it with its next entry.

        Barrier: footers first, then the catalog. A crash between them finds a shard that is open
        for the catalog and sealed on disk; recovery reads it, and believes a footer that is true.
        """
        kept = False
        try:
            if not shard.digests:
                self.abandon(shard)
                return
            if not shard.footer_bytes:
                shard_id = bytes.fromhex(shard.shard_id)
                length = shard.length_bytes
                footer = pack_footer_of(shard_id, shard.entries, length, shard.digests)
                write_footer(self._store, shard, footer)
            if shard.disks:
                length = shard.length_bytes + shard.footer_bytes
                ended = ended_of(self._store, shard, length, indexed=shard.placed)
                with self._store.lock:
                    self._ended.append(ended)
                    self._lent.pop(shard.shard_id, None)
                kept = True
            # Otherwise all its disks are lost at once. The catalog keeps it open: whichever of
            # them comes back is recovered from, since its groups were acknowledged.
        finally:
            if not kept:
                self._leave(shard.shard_id)

    def abandon(self, shard: OpenShard) -> None:
        """Drop a shard that holds nothing acknowledged (a large file that changed)."""
        store = self._store
        store.catalog.append(("shard_abandon", {"shard": shard.shard_id}))
        with store.index.write() as writer:
            writer.delete_shard(shard.row())
        with store.lock:
            store.shards.writing.discard(shard.shard_id)
            self._lent.pop(shard.shard_id, None)
        for disk in shard.disks:
            disk.request("remove_shard", shard.shard_id)


def seal_in_catalog(store: Store, shard: OpenShard, length: int, *, indexed: bool = True) -> None:
    """Record a sealed shard (or drop an empty one) in the catalog and the index; see `Ended`."""
    if shard.digests:
        record_seals(store, [ended_of(store, shard, length, indexed=indexed)])
    else:
        ShardWriter(store).abandon(shard)


def _opened(
    shard_id: str, class_name: str, disks: list[Disk], large: bool
) -> tuple[str, dict[str, object]]:
    """Return what the catalog is told of a new shard."""
    places = [disk.disk_id for disk in disks]
    entry: dict[str, object] = {"shard": shard_id, "class_name": class_name, "disks": places}
    return "shard_open", {**entry, "large": True} if large else entry


def _placed(shard: OpenShard, group: BuiltGroup) -> list[Entry]:
    """Return a group's entries with their offsets in the shard that it is appended to."""
    base = shard.length_bytes
    return [
        Entry(entry.key, base + entry.offset, entry.length_bytes, entry.flags)
        for entry in iterate_entries(group.entries)
    ]
