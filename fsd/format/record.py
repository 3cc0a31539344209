"""The shard format as pure functions: it owns the byte layout, never opens a file.

The layout is frozen and described in FORMAT.md; golden bytes in the tests hold it.
All integers are little-endian, all checksums xxh3 (seed 0).

    shard  = shard header (4 KiB) , commit group * , [ footer ]
    group  = group header (64 B) , record * , zero padding , trailer (64 B)   a multiple of 4 KiB
    record = record header (80 B) , block checksums (8 B each) , payload , zero padding to 8 B
    footer = entries (48 B each, sorted by key) , zero padding , footer trailer (104 B)
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import xxhash

from fsd.format.errors import CorruptError

SECTOR_BYTES = 4096
BLOCK_BYTES = 65536
KEY_BYTES = 32
FORMAT_VERSION = 1
RECORD_OBJECT = 0
RECORD_BATCH_PART = 1

CLASS_CODES = {"raw": 1, "generated": 2}
CLASS_NAMES = {code: name for name, code in CLASS_CODES.items()}

SHARD_MAGIC = b"DRYSHRD1"
GROUP_MAGIC = b"DRYGRUP1"
TRAILER_MAGIC = b"DRYTRLR1"
FOOTER_MAGIC = b"DRYFOOT1"
RECORD_MAGIC = b"DREC"

_SHARD = struct.Struct("<8s16s16sQHBBI")
_GROUP = struct.Struct("<8s16sIIQQQ")
_RECORD = struct.Struct("<4sBBH16sQQ32s")
_TRAILER = struct.Struct("<8s16sIIQ16s")
_FOOTER = struct.Struct("<8s16sQQQII16s16sQ")
_ENTRY = struct.Struct("<32sQQ")
_CHECKSUM = struct.Struct("<Q")

SHARD_HEADER_BYTES = SECTOR_BYTES
GROUP_HEADER_BYTES = 64
RECORD_HEADER_BYTES = 80
TRAILER_BYTES = 64
FOOTER_TRAILER_BYTES = 104
ENTRY_BYTES = 48

assert _SHARD.size == 56
assert _GROUP.size + _CHECKSUM.size == GROUP_HEADER_BYTES
assert _RECORD.size + _CHECKSUM.size == RECORD_HEADER_BYTES
assert _TRAILER.size + _CHECKSUM.size == TRAILER_BYTES
assert _FOOTER.size + _CHECKSUM.size == FOOTER_TRAILER_BYTES
assert _ENTRY.size == ENTRY_BYTES

_xxh64 = xxhash.xxh3_64_intdigest
_xxh128 = xxhash.xxh3_128_digest
_KEY_OF: Callable[[bytes], bytes] = itemgetter(slice(32))
_LENGTH_BITS = (1 << 56) - 1


class ShardHeader(NamedTuple):
    """What the first sector of a shard says."""

    shard_id: bytes
    store_id: bytes
    created_ns: int
    class_name: str
    large: bool


class GroupHeader(NamedTuple):
    """Start of a commit group; `length_bytes` covers header to trailer."""

    shard_id: bytes
    group_number: int
    record_count: int
    length_bytes: int
    first_sequence: int


class RecordHeader(NamedTuple):
    """Start of a record; `length_bytes` is the payload's."""

    shard_id: bytes
    sequence: int
    length_bytes: int
    key: bytes
    flags: int


class Trailer(NamedTuple):
    """End of a commit group; `digest` is xxh3-128 of the group before the trailer."""

    shard_id: bytes
    group_number: int
    record_count: int
    length_bytes: int
    digest: bytes


class Footer(NamedTuple):
    """End of a sealed shard; the sorted entries begin at `data_end`."""

    shard_id: bytes
    entry_count: int
    data_end: int
    payload_bytes: int
    group_count: int
    groups_digest: bytes
    entries_digest: bytes


class Entry(NamedTuple):
    """Where one record lies in its shard: header offset, payload length, flags."""

    key: bytes
    offset: int
    length_bytes: int
    flags: int


