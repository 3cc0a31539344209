"""The bytes of a journal: segments, and records that say what was durable when they were written.

Pure. A segment is a header of 32 bytes and records, each a header of 24 bytes and its payload,
padded with zeros to a multiple of 8 (fsd/FORMAT.md has the layout).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

MAGIC = b"DSJRNL01"
SEGMENT_HEADER = struct.Struct("<8sQI12x")
RECORD_HEADER = struct.Struct("<IIQQ")
RECORD_BYTES_MAX = 16 << 20
ALIGNMENT = 8
assert SEGMENT_HEADER.size == 32
assert RECORD_HEADER.size == 24

_CHECKED = struct.Struct("<QQ")
_WORD = struct.Struct("<Q")
_AHEAD_MAX = 1 << 20
"""So many records behind a broken one are looked for; a segment has not more."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record and its place among all that were ever written, from 1."""

    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment holds up to the first record that is none.

    `is_damaged` says that this was durable once: a later record knows it.
    """

    records: list[Record]
    end: int
    is_damaged: bool


def segment_header(first_sequence: int) -> bytes:
    """Return the header of a segment whose first record has this place."""
    checksum = zlib.crc32(MAGIC + _WORD.pack(first_sequence))
    return SEGMENT_HEADER.pack(MAGIC, first_sequence, checksum)


def first_sequence_of(data: bytes) -> int | None:
    """Return what the header of a segment says; None when it is none."""
    if len(data) < SEGMENT_HEADER.size:
        return None
    _, first, _ = SEGMENT_HEADER.unpack_from(data)
    return first if data[: SEGMENT_HEADER.size] == segment_header(first) else None


def pack(payloads: Sequence[bytes], first_sequence: int, durable: int) -> bytes:
    """Return the bytes of records that follow each other; `durable` is the last synced before."""
    parts: list[bytes] = []
    for place, payload in enumerate(payloads):
        sequence = first_sequence + place
        checksum = zlib.crc32(payload, zlib.crc32(_CHECKED.pack(sequence, durable)))
        parts += (
            RECORD_HEADER.pack(len(payload), checksum, sequence, durable),
            payload,
            bytes(-len(payload) % ALIGNMENT),
        )
    return b"".join(parts)


def scan(data: bytes, first_sequence: int) -> Scan:
    """Read the records of a segment, up to the first that is torn or damaged."""
    records: list[Record] = []
    place = SEGMENT_HEADER.size
    while (found := _record_at(data, place)) is not None:
        sequence, _, payload = found
        if sequence != first_sequence + len(records):
            break
        records.append(Record(sequence, payload))
        place += RECORD_HEADER.size + len(payload) + -len(payload) % ALIGNMENT
    return Scan(records, place, _was_durable(data, place, first_sequence + len(records)))


def _record_at(data: bytes, place: int) -> tuple[int, int, bytes] | None:
    """Return place among all, what was durable, and payload of a whole record; else None."""
    if place + RECORD_HEADER.size > len(data):
        return None
    size, checksum, sequence, durable = RECORD_HEADER.unpack_from(data, place)
    begin = place + RECORD_HEADER.size
    if size > RECORD_BYTES_MAX or begin + size > len(data):
        return None
    payload = data[begin : begin + size]
    if zlib.crc32(payload, zlib.crc32(_CHECKED.pack(sequence, durable))) != checksum:
        return None
    return sequence, durable, payload


def _was_durable(data: bytes, place: int, sequence: int) -> bool:
    """Tell whether a whole record behind this place says that this one was durable before it."""
    whole = len(data) - (len(data) - place) % ALIGNMENT
    for number, (word,) in enumerate(_WORD.iter_unpack(data[place:whole])):
        # The third and fourth word of four: a record's own place, which is beyond this one.
        if sequence < word <= sequence + _AHEAD_MAX:
            found = _record_at(data, place + number * ALIGNMENT - ALIGNMENT)
            if found is not None and found[0] == word and found[1] >= sequence:
                return True
    return False
