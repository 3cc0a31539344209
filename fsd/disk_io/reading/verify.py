"""Verifying a sealed replica: it owns the proof that every byte that counts is as written.

Runs in a disk process. One pass in the order of the file: each record is checked against its
header, its block checksums and its sha256, and while the bytes pass they go into the digest of
their group, so that what is found sound here can also be copied. What counts: all of every group,
padding included, the first 64 bytes of the shard, and the footer but for its padding.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import xxhash

from fsd.disk_io.extract.extract import Failure, check_record, read_payload
from fsd.disk_io.extract.extract_windows import Item, plan_windows
from fsd.disk_io.reading.scan import WHOLE_RECORD_BYTES_MAX, is_plausible, read_footer, read_header
from fsd.disk_io.shard_file import WINDOW_BYTES, Step, WindowReader, no_step
from fsd.format.errors import CorruptError
from fsd.format.record import (
    GROUP_HEADER_BYTES,
    SECTOR_BYTES,
    SHARD_HEADER_BYTES,
    TRAILER_BYTES,
    Entry,
    Footer,
    GroupHeader,
    align,
    iterate_entries,
    payload_offset,
    record_bytes,
    unpack_group_header,
    unpack_trailer,
)

PIECE_BYTES = 1 << 20
"""Read while the one before is hashed: a disk reads on by itself for about as long."""


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

    def add(self, offset: int, reason: str, key: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(offset, key, reason))


def verify_shard(
    fd: int, shard_id: bytes, step: Step = no_step, window_bytes: int = PIECE_BYTES
) -> VerifyResult:
    """Check every byte that counts in a sealed replica: structure, checksums and sha256.

    OSError when the disk fails in too many places to go on.
    """
    reader = WindowReader(fd, step, window_bytes)
    size = os.fstat(fd).st_size
    result = VerifyResult(read_bytes=size)
    problem = ""
    try:
        footer, table = read_footer(reader, shard_id, size)
    except CorruptError as error:
        footer, table, problem = None, b"", f"the footer is damaged: {error}"
    # The end first: from here on the head goes one way.
    if read_header(reader, shard_id) is None:
        result.add(0, "the shard header is damaged")
    if footer is None:
        result.add(size, problem)
        return result
    groups = _GroupPass(reader, shard_id, footer, result)
    for entry, ahead_end in _with_ahead(table):
        result.objects += 1
        try:
            if _sha256(reader, shard_id, entry, groups, ahead_end) != entry.key:
                raise CorruptError("the content does not match its sha256")
        except CorruptError as error:
            result.add(entry.offset, str(error), entry.key.hex())
    groups.finish()
    return result


def _with_ahead(table: bytes) -> list[tuple[Entry, int]]:
    """Return the entries by offset, each with the place up to which a window may be filled.

    That is the next large record, which is streamed through a window of its own: otherwise its
    beginning would be read twice.
    """
    entries = sorted(iterate_entries(table), key=lambda entry: entry.offset)
    limits: list[int] = []
    limit = 1 << 63
    for entry in reversed(entries):
        if entry.length_bytes > WHOLE_RECORD_BYTES_MAX:
            limit = entry.offset
        limits.append(min(entry.offset + WINDOW_BYTES, limit))
    return list(zip(entries, reversed(limits), strict=True))


def _sha256(
    reader: WindowReader, shard_id: bytes, entry: Entry, groups: "_GroupPass", ahead_end: int
) -> bytes:
    item = Item(entry.offset, entry.length_bytes, entry.key, ())
    if entry.length_bytes <= WHOLE_RECORD_BYTES_MAX:
        groups.advance(entry.offset, ahead_end)
        view = reader.read(entry.offset, record_bytes(entry.length_bytes), ahead_end)
        groups.pass_by(view, entry.offset)
        return hashlib.sha256(check_record(view, 0, shard_id, item)).digest()
    position = entry.offset + payload_offset(entry.length_bytes)
    groups.advance(position, position)
    state: Any = hashlib.sha256()
    for piece in read_payload(reader, shard_id, item, PIECE_BYTES):
        state.update(piece)
        groups.pass_by(piece, position)
        position += len(piece)
    return state.digest()


class _GroupPass:
    """The way over the groups: it reads what lies between records, and compares the digests."""

    def __init__(
        self, reader: WindowReader, shard_id: bytes, footer: Footer, result: VerifyResult
    ) -> None:
        self._reader = reader
        self._shard_id = shard_id
        self._footer = footer
        self._result = result
        self._position = SHARD_HEADER_BYTES
        self._group: GroupHeader | None = None
        self._tail = 0
        self._state: Any = xxhash.xxh3_128()
        self._problems = 0
        self._lost = False
        self._digests: list[bytes] = []

    def advance(self, target: int, ahead_end: int) -> None:
        """Go on to `target`, reading all that nobody else reads; the caller reads on from there."""
        while self._position < target:
            if self._group is None:
                self._begin(ahead_end)
            elif self._position < self._tail:
                self._read(min(target, self._tail), ahead_end)
            else:
                self._end(self._group)

    def pass_by(self, view: memoryview, start: int) -> None:
        """Take bytes that somebody else read, when they are the next ones."""
        end = start + len(view)
        if self._group is not None and start == self._position and end <= self._tail:
            self._state.update(view)
            self._position = end
        elif self._group is None:
            # Behind a damaged group header: the next group cannot begin inside of a record.
            self._position = max(self._position, align(end))

    def finish(self) -> None:
        """Go to the end of the groups and compare them all with the footer."""
        self.advance(self._footer.data_end, self._footer.data_end)
        joined = xxhash.xxh3_128_digest(b"".join(self._digests))
        if not self._result.problems and joined != self._footer.groups_digest:
            self._result.add(self._footer.data_end, "the groups are not those of the footer")

    def _begin(self, ahead_end: int) -> None:
        offset = self._position
        try:
            header = unpack_group_header(self._reader.read(offset, GROUP_HEADER_BYTES, ahead_end))
            if not is_plausible(header, self._shard_id, offset, self._footer.data_end):
                raise CorruptError("the group header is of another shard or place")
        except CorruptError as error:
            if not self._lost:
                self._result.add(offset, str(error))
            self._lost = True
            self._position += SECTOR_BYTES
            return
        self._group, self._lost = header, False
        self._tail = offset + header.length_bytes - TRAILER_BYTES
        self._state = xxhash.xxh3_128()
        self._problems = len(self._result.problems)

    def _read(self, stop: int, ahead_end: int) -> None:
        size = min(PIECE_BYTES, stop - self._position)
        # Where the disk cannot read, the digest lacks these bytes and the group is reported.
        with contextlib.suppress(CorruptError):
            self._state.update(self._reader.read(self._position, size, ahead_end))
        self._position += size

    def _end(self, group: GroupHeader) -> None:
        reason = ""
        try:
            trailer = unpack_trailer(self._reader.read(self._tail, TRAILER_BYTES))
            self._digests.append(trailer.digest)
            if trailer[:4] != group[:4]:
                reason = "the group's trailer is of another group"
            elif trailer.digest != self._state.digest():
                reason = "the group fails its digest"
        except CorruptError as error:
            reason = str(error)
        # A record that was reported explains it.
        if reason and len(self._result.problems) == self._problems:
            self._result.add(self._tail, f"{reason} (group {group.group_number})")
        self._position, self._group = self._tail + TRAILER_BYTES, None


# ---- Records read back ---------------------------------------------------------------------------
# Reads records back and checks them, without handing out a byte.
#
# Runs in a disk process. A put asks for this before it says that content is stored already.


def prove_records(
    fd: int, shard_id: bytes, items: Sequence[Item], step: Step
) -> tuple[int, list[Failure]]:
    """Read records, sorted by offset, past the page cache; returns (payload bytes, failures).

    Each is compared with its header (shard, key, length) and its block checksums. A failure is an
    item, by position, that this replica cannot give as it was written.
    """
    reader = WindowReader(fd, step, WINDOW_BYTES + 2 * SECTOR_BYTES)
    failures: list[Failure] = []
    read_bytes = 0
    for window in plan_windows(items):
        for position in range(window.first, window.last):
            item = items[position]
            try:
                if window.end - window.start <= WINDOW_BYTES:
                    size = record_bytes(item.length_bytes)
                    view = reader.read(item.offset, size, ahead_end=window.end)
                    check_record(view, 0, shard_id, item)
                else:
                    for _ in read_payload(reader, shard_id, item):
                        pass
            except (CorruptError, OSError) as error:
                failures.append(Failure(position, str(error)))
            else:
                read_bytes += item.length_bytes
            step()
    return read_bytes, failures
