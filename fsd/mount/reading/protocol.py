"""What the mount and its read children say to each other: it owns the messages, no socket.

Both ends share a memfd (the arena); a request names the slot the child may fill, the answer says
where in the arena the payload begins. Messages travel over a SOCK_SEQPACKET pair, one per packet.

    request = struct (104 B) , path of the shard as the filesystem's bytes
    answer  = struct (24 B)
"""

import struct
from typing import NamedTuple

from fsd.format import record

# A small record is read whole: at most this payload, in one pread with header and table.
SMALL_PAYLOAD_BYTES_MAX = 1 << 20
WINDOW_BYTES_MAX = 8 << 20
# Room for header, checksum table (128 B for a small record) and the alignment at both ends.
SLOT_MARGIN_BYTES = 4 * record.SECTOR_BYTES
SMALL_SLOT_BYTES = SMALL_PAYLOAD_BYTES_MAX + SLOT_MARGIN_BYTES
LARGE_SLOT_BYTES = WINDOW_BYTES_MAX + SLOT_MARGIN_BYTES
PATH_BYTES_MAX = 4096

_REQUEST = struct.Struct("<QQQQQII16s32sQ")
_ANSWER = struct.Struct("<QQi4x")
REQUEST_BYTES_MAX = _REQUEST.size + PATH_BYTES_MAX
ANSWER_BYTES = _ANSWER.size

assert _REQUEST.size == 104
assert _ANSWER.size == 24


class Request(NamedTuple):
    """Read `block_count` 64 KiB blocks of one record's payload into a slot of the arena."""

    request_id: int
    slot_offset: int
    slot_bytes: int
    record_offset: int
    length_bytes: int
    first_block: int
    block_count: int
    shard_id: bytes
    key: bytes
    path: bytes


class Answer(NamedTuple):
    """`error_number` is 0 or an errno; EBADMSG means that a checksum or header is wrong."""

    request_id: int
    arena_offset: int
    error_number: int


def pack_request(request: Request) -> bytes:
    """Return the packet of a request."""
    *fields, path = request
    return _REQUEST.pack(*fields, len(path)) + path


def unpack_request(packet: bytes) -> Request:
    """Read what `pack_request` wrote."""
    *fields, path_bytes = _REQUEST.unpack_from(packet)
    return Request._make((*fields, packet[_REQUEST.size : _REQUEST.size + path_bytes]))


def pack_answer(answer: Answer) -> bytes:
    """Return the packet of an answer."""
    return _ANSWER.pack(*answer)


def unpack_answer(packet: bytes) -> Answer:
    """Read what `pack_answer` wrote."""
    return Answer(*_ANSWER.unpack(packet))


def payload_span(length_bytes: int, first_block: int, block_count: int) -> tuple[int, int]:
    """Return (start, end) of these blocks within the payload, the last one cut at its end."""
    start = first_block * record.BLOCK_BYTES
    return start, min(length_bytes, start + block_count * record.BLOCK_BYTES)
