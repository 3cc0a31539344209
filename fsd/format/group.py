"""Building commit groups in memory: it owns their assembly, does no I/O.

`GroupWriter` lays small objects into one buffer. `LargeGroup` produces the group of one large
object piece by piece. `readdress` moves a built group to another shard.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import xxhash

from fsd.format.record import (
    BLOCK_BYTES,
    GROUP_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    RECORD_OBJECT,
    TRAILER_BYTES,
    Entry,
    GroupHeader,
    RecordHeader,
    Trailer,
    align,
    block_checksums,
    iterate_entries,
    pack_entry,
    pack_group_header,
    pack_record_header,
    pack_trailer,
    payload_offset,
    record_bytes,
    unpack_group_header,
    unpack_record_header,
)

GROUP_OVERHEAD_BYTES = GROUP_HEADER_BYTES + TRAILER_BYTES
GROUP_RECORDS_MAX = 8192
"""Only objects below 8 KB fill a group with so many. The engine has an object for each of them, and
LMDB a page in memory for each key, until the group is committed; a group is one transaction."""


class GroupWriter:
    """One commit group of small objects in `buffer`; offsets count from the group's start."""

    def __init__(
        self, buffer: memoryview, capacity: int, shard_id: bytes, number: int, sequence: int
    ) -> None:
        self._buffer = buffer
        self._limit = min(capacity, len(buffer)) - TRAILER_BYTES
        self._shard_id = shard_id
        self._number = number
        self._first_sequence = sequence
        self._position = GROUP_HEADER_BYTES
        self._entries: list[bytes] = []
        self._records_max = GROUP_RECORDS_MAX

    def add(self, key: bytes, data: bytes | memoryview, flags: int = RECORD_OBJECT) -> int:
        """Append a record; returns its offset, or -1 when it does not fit, or is one too many."""
        length = len(data)
        begin = self._position
        end = begin + record_bytes(length)
        if end > self._limit or len(self._entries) >= self._records_max:
            return -1
        sequence = self._first_sequence + len(self._entries)
        header = RecordHeader(self._shard_id, sequence, length, key, flags)
        head = pack_record_header(header) + block_checksums(data)
        start = begin + len(head)
        self._buffer[begin:start] = head
        self._buffer[start : start + length] = data
        if start + length < end:
            self._buffer[start + length : end] = bytes(end - start - length)
        self._position = end
        self._entries.append(pack_entry(Entry(key, begin, length, flags)))
        return begin

    def open_reserve(self) -> None:
        """Let one more record in, the part, and use the buffer beyond `capacity`."""
        self._records_max += 1
        self._limit = len(self._buffer) - TRAILER_BYTES

    def close(self) -> tuple[int, bytes]:
        """Write header, padding and trailer; returns (group length, digest)."""
        length = align(self._position + TRAILER_BYTES)
        self._buffer[self._position : length] = bytes(length - self._position)
        header = GroupHeader(
            self._shard_id, self._number, len(self._entries), length, self._first_sequence
        )
        return length, _seal(self._buffer, header)

    def entries(self) -> bytes:
        """Return the packed entries, in the order the records lie."""
        return b"".join(self._entries)


def _seal(buffer: memoryview, header: GroupHeader) -> bytes:
    end = header.length_bytes - TRAILER_BYTES
    buffer[:GROUP_HEADER_BYTES] = pack_group_header(header)
    digest = xxhash.xxh3_128_digest(buffer[:end])
    trailer = Trailer(header[0], header[1], header[2], header[3], digest)
    buffer[end : header.length_bytes] = pack_trailer(trailer)
    return digest


def readdress(
    buffer: memoryview, entries: bytes, shard_id: bytes, number: int, sequence: int
) -> bytes:
    """Give a built group to another shard, in place; returns the new digest.

    Records keep their places within the group, so `entries` stay true.
    """
    old = unpack_group_header(buffer)
    for position, entry in enumerate(iterate_entries(entries)):
        header = unpack_record_header(buffer, entry.offset)
        moved = header._replace(shard_id=shard_id, sequence=sequence + position)
        buffer[entry.offset : entry.offset + RECORD_HEADER_BYTES] = pack_record_header(moved)
    header = GroupHeader(shard_id, number, old.record_count, old.length_bytes, sequence)
    return _seal(buffer, header)


