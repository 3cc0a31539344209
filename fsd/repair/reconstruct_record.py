"""One record from many damaged replicas: it owns finding a sound copy of each of its blocks.

A replica that is read here may be damaged, and its disk may fail to read places of it: then the
others are asked for these. What no replica has may still lie elsewhere in the store. The sha256
of a record has the last word; a record that nothing gives is noted as lost.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator, Sequence

from fsd.disk_io.queue_rule import PIECE_BYTES, Kind
from fsd.disk_io.shard_file import BAD_READS_MAX
from fsd.disks.disks import Disk
from fsd.format.errors import DiskError
from fsd.format.record import (
    BLOCK_BYTES,
    SECTOR_BYTES,
    Entry,
    align,
    bad_block,
    block_checksums,
    payload_offset,
)
from fsd.format.rewrite import Bytes, Payload
from fsd.process.slots import Slot
from fsd.repair.reconstruct_table import read_table, right_table

Elsewhere = Callable[[Entry, int], bytes | None]
"""Gives a piece (1 MiB, by number) of a record from another place of the store, or None."""


class ReplicaReader:
    """Reads one replica through a part of a slot, which neighbouring reads share."""

    def __init__(self, disk: Disk, shard_id: str, slot: Slot, start: int, size_bytes: int) -> None:
        self.disk = disk
        self._shard_id = shard_id
        self._slot = slot
        self._place = start
        self._size = size_bytes
        self._start = self._length = 0
        self._careful_until = 0
        self._bad_reads = 0

    def read(self, offset: int, length: int) -> memoryview | None:
        """Return bytes of the file, valid until the next call; None where the disk has none.

        At most PIECE_BYTES at once. Raises DiskError when the disk itself is in trouble.
        """
        end = offset + length
        if not self._start <= offset <= end <= self._start + self._length:
            self._fill(offset, length)
        if not self._start <= offset <= end <= self._start + self._length:
            return None
        begin = self._place + offset - self._start
        return self._slot.view[begin : begin + length]

    def _fill(self, offset: int, length: int) -> None:
        self._start = offset // SECTOR_BYTES * SECTOR_BYTES
        self._length = 0
        need = align(offset + length - self._start)
        if self._start >= self._careful_until and not self._try(self._size):
            # A bad sector hides what lies in it, not the rest of the window.
            self._careful_until = self._start + self._size
        if not self._length:
            self._try(need)

    def _try(self, size: int) -> bool:
        arguments = (self._shard_id, self._start, self._slot.number, self._place, size)
        priority = int(Kind.BACKGROUND)
        try:
            asked = self.disk.request(
                "read_window", *arguments, slots=(self._slot,), priority=priority
            )
            self._length = asked.result()
        except DiskError as error:
            self._bad_reads += 1
            if error.errno != errno.EIO or self._bad_reads > BAD_READS_MAX:
                raise
            return False
        return True


class Records:
    """The records of one shard, out of all its replicas; `lost` are those that nothing gives."""

    def __init__(self, readers: Sequence[ReplicaReader], elsewhere: Elsewhere) -> None:
        self._readers = readers
        self._elsewhere = elsewhere
        self.lost: list[Entry] = []

    def payload(self, entry: Entry) -> Payload:
        """Return a record's table and payload; zeros stand for what is lost of it."""
        if entry.length_bytes <= PIECE_BYTES:
            for whole in self._candidates(entry, 0, entry.length_bytes):
                if hashlib.sha256(whole).digest() == entry.key:
                    return block_checksums(memoryview(whole)), [whole]
        table = self._table(entry)
        return table, self._pieces(entry, table)

    def _pieces(self, entry: Entry, table: bytes) -> Iterator[Bytes]:
        state = hashlib.sha256()
        for position in range(0, entry.length_bytes, PIECE_BYTES):
            piece = self._piece(entry, table, position)
            state.update(piece)
            yield piece
        if state.digest() != entry.key:
            self.lost.append(entry)

    def _piece(self, entry: Entry, table: bytes, position: int) -> Bytes:
        size = min(PIECE_BYTES, entry.length_bytes - position)
        first = position // BLOCK_BYTES
        for whole in self._candidates(entry, position, size):
            if bad_block(memoryview(whole), table, first) < 0:
                return whole
        joined = bytearray(size)
        for start in range(0, size, BLOCK_BYTES):
            length = min(BLOCK_BYTES, size - start)
            for block in self._candidates(entry, position + start, length):
                if bad_block(memoryview(block), table, first + start // BLOCK_BYTES) < 0:
                    joined[start : start + length] = block
                    break
        return joined

    def _candidates(self, entry: Entry, position: int, size: int) -> Iterator[Bytes]:
        """Yield a part of a payload, inside one piece, as each place has it; the sound come last.

        What lies elsewhere in the store is asked for only when no replica is right.
        """
        place = entry.offset + payload_offset(entry.length_bytes) + position
        for reader in self._readers:
            if (view := reader.read(place, size)) is not None:
                yield view
        if (piece := self._elsewhere(entry, position // PIECE_BYTES)) is not None:
            begin = position % PIECE_BYTES
            yield piece[begin : begin + size]

    def _table(self, entry: Entry) -> bytes:
        def blocks(number: int) -> Iterator[Bytes]:
            position = number * BLOCK_BYTES
            return self._candidates(
                entry, position, min(BLOCK_BYTES, entry.length_bytes - position)
            )

        tables = [read_table(reader.read, entry, PIECE_BYTES) for reader in self._readers]
        return right_table(entry, tables, blocks)
