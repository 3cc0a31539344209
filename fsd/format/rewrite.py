"""Writing a sealed shard again: it owns making every byte of it anew from its objects, no I/O.

Only the payloads of a shard are not known from its entries: where groups begin and end, all the
headers, checksums, paddings and trailers follow from them. What comes out is proven by the footer,
which has a digest over the digests of all groups.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import xxhash

from fsd.format.errors import CorruptError
from fsd.format.record import (
    GROUP_HEADER_BYTES,
    SHARD_HEADER_BYTES,
    TRAILER_BYTES,
    Entry,
    Footer,
    GroupHeader,
    RecordHeader,
    ShardHeader,
    Trailer,
    align,
    pack_footer,
    pack_group_header,
    pack_record_header,
    pack_shard_header,
    pack_trailer,
    payload_offset,
    record_bytes,
    unpack_footer_trailer,
)

Bytes = bytes | bytearray | memoryview
Payload = tuple[Bytes, Iterable[Bytes]]
"""The checksums of a record's blocks, and its payload in pieces."""


@dataclass(frozen=True, slots=True)
class Outline:
    """All that is known of a sealed shard but its payloads; `entries` are sorted by offset."""

    header: ShardHeader
    footer: Footer
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Span:
    """One commit group: where it lies, and which of the entries (by position) are in it."""

    offset: int
    length_bytes: int
    first: int
    last: int


def group_spans(entries: Sequence[Entry], data_end: int) -> list[Span]:
    """Return the groups of these entries, sorted by offset, which end at `data_end`.

    Records of a group lie one behind the other, and so do groups: whatever does not fit together
    like that raises CorruptError.
    """
    spans: list[Span] = []
    start, first = SHARD_HEADER_BYTES, 0
    position = start + GROUP_HEADER_BYTES
    for number, entry in enumerate(entries):
        if entry.offset != position:
            end = align(position + TRAILER_BYTES)
            spans.append(Span(start, end - start, first, number))
            start, first = end, number
            position = start + GROUP_HEADER_BYTES
        if entry.offset != position:
            raise CorruptError("the entries leave a gap", f"offset {position}")
        position += record_bytes(entry.length_bytes)
    end = align(position + TRAILER_BYTES)
    spans.append(Span(start, end - start, first, len(entries)))
    if end != data_end or any(span.first == span.last for span in spans):
        raise CorruptError("the entries do not add up to the groups", f"offset {end}")
    return spans


def rewrite(outline: Outline, payload_of: Callable[[Entry], Payload]) -> Iterator[Bytes]:
    """Yield the shard's bytes from its first to its last, each piece valid until the next.

    Raises CorruptError, before the footer, when they are not what the footer vouches for.
    """
    shard_id, footer = outline.header.shard_id, outline.footer
    yield pack_shard_header(outline.header)
    digests: list[bytes] = []
    for number, span in enumerate(group_spans(outline.entries, footer.data_end)):
        count = span.last - span.first
        header = GroupHeader(shard_id, number, count, span.length_bytes, span.first)
        state = xxhash.xxh3_128()
        for piece in _group(outline, header, span, payload_of):
            state.update(piece)
            yield piece
        digests.append(state.digest())
        yield pack_trailer(Trailer(shard_id, number, count, span.length_bytes, digests[-1]))
    made = pack_footer(shard_id, outline.entries, footer.data_end, digests)
    if unpack_footer_trailer(made) != footer:
        raise CorruptError("what was put together is not what the footer vouches for")
    yield made


def _group(
    outline: Outline, header: GroupHeader, span: Span, payload_of: Callable[[Entry], Payload]
) -> Iterator[Bytes]:
    """Yield a group up to its trailer."""
    yield pack_group_header(header)
    position = span.offset + GROUP_HEADER_BYTES
    for sequence in range(span.first, span.last):
        entry = outline.entries[sequence]
        size = entry.length_bytes
        table, pieces = payload_of(entry)
        record = RecordHeader(header.shard_id, sequence, size, entry.key, entry.flags)
        yield pack_record_header(record)
        yield table
        yield from pieces
        yield bytes(record_bytes(size) - payload_offset(size) - size)
        position += record_bytes(size)
    yield bytes(span.offset + span.length_bytes - TRAILER_BYTES - position)