def large_group_bytes(length_bytes: int) -> int:
    """Return the length of the group that holds one object of this size."""
    return align(GROUP_OVERHEAD_BYTES + record_bytes(length_bytes))


class LargeGroup:
    """The group of one large object as a stream of bytes, in order, from a reading function.

    `read_into` fills a view from the source and returns the count; `checksums` is the table of
    a first pass. `fill` raises ValueError when the source is not what the first pass saw: the
    content must match the key, and the table the content, or the object could never be read.
    """

    def __init__(
        self,
        read_into: Callable[[memoryview], int],
        key: bytes,
        length_bytes: int,
        checksums: bytes,
        shard_id: bytes,
    ) -> None:
        self._read_into = read_into
        self._key = key
        self._shard_id = shard_id
        self.length_bytes = large_group_bytes(length_bytes)
        header = GroupHeader(shard_id, 0, 1, self.length_bytes, 0)
        record = RecordHeader(shard_id, 0, length_bytes, key, RECORD_OBJECT)
        self._head = pack_group_header(header) + pack_record_header(record) + checksums
        self._payload_end = GROUP_HEADER_BYTES + payload_offset(length_bytes) + length_bytes
        self.entry = Entry(key, GROUP_HEADER_BYTES, length_bytes, RECORD_OBJECT)
        self.position = 0
        self.digest = b""
        self._trailer = b""
        self._checksums = checksums
        self._table = bytearray()
        self._block: Any = xxhash.xxh3_64()
        self._block_bytes = 0
        self._sha256: Any = hashlib.sha256()
        self._xxh3: Any = xxhash.xxh3_128()

    def fill(self, view: memoryview) -> int:
        """Write the next bytes of the group into `view`; returns how many, 0 at the end."""
        size = min(len(view), self.length_bytes - self.position)
        done = 0
        while done < size:
            done += self._next(view[done:size])
        return done

    def _next(self, view: memoryview) -> int:
        tail = self.length_bytes - TRAILER_BYTES
        if self.position < len(self._head):
            size = self._copy(view, self._head[self.position :])
        elif self.position < self._payload_end:
            size = self._read_into(view[: self._payload_end - self.position])
            if size == 0:
                raise ValueError("the file became shorter")
            self._check(view[:size])
        elif self.position < tail:
            size = self._copy(view, bytes(tail - self.position))
        else:
            return self._finish(view)
        self._xxh3.update(view[:size])
        self.position += size
        return size

    def _check(self, view: memoryview) -> None:
        self._sha256.update(view)
        while len(view):
            piece = view[: BLOCK_BYTES - self._block_bytes]
            self._block.update(piece)
            self._block_bytes += len(piece)
            if self._block_bytes == BLOCK_BYTES:
                self._end_block()
            view = view[len(piece) :]

    def _end_block(self) -> None:
        if self._block_bytes:
            self._table += self._block.intdigest().to_bytes(8, "little")
        self._block, self._block_bytes = xxhash.xxh3_64(), 0

    def _finish(self, view: memoryview) -> int:
        if not self._trailer:
            self._trailer = self._seal()
        size = self._copy(view, self._trailer[self.position - self.length_bytes :])
        self.position += size
        return size

    def _seal(self) -> bytes:
        self._end_block()
        if self._sha256.digest() != self._key or self._table != self._checksums:
            raise ValueError("the file changed")
        self.digest = self._xxh3.digest()
        return pack_trailer(Trailer(self._shard_id, 0, 1, self.length_bytes, self.digest))

    @staticmethod
    def _copy(view: memoryview, data: bytes) -> int:
        size = min(len(view), len(data))
        view[:size] = data[:size]
        return size
