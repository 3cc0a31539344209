"""Reading a shard without the index: it owns structure and verification, changes nothing.

Runs in a disk process. `scan_shard` serves recovery and reindex, `verify_shard` serves scrub.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import xxhash

from fsd.errors import CorruptError
from fsd.extract import Item, check_record, read_payload
from fsd.record import (
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
    footer_bytes,
    iterate_entries,
    pack_entry,
    record_bytes,
    unpack_entries,
    unpack_footer_trailer,
    unpack_group_header,
    unpack_record_header,
    unpack_shard_header,
    unpack_trailer,
)
from fsd.shard_file import WINDOW_BYTES, Step, WindowReader, no_step

GROUP_BYTES_MAX = 1 << 45
WHOLE_RECORD_BYTES_MAX = 4 << 20


@dataclass(slots=True)
class Group:
    """One committed group (its trailer is whole); `entries` are packed footer entries.

    `intact` says that every byte is as it was written; else only the sound records are listed.
    """

    number: int
    offset: int
    length_bytes: int
    digest: bytes
    intact: bool
    record_count: int
    entries: bytes


@dataclass(slots=True)
class ScanResult:
    """The structure of one replica; `header` is None when not even its first sector is right."""

    header: ShardHeader | None
    file_bytes: int
    footer: Footer | None = None
    entries: bytes = b""
    groups: list[Group] = field(default_factory=list[Group])


@dataclass(slots=True)
class Problem:
    """One thing wrong in a replica: byte offset, key of the record if known, and what."""

    offset: int
    key: str
    reason: str


@dataclass(slots=True)
class VerifyResult:
    """What a full verification of one replica read and found."""

    objects: int = 0
    read_bytes: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])


def scan_shard(fd: int, shard_id: bytes, step: Step = no_step) -> ScanResult:
    """Return the footer's entries of a sealed shard, or all committed groups of an open one."""
    reader = WindowReader(fd, step)
    size = os.fstat(fd).st_size
    result = ScanResult(_read_header(reader, shard_id), size)
    if result.header is None:
        return result
    try:
        result.footer, result.entries = _read_footer(reader, shard_id, size)
    except CorruptError:
        result.groups = list(_groups(reader, shard_id, size))
    return result


def _read_header(reader: WindowReader, shard_id: bytes) -> ShardHeader | None:
    try:
        header = unpack_shard_header(reader.read(0, SHARD_HEADER_BYTES))
    except CorruptError:
        return None
    return header if header.shard_id == shard_id else None


def _read_footer(reader: WindowReader, shard_id: bytes, size: int) -> tuple[Footer, bytes]:
    if size % SECTOR_BYTES:
        raise CorruptError("a sealed shard ends on a sector")
    footer = unpack_footer_trailer(reader.read(size - FOOTER_TRAILER_BYTES, FOOTER_TRAILER_BYTES))
    length = footer_bytes(footer.entry_count)
    if footer.shard_id != shard_id or footer.data_end + length != size:
        raise CorruptError("the footer belongs to another shard or place")
    table = reader.read(footer.data_end, length)
    return footer, b"".join(map(pack_entry, unpack_entries(table, footer)))


def _groups(reader: WindowReader, shard_id: bytes, size: int) -> Iterator[Group]:
    offset = SHARD_HEADER_BYTES
    while offset + SECTOR_BYTES <= size:
        group = _read_group(reader, shard_id, offset, size)
        if group is not None:
            yield group
        # Past a bad or torn place, look for the next group at every sector.
        offset += SECTOR_BYTES if group is None else group.length_bytes


def _read_group(reader: WindowReader, shard_id: bytes, offset: int, size: int) -> Group | None:
    try:
        header = unpack_group_header(reader.read(offset, GROUP_HEADER_BYTES))
        if not _plausible(header, shard_id, offset, size):
            return None
        end = offset + header.length_bytes - TRAILER_BYTES
        trailer = unpack_trailer(reader.read(end, TRAILER_BYTES))
    except CorruptError:
        return None
    if trailer[:4] != (shard_id, header.group_number, header.record_count, header.length_bytes):
        return None
    intact = _digest(reader, offset, end) == trailer.digest
    records = _records(reader, shard_id, offset, end, header.record_count, check=not intact)
    return Group(
        header.group_number,
        offset,
        header.length_bytes,
        trailer.digest,
        intact,
        header.record_count,
        b"".join(map(pack_entry, records)),
    )


def _plausible(header: GroupHeader, shard_id: bytes, offset: int, size: int) -> bool:
    length = header.length_bytes
    return (
        header.shard_id == shard_id
        and 0 < length <= GROUP_BYTES_MAX
        and length % SECTOR_BYTES == 0
        and offset + length <= size
    )


