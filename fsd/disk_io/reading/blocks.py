"""Verified blocks of single records: it owns how a foreground read gets its bytes off a disk.

Runs in a disk process. An answer is at most 1 MiB (PIECE_BYTES) of payload and goes back through
the socket, unlike everything else that is read: so whoever asked two disks for it owes the slower
one nothing, no buffer that it may still fill and no file that it may still write.
"""

import mmap
from collections import OrderedDict

from fsd.disk_io.extract.extract import Item, check_record
from fsd.disk_io.queue_rule import PIECE_BYTES
from fsd.disk_io.shard_file import ReadFiles, read_full
from fsd.format.errors import CorruptError
from fsd.format.record import (
    BLOCK_BYTES,
    RECORD_HEADER_BYTES,
    SECTOR_BYTES,
    align,
    bad_block,
    payload_offset,
    record_bytes,
    unpack_record_header,
)

PIECE_BLOCKS = PIECE_BYTES // BLOCK_BYTES
TABLES_MAX = 16
# Room for the header and table of a whole small record, and the alignment at both ends.
BUFFER_BYTES = PIECE_BYTES + 4 * SECTOR_BYTES


def piece_count(length_bytes: int) -> int:
    """Return how many pieces a payload is read in; an empty one is one piece."""
    return max(1, -(-length_bytes // PIECE_BYTES))


class BlockReader:
    """Reads pieces through one buffer; used by one thread."""

    def __init__(self, files: ReadFiles) -> None:
        self._files = files
        self._buffer = memoryview(mmap.mmap(-1, BUFFER_BYTES))
        self._tables: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._next: tuple[str, int, int] = ("", 0, 0)
        self._last_sector = b""

    def read(self, shard_id: str, offset: int, length_bytes: int, key: bytes, piece: int) -> bytes:
        """Return one piece of the payload of the record at `offset`.

        Raises CorruptError or OSError when this replica cannot give it as it was written.
        """
        item = Item(offset, length_bytes, key, ())
        kept = (shard_id, offset) in self._tables
        try:
            return self._piece(shard_id, item, piece)
        except (CorruptError, OSError):
            self._forget(shard_id, offset)
            if not kept:
                raise
        # What was kept may be of a replica that has been healed since.
        try:
            return self._piece(shard_id, item, piece)
        except (CorruptError, OSError):
            self._forget(shard_id, offset)
            raise

    def _forget(self, shard_id: str, offset: int) -> None:
        self._tables.pop((shard_id, offset), None)
        self._last_sector = b""

    def _piece(self, shard_id: str, item: Item, piece: int) -> bytes:
        if item.length_bytes <= PIECE_BYTES:
            view = self._read(shard_id, item.offset, record_bytes(item.length_bytes))
            return bytes(check_record(view, 0, bytes.fromhex(shard_id), item))
        table = self._table(shard_id, item)
        start = piece * PIECE_BYTES
        size = min(PIECE_BYTES, item.length_bytes - start)
        # Where the piece before ended: to read that sector once more would cost a turn.
        kept = self._last_sector if self._next == (shard_id, item.offset, piece) else b""
        place = item.offset + payload_offset(item.length_bytes) + start
        view = self._read(shard_id, place, size, kept)
        if (bad := bad_block(view, table, piece * PIECE_BLOCKS)) >= 0:
            raise CorruptError(f"block {bad} fails its checksum", f"offset {item.offset}")
        end = align(place + size) - place // SECTOR_BYTES * SECTOR_BYTES
        self._next = (shard_id, item.offset, piece + 1)
        self._last_sector = bytes(self._buffer[end - SECTOR_BYTES : end])
        return bytes(view)

    def _read(self, shard_id: str, offset: int, size: int, kept: bytes = b"") -> memoryview:
        """Return file bytes, valid until the next call; the first sector may be known."""
        first, end = offset // SECTOR_BYTES * SECTOR_BYTES, align(offset + size)
        view, done = self._buffer[: end - first], len(kept)
        view[:done] = kept
        done += read_full(self._files.get(shard_id), view[done:], first + done)
        if done < offset + size - first:
            raise CorruptError("the record is cut off", f"offset {offset}")
        return view[offset - first : offset - first + size]

    def _table(self, shard_id: str, item: Item) -> bytes:
        """Return the block checksums of a large record, from its header on the disk or kept."""
        place = (shard_id, item.offset)
        table = self._tables.get(place)
        if table is not None:
            self._tables.move_to_end(place)
            return table
        head = payload_offset(item.length_bytes)
        first = item.offset // SECTOR_BYTES * SECTOR_BYTES
        with mmap.mmap(-1, align(item.offset + head) - first) as memory:
            with memoryview(memory) as view:
                read_full(self._files.get(shard_id), view, first)
            found = memory[item.offset - first : item.offset - first + head]
        header = unpack_record_header(found)
        expected = (bytes.fromhex(shard_id), item.key, item.length_bytes)
        if (header.shard_id, header.key, header.length_bytes) != expected:
            raise CorruptError("another record lies where the index says", f"offset {item.offset}")
        self._tables[place] = table = found[RECORD_HEADER_BYTES:]
        if len(self._tables) > TABLES_MAX:
            self._tables.popitem(last=False)
        return table
