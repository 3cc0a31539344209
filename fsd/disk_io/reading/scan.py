"""Reading a shard without the index: it owns finding what a replica holds, changes nothing.

Runs in a disk process; recovery, reindex and fsck build on it. A place that is damaged, torn or
unreadable hides what lies in it and nothing else: behind it the search goes on.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import xxhash

from fsd.disk_io.extract.extract import Item, check_record, read_payload
from fsd.disk_io.shard_file import WINDOW_BYTES, Step, WindowReader, no_step
from fsd.format.errors import CorruptError
from fsd.format.record import (
    FOOTER_TRAILER_BYTES,
    GROUP_HEADER_BYTES,
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    SECTOR_BYTES,
    SHARD_HEADER_BYTES,
    TRAILER_BYTES,
    Entry,
    Footer,
    GroupHeader,
    RecordHeader,
    ShardHeader,
    Trailer,
    align,
    footer_bytes,
    pack_entry,
    record_bytes,
    unpack_entries,
    unpack_footer_trailer,
    unpack_group_header,
    unpack_record_header,
    unpack_shard_header,
    unpack_trailer,
)

GROUP_BYTES_MAX = 1 << 45
WHOLE_RECORD_BYTES_MAX = 4 << 20
RESYNC_BYTES = 1 << 20
# Records start on 8 bytes.
RECORD_STEP_BYTES = 8


@dataclass(slots=True)
class Group:
    """One committed group (its trailer is whole); `entries` are packed footer entries.

    `intact` says that every byte is as it was written; else only the sound records are listed, and
    in `headers` all whose header is right, whatever their payload is.
    """

    number: int
    offset: int
    length_bytes: int
    digest: bytes
    intact: bool
    record_count: int
    entries: bytes
    headers: bytes


@dataclass(slots=True)
class ScanResult:
    """The structure of one replica; `header` is None when not even its first sector is right."""

    header: ShardHeader | None
    file_bytes: int
    footer: Footer | None = None
    entries: bytes = b""
    groups: list[Group] = field(default_factory=list[Group])


def scan_shard(
    fd: int, shard_id: bytes, step: Step = no_step, *, whole: bool = False
) -> ScanResult:
    """Return the footer's entries of a sealed shard, or all committed groups of an open one.

    Asked for the `whole`, both: the groups before a footer are read and checked too. A damaged
    shard header hides neither: whose shard it is, every other structure says as well. OSError when
    the disk fails in too many places to go on.
    """
    reader = WindowReader(fd, step)
    end = os.fstat(fd).st_size
    result = ScanResult(read_header(reader, shard_id), end)
    try:
        result.footer, result.entries = read_footer(reader, shard_id, end)
        end = result.footer.data_end
    except CorruptError:
        whole = True
    if whole:
        result.groups = list(_groups(reader, shard_id, end))
    return result


def read_header(reader: WindowReader, shard_id: bytes) -> ShardHeader | None:
    """Return the shard's header, or None when it is damaged, unreadable or another shard's."""
    try:
        header = unpack_shard_header(reader.read(0, SHARD_HEADER_BYTES))
    except CorruptError:
        return None
    return header if header.shard_id == shard_id else None


def read_footer_trailer(reader: WindowReader, shard_id: bytes, size: int) -> Footer:
    """Return what a footer ends in; CorruptError when the file of this size has no such end."""
    if size % SECTOR_BYTES or size < 2 * SECTOR_BYTES:
        raise CorruptError("a sealed shard ends on a sector")
    footer = unpack_footer_trailer(reader.read(size - FOOTER_TRAILER_BYTES, FOOTER_TRAILER_BYTES))
    end = footer.data_end + footer_bytes(footer.entry_count)
    if footer.shard_id != shard_id or end != size:
        raise CorruptError("the footer is of another shard or place")
    return footer


def read_footer(reader: WindowReader, shard_id: bytes, size: int) -> tuple[Footer, bytes]:
    """Return the footer and its packed entries; CorruptError when the file does not end in one."""
    footer = read_footer_trailer(reader, shard_id, size)
    table = reader.read(footer.data_end, size - footer.data_end)
    return footer, b"".join(map(pack_entry, unpack_entries(table, footer)))


def holds_more(fd: int, shard_id: bytes, offset: int, step: Step = no_step) -> bool:
    """Return whether a committed group may lie at `offset`, where a known one ends, or behind it.

    Only what is certain says no: the end of the file, the footer of what lies before, or a group
    that is longer than the file. Of the bytes of a group none is read but its ends.
    """
    reader, size = WindowReader(fd, step), os.fstat(fd).st_size
    if size <= offset:
        return False
    try:
        header = unpack_group_header(reader.read(offset, GROUP_HEADER_BYTES, offset))
        length = header.length_bytes
        return header.shard_id != shard_id or length > GROUP_BYTES_MAX or offset + length <= size
    except CorruptError:
        pass
    try:
        return read_footer(reader, shard_id, size)[0].data_end != offset
    except CorruptError:
        return True


def _groups(reader: WindowReader, shard_id: bytes, size: int) -> Iterator[Group]:
    position = expected = SHARD_HEADER_BYTES
    ahead = 0
    headless: list[Group] = []
    while position + SECTOR_BYTES <= size:
        group = _read_group(reader, shard_id, position, size, ahead)
        if group is not None:
            # Groups are written one after the other: what lies before this one was committed too.
            yield from headless
            yield group
            headless = []
        else:
            group = _read_ended_group(reader, shard_id, expected, position)
            headless += [group] if group is not None else []
        if group is not None:
            position = expected = group.offset + group.length_bytes
            ahead = 0
        else:
            # Past a bad or torn place, look for the next group at every sector.
            position, ahead = position + SECTOR_BYTES, RESYNC_BYTES


def _read_group(
    reader: WindowReader, shard_id: bytes, offset: int, size: int, ahead: int
) -> Group | None:
    try:
        header = unpack_group_header(reader.read(offset, GROUP_HEADER_BYTES, offset + ahead))
        if not is_plausible(header, shard_id, offset, size):
            return None
        end = offset + header.length_bytes - TRAILER_BYTES
        trailer = unpack_trailer(reader.read(end, TRAILER_BYTES))
    except CorruptError:
        return None
    if trailer[:4] != (shard_id, header.group_number, header.record_count, header.length_bytes):
        return None
    return _committed(reader, offset, trailer)


def _read_ended_group(
    reader: WindowReader, shard_id: bytes, expected: int, sector: int
) -> Group | None:
    """Return the group that ends in this sector, its header damaged (or never written).

    It begins at `expected` or behind it, for what ended before was found.
    """
    end = sector + SECTOR_BYTES - TRAILER_BYTES
    try:
        trailer = unpack_trailer(reader.read(end, TRAILER_BYTES))
    except CorruptError:
        return None
    start = sector + SECTOR_BYTES - trailer.length_bytes
    if trailer.shard_id != shard_id or start < expected or start % SECTOR_BYTES:
        return None
    return _committed(reader, start, trailer)


def _committed(reader: WindowReader, offset: int, trailer: Trailer) -> Group:
    end = offset + trailer.length_bytes - TRAILER_BYTES
    intact = _digest(reader, offset, end) == trailer.digest
    found, sound = bytearray(), bytearray()
    for entry in _records(reader, trailer.shard_id, offset, end, trailer.record_count):
        found += pack_entry(entry)
        if not intact and _is_sound(reader, trailer.shard_id, entry):
            sound += pack_entry(entry)
    headers = bytes(found)
    return Group(
        trailer.group_number,
        offset,
        trailer.length_bytes,
        trailer.digest,
        intact,
        trailer.record_count,
        headers if intact else bytes(sound),
        headers,
    )


def is_plausible(header: GroupHeader, shard_id: bytes, offset: int, size: int) -> bool:
    """Return whether a group of this header can lie at `offset` of a file of `size` bytes."""
    length = header.length_bytes
    return (
        header.shard_id == shard_id
        and 0 < length <= GROUP_BYTES_MAX
        and length % SECTOR_BYTES == 0
        and offset + length <= size
    )


def _digest(reader: WindowReader, start: int, end: int) -> bytes:
    state = xxhash.xxh3_128()
    try:
        for position in range(start, end, WINDOW_BYTES // 2):
            state.update(reader.read(position, min(WINDOW_BYTES // 2, end - position), end))
    except CorruptError:
        return b""
    return state.digest()


def _records(
    reader: WindowReader, shard_id: bytes, offset: int, end: int, count: int
) -> Iterator[Entry]:
    position = offset + GROUP_HEADER_BYTES
    seen = 0
    while seen < count and position + RECORD_HEADER_BYTES <= end:
        header = _record_at(reader, shard_id, position, end)
        if header is None:
            # A damaged header hides its own record, not the next ones.
            position = _next_magic(reader, position + RECORD_STEP_BYTES, end)
            continue
        seen += 1
        yield Entry(header.key, position, header.length_bytes, header.flags)
        position += record_bytes(header.length_bytes)


def _record_at(
    reader: WindowReader, shard_id: bytes, position: int, end: int
) -> RecordHeader | None:
    try:
        header = unpack_record_header(reader.read(position, RECORD_HEADER_BYTES, end))
    except CorruptError:
        return None
    fits = position + record_bytes(header.length_bytes) <= end
    return header if header.shard_id == shard_id and fits else None


def _next_magic(reader: WindowReader, position: int, end: int) -> int:
    """Return the next place at or after `position` where a record may begin, else `end`."""
    while position < end:
        stop = min(align(position + 1), end)
        try:
            data = bytes(reader.read(position, stop - position, end))
        except CorruptError:
            data = b""
        found = data.find(RECORD_MAGIC)
        while found >= 0:
            if found % RECORD_STEP_BYTES == 0:
                return position + found
            found = data.find(RECORD_MAGIC, found + 1)
        position = stop
    return end


def _is_sound(reader: WindowReader, shard_id: bytes, entry: Entry) -> bool:
    item = Item(entry.offset, entry.length_bytes, entry.key, ())
    try:
        if entry.length_bytes <= WHOLE_RECORD_BYTES_MAX:
            length = record_bytes(entry.length_bytes)
            view = reader.read(entry.offset, length, entry.offset + WINDOW_BYTES)
            return hashlib.sha256(check_record(view, 0, shard_id, item)).digest() == entry.key
        state = hashlib.sha256()
        for piece in read_payload(reader, shard_id, item):
            state.update(piece)
    except CorruptError:
        return False
    return state.digest() == entry.key