def _digest(reader: WindowReader, start: int, end: int) -> bytes:
    state = xxhash.xxh3_128()
    for position in range(start, end, WINDOW_BYTES // 2):
        state.update(reader.read(position, min(WINDOW_BYTES // 2, end - position), end))
    return state.digest()


def _records(
    reader: WindowReader, shard_id: bytes, offset: int, end: int, count: int, *, check: bool
) -> Iterator[Entry]:
    position = offset + GROUP_HEADER_BYTES
    seen = 0
    while seen < count and position + RECORD_HEADER_BYTES <= end:
        header = _record_at(reader, shard_id, position, end)
        if header is None:
            # Records start on 8 bytes: a damaged header hides its own record, not the next ones.
            position += 8
            continue
        seen += 1
        entry = Entry(header.key, position, header.length_bytes, header.flags)
        if not check or _sound(reader, shard_id, entry):
            yield entry
        position += record_bytes(header.length_bytes)


def _record_at(
    reader: WindowReader, shard_id: bytes, position: int, end: int
) -> RecordHeader | None:
    data = reader.read(position, RECORD_HEADER_BYTES, end)
    if bytes(data[:4]) != RECORD_MAGIC:
        return None
    try:
        header = unpack_record_header(data)
    except CorruptError:
        return None
    fits = position + record_bytes(header.length_bytes) <= end
    return header if header.shard_id == shard_id and fits else None


def _sound(reader: WindowReader, shard_id: bytes, entry: Entry) -> bool:
    try:
        return _payload_sha256(reader, shard_id, entry, WINDOW_BYTES) == entry.key
    except (CorruptError, OSError):
        return False


def _payload_sha256(reader: WindowReader, shard_id: bytes, entry: Entry, ahead_bytes: int) -> bytes:
    item = Item(entry.offset, entry.length_bytes, entry.key, ())
    if entry.length_bytes > WHOLE_RECORD_BYTES_MAX:
        state = hashlib.sha256()
        for piece in read_payload(reader.fd, shard_id, item, no_step):
            state.update(piece)
        return state.digest()
    length = record_bytes(entry.length_bytes)
    view = reader.read(entry.offset, length, entry.offset + ahead_bytes)
    return hashlib.sha256(check_record(view, 0, shard_id, item)).digest()


def verify_shard(fd: int, shard_id: bytes, step: Step = no_step) -> VerifyResult:
    """Check every byte that counts in a sealed replica: structure, checksums and sha256."""
    reader = WindowReader(fd, step)
    size = os.fstat(fd).st_size
    result = VerifyResult(read_bytes=size)
    if _read_header(reader, shard_id) is None:
        result.problems.append(Problem(0, "", "the shard header is damaged"))
    try:
        footer, table = _read_footer(reader, shard_id, size)
    except (CorruptError, OSError) as error:
        result.problems.append(Problem(size, "", f"the footer is damaged: {error}"))
        return result
    for entry in sorted(iterate_entries(table), key=lambda entry: entry.offset):
        _verify_record(reader, shard_id, entry, result)
        step()
    _verify_groups(reader, shard_id, footer, result)
    return result


def _verify_record(
    reader: WindowReader, shard_id: bytes, entry: Entry, result: VerifyResult
) -> None:
    result.objects += 1
    try:
        if _payload_sha256(reader, shard_id, entry, WINDOW_BYTES) != entry.key:
            raise CorruptError("the content does not match its sha256")
    except (CorruptError, OSError) as error:
        result.problems.append(Problem(entry.offset, entry.key.hex(), str(error)))


def _verify_groups(
    reader: WindowReader, shard_id: bytes, footer: Footer, result: VerifyResult
) -> None:
    offset = SHARD_HEADER_BYTES
    digests: list[bytes] = []
    while offset < footer.data_end:
        try:
            header = unpack_group_header(reader.read(offset, GROUP_HEADER_BYTES))
            if not _plausible(header, shard_id, offset, footer.data_end):
                raise CorruptError("the group header is damaged")
            end = offset + header.length_bytes
            digests.append(unpack_trailer(reader.read(end - TRAILER_BYTES, TRAILER_BYTES)).digest)
            offset = end
        except (CorruptError, OSError) as error:
            result.problems.append(Problem(offset, "", str(error)))
            offset += SECTOR_BYTES
    if len(digests) == footer.group_count and not result.problems:
        joined = xxhash.xxh3_128_digest(b"".join(digests))
        if joined != footer.groups_digest:
            result.problems.append(Problem(footer.data_end, "", "the groups' digests differ"))