def align(size: int, step: int = SECTOR_BYTES) -> int:
    """Return `size` rounded up to a multiple of `step`."""
    return -(-size // step) * step


def block_count(length_bytes: int) -> int:
    """Return how many 64 KiB blocks a payload has; an empty payload has none."""
    return -(-length_bytes // BLOCK_BYTES)


def record_bytes(length_bytes: int) -> int:
    """Return the bytes a record of this payload takes in a shard, padding included."""
    return align(RECORD_HEADER_BYTES + 8 * block_count(length_bytes) + length_bytes, 8)


def payload_offset(length_bytes: int) -> int:
    """Return the distance from the record's header to its payload."""
    return RECORD_HEADER_BYTES + 8 * block_count(length_bytes)


def block_checksums(payload: bytes | memoryview) -> bytes:
    """Return the packed xxh3-64 of every 64 KiB block of `payload`."""
    if len(payload) <= BLOCK_BYTES:
        return _CHECKSUM.pack(_xxh64(payload)) if len(payload) else b""
    view = memoryview(payload)
    starts = range(0, len(view), BLOCK_BYTES)
    return b"".join(_CHECKSUM.pack(_xxh64(view[i : i + BLOCK_BYTES])) for i in starts)


def bad_block(payload: memoryview, checksums: bytes | memoryview, first_block: int = 0) -> int:
    """Return the number of the first block that fails its checksum, or -1.

    `payload` starts at block `first_block`; `checksums` is the record's whole table.
    """
    for position in range(0, len(payload), BLOCK_BYTES):
        number = first_block + position // BLOCK_BYTES
        (expected,) = _CHECKSUM.unpack_from(checksums, 8 * number)
        if _xxh64(payload[position : position + BLOCK_BYTES]) != expected:
            return number
    return -1


def pack_shard_header(header: ShardHeader) -> bytes:
    """Return the first sector of a shard."""
    body = _SHARD.pack(
        SHARD_MAGIC,
        header.shard_id,
        header.store_id,
        header.created_ns,
        FORMAT_VERSION,
        CLASS_CODES[header.class_name],
        1 if header.large else 0,
        BLOCK_BYTES,
    )
    return (body + _CHECKSUM.pack(_xxh64(body))).ljust(SECTOR_BYTES, b"\0")


def unpack_shard_header(data: bytes | memoryview) -> ShardHeader:
    """Read the first sector of a shard; CorruptError when it is not one we can read."""
    fields = _checked(_SHARD, SHARD_MAGIC, data, "shard header")
    _, shard_id, store_id, created_ns, version, class_code, large, block = fields
    if version != FORMAT_VERSION or block != BLOCK_BYTES or class_code not in CLASS_NAMES:
        raise CorruptError(f"shard format version {version} is not known to this program")
    return ShardHeader(shard_id, store_id, created_ns, CLASS_NAMES[class_code], bool(large))


def pack_group_header(header: GroupHeader) -> bytes:
    """Return the 64 bytes that start a commit group."""
    body = _GROUP.pack(
        GROUP_MAGIC,
        header.shard_id,
        header.group_number,
        header.record_count,
        header.length_bytes,
        header.first_sequence,
        0,
    )
    return body + _CHECKSUM.pack(_xxh64(body))


def unpack_group_header(data: bytes | memoryview, offset: int = 0) -> GroupHeader:
    """Read a group header; CorruptError when it is damaged."""
    fields = _checked(_GROUP, GROUP_MAGIC, data, "group header", offset)
    return GroupHeader(*fields[1:6])


def pack_record_header(header: RecordHeader) -> bytes:
    """Return the 80 bytes that start a record."""
    body = _RECORD.pack(
        RECORD_MAGIC,
        FORMAT_VERSION,
        header.flags,
        0,
        header.shard_id,
        header.sequence,
        header.length_bytes,
        header.key,
    )
    return body + _CHECKSUM.pack(_xxh64(body))


def unpack_record_header(data: bytes | memoryview, offset: int = 0) -> RecordHeader:
    """Read a record header; CorruptError when it is damaged."""
    fields = _checked(_RECORD, RECORD_MAGIC, data, "record header", offset)
    _, version, flags, _, shard_id, sequence, length_bytes, key = fields
    if version != FORMAT_VERSION:
        raise CorruptError(f"record format version {version} is not known to this program")
    return RecordHeader(shard_id, sequence, length_bytes, key, flags)


def pack_trailer(trailer: Trailer) -> bytes:
    """Return the 64 bytes that end a commit group."""
    body = _TRAILER.pack(TRAILER_MAGIC, *trailer)
    return body + _CHECKSUM.pack(_xxh64(body))


def unpack_trailer(data: bytes | memoryview, offset: int = 0) -> Trailer:
    """Read a group trailer; CorruptError when it is damaged or was never written."""
    return Trailer(*_checked(_TRAILER, TRAILER_MAGIC, data, "group trailer", offset)[1:])


def pack_footer(
    shard_id: bytes, entries: Iterable[Entry], data_end: int, group_digests: list[bytes]
) -> bytes:
    """Return the sealed shard's footer, a multiple of 4 KiB, to be written at `data_end`.

    It depends on the committed groups alone, so all replicas seal to the same bytes.
    """
    by_offset = sorted(entries, key=lambda entry: entry.offset)
    return pack_footer_of(shard_id, b"".join(map(pack_entry, by_offset)), data_end, group_digests)


def pack_footer_of(
    shard_id: bytes, packed: bytes | bytearray, data_end: int, group_digests: list[bytes]
) -> bytes:
    """Return the footer of packed entries that stand in the order of the shard."""
    # Sorted as they are: an object for each entry would take five times their bytes.
    view, count = memoryview(packed), len(packed) // ENTRY_BYTES
    pieces = [bytes(view[at : at + ENTRY_BYTES]) for at in range(0, len(packed), ENTRY_BYTES)]
    pieces.sort(key=_KEY_OF)
    table = b"".join(pieces)
    del pieces
    size = align(len(table) + FOOTER_TRAILER_BYTES)
    body = _FOOTER.pack(
        FOOTER_MAGIC,
        shard_id,
        count,
        data_end,
        payload_bytes(packed),
        len(group_digests),
        0,
        _xxh128(b"".join(group_digests)),
        _xxh128(table),
        0,
    )
    padding = b"\0" * (size - len(table) - FOOTER_TRAILER_BYTES)
    return b"".join((table, padding, body, _CHECKSUM.pack(_xxh64(body))))


def payload_bytes(packed: bytes | bytearray) -> int:
    """Return the sum of the payloads of packed entries."""
    return sum(length & _LENGTH_BITS for _, _, length in _ENTRY.iter_unpack(packed))


def unpack_footer_trailer(data: bytes | memoryview) -> Footer:
    """Read the last 104 bytes of a sealed shard; CorruptError when it is not sealed."""
    offset = len(data) - FOOTER_TRAILER_BYTES
    fields = _checked(_FOOTER, FOOTER_MAGIC, data, "footer", offset)
    _, shard_id, count, data_end, payload, groups, _, groups_digest, entries_digest, _ = fields
    return Footer(shard_id, count, data_end, payload, groups, groups_digest, entries_digest)


def footer_bytes(entry_count: int) -> int:
    """Return the size of a footer with this many entries."""
    return align(entry_count * ENTRY_BYTES + FOOTER_TRAILER_BYTES)


def unpack_entries(table: bytes | memoryview, footer: Footer) -> Iterator[Entry]:
    """Yield the entries of a footer, sorted by key; CorruptError when the table is damaged."""
    data = memoryview(table)[: footer.entry_count * ENTRY_BYTES]
    if len(data) != footer.entry_count * ENTRY_BYTES or _xxh128(data) != footer.entries_digest:
        raise CorruptError("the footer's entries fail their checksum")
    for key, offset, packed in _ENTRY.iter_unpack(data):
        yield Entry(key, offset, packed & _LENGTH_BITS, packed >> 56)


def pack_entry(entry: Entry) -> bytes:
    """Return the 48 bytes of one footer entry."""
    return _ENTRY.pack(entry.key, entry.offset, entry.length_bytes | entry.flags << 56)


def iterate_entries(table: bytes | bytearray | memoryview) -> Iterator[Entry]:
    """Yield entries packed by `pack_entry`, in the order they stand."""
    for key, offset, packed in _ENTRY.iter_unpack(table):
        yield Entry(key, offset, packed & _LENGTH_BITS, packed >> 56)


def _checked(
    layout: struct.Struct, magic: bytes, data: bytes | memoryview, what: str, offset: int = 0
) -> tuple[Any, ...]:
    end = offset + layout.size
    if offset < 0 or len(data) < end + _CHECKSUM.size:
        raise CorruptError(f"the {what} is cut off")
    (checksum,) = _CHECKSUM.unpack_from(data, end)
    if data[offset : offset + len(magic)] != magic or _xxh64(data[offset:end]) != checksum:
        raise CorruptError(f"the {what} is damaged")
    return layout.unpack_from(data, offset)
