"""An open shard: it owns the state of one growing shard and the writes to all of its disks.

It never decides which disks those are, nor when a shard is sealed.
"""

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.format.record import ENTRY_BYTES, SHARD_HEADER_BYTES
from fsd.process.slots import Slot
from fsd.store.index import ShardRow
from fsd.store.store import Store

SHARD_RECORDS_MAX = 65_536
"""A shard of objects of 4 KB or more is full before. What is kept of an open one, its footer, what
a recovery reads and what a roll-forward takes in at once: all of it grows with the records. A put
has two open in each of its lanes."""
LEFT_SHARE = 8
"""Of a shard: less room than an eighth is not waited for. A group takes four turns of the head,
whatever its size, and a file is cut to what is in it."""


@dataclass(slots=True, eq=False)
class OpenShard:
    """A shard that still grows; offsets and lengths are in bytes of the file.

    An `owner` is a big batch that shares its shards with nobody. The keys of a shard that is not
    `placed` are left to the roll-forward when it is sealed. Its files are made with the first
    group, behind a `head`; `footer_bytes` were written behind the last one.
    """

    shard_id: str
    number: int
    class_name: str
    disks: list[Disk]
    capacity_bytes: int
    large: bool = False
    length_bytes: int = SHARD_HEADER_BYTES
    next_sequence: int = 0
    entries: bytearray = field(default_factory=bytearray)
    payload_bytes: int = 0
    digests: list[bytes] = field(default_factory=list[bytes])
    owner: str = ""
    placed: bool = True
    retaken: bool = False
    head: bytes = b""
    footer_bytes: int = 0
    sessions: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = {disk.disk_id: disk.session for disk in self.disks}

    @property
    def whole(self) -> bool:
        """Return whether all its disks take writes and none was away since it was opened."""
        return all(disk.takes_replicas and self.stayed(disk) for disk in self.disks)

    def stayed(self, disk: Disk) -> bool:
        """Return whether a disk was there all the time; one that came back may hold less."""
        return disk.session == self.sessions[disk.disk_id]

    @property
    def room_bytes(self) -> int:
        """Return how much may still be appended, the part's reserve not counted."""
        if self.footer_bytes or self.next_sequence >= SHARD_RECORDS_MAX:
            return 0
        return self.capacity_bytes - self.length_bytes

    def full_after(self, length_bytes: int = 0, records: int = 0) -> bool:
        """Return whether a group of this size leaves too little for another one."""
        if self.next_sequence + records >= SHARD_RECORDS_MAX:
            return True
        return self.room_bytes - length_bytes < self.capacity_bytes // LEFT_SHARE

    def row(self, *, sealed: bool = False, length_bytes: int | None = None) -> ShardRow:
        """Return the index row that describes the shard as it is now."""
        return ShardRow(
            number=self.number,
            shard_id=self.shard_id,
            class_name=self.class_name,
            disks=[disk.disk_id for disk in self.disks],
            sealed=sealed,
            large=self.large,
            length_bytes=length_bytes or self.length_bytes,
            object_count=len(self.entries) // ENTRY_BYTES,
            payload_bytes=self.payload_bytes,
            sealed_ns=time.time_ns() if sealed else 0,
            placed_bytes=self.length_bytes if self.placed and not self.retaken else 0,
        )


@dataclass(slots=True)
class Append:
    """Bytes on their way to all disks of a shard; see `begin_append`."""

    shard: OpenShard
    length_bytes: int
    read_back: bool
    futures: list[tuple[Disk, Future[Any]]]
    failed: list[Disk]

    def end(self, store: Store) -> bool:
        """Wait until the disks have answered; False when one failed.

        Disks that fail are taken off `shard.disks`: their file is not a replica any more.
        """
        for disk, future in self.futures:
            try:
                future.result()
                size, read_bytes = self.length_bytes, self.length_bytes if self.read_back else 0
                store.disks.note_success(disk, read_bytes=read_bytes, written_bytes=size)
            except (DrystoneError, OSError) as error:
                if disk in self.shard.disks:
                    # Of what was on its way with bytes before it, the first error says why.
                    store.disks.note_error(disk, error, writing=True)
                self.failed.append(disk)
        for disk in self.failed:
            store.mark_lost(self.shard.shard_id, disk)
        self.shard.disks = [disk for disk in self.shard.disks if disk not in self.failed]
        return not self.failed


def begin_append(
    store: Store,
    shard: OpenShard,
    offset: int,
    slot: Slot,
    length: int,
    *,
    last: bool = False,
    read_back: bool = True,
) -> Append:
    """Let all disks of a shard write slot bytes at a place of it, and return at once.

    The first ones make the files, after the `last` ones they are cut. Without `read_back` they are
    durable when it has ended, and not compared.
    """
    head, shard.head = shard.head, b""
    place = slot.number, offset, length
    arguments = (shard.shard_id, head, shard.capacity_bytes, *place, last, read_back)
    failed = [disk for disk in shard.disks if not shard.stayed(disk)]
    futures = [
        (disk, disk.request("write_group", *arguments, slots=(slot,)))
        for disk in shard.disks
        if disk not in failed
    ]
    return Append(shard, length, read_back, futures, failed)


def append_everywhere(
    store: Store,
    shard: OpenShard,
    offset: int,
    slot: Slot,
    length: int,
    *,
    last: bool = False,
    read_back: bool = True,
) -> bool:
    """Write slot bytes at a place of the shard on all its disks; False when one failed."""
    how = {"last": last, "read_back": read_back}
    return begin_append(store, shard, offset, slot, length, **how).end(store)


def write_footer(store: Store, shard: OpenShard, footer: bytes) -> None:
    """Write a footer at the shard's end on all its disks and cut the files behind it."""
    slot = store.pool.acquire()
    try:
        for start in range(0, len(footer), slot.size_bytes):
            piece = footer[start : start + slot.size_bytes]
            slot.view[: len(piece)] = piece
            last = start + len(piece) == len(footer)
            append_everywhere(store, shard, shard.length_bytes + start, slot, len(piece), last=last)
    finally:
        store.pool.release(slot)
    shard.footer_bytes = len(footer)
