"""Reading a sealed shard to copy it: it owns the proof that only sound bytes leave this replica.

Runs in a disk process. Every group is compared with the digest in its trailer, and all of them
with the footer, while the bytes pass; a damaged replica fails before its copy can be adopted.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import xxhash

from fsd.disk_io.reading.scan import read_footer_trailer
from fsd.disk_io.shard_file import Step, WindowReader, open_direct, read_full
from fsd.format.errors import CorruptError
from fsd.format.record import (
    ENTRY_BYTES,
    GROUP_HEADER_BYTES,
    SECTOR_BYTES,
    SHARD_HEADER_BYTES,
    TRAILER_BYTES,
    unpack_footer_trailer,
    unpack_group_header,
    unpack_shard_header,
    unpack_trailer,
)

COPIES_MAX = 16


class CopySource:
    """One pass over a sealed shard, in pieces of at most a slot; it owns the descriptor."""

    def __init__(self, fd: int, shard_id: bytes, step: Step) -> None:
        self._fd = fd
        self._shard_id = shard_id
        self._step = step
        self.length_bytes = os.fstat(fd).st_size
        reader = WindowReader(fd, step, SECTOR_BYTES * 2)
        self._footer = read_footer_trailer(reader, shard_id, self.length_bytes)
        self._entries: Any = xxhash.xxh3_128()
        self._position = 0
        self._group_end = 0
        self._digest: Any = None
        self._digests: list[bytes] = []

    @property
    def ended(self) -> bool:
        """Return whether all of it was read, and proven."""
        return self._position == self.length_bytes

    def fill(self, view: memoryview) -> tuple[int, int]:
        """Fill `view` as far as the shard goes; returns (file offset, length)."""
        start, done = self._position, 0
        while done < len(view) and not self.ended:
            done += self.next(view[done:])[1]
        return start, done

    def next(self, view: memoryview) -> tuple[int, int]:
        """Fill `view` with the next piece; returns (file offset, length), length 0 at the end."""
        start = self._position
        if start == 0:
            size = self._read(view[:SHARD_HEADER_BYTES])
            if unpack_shard_header(view).shard_id != self._shard_id:
                raise CorruptError("the shard header is of another shard")
        elif start < self._footer.data_end:
            size = self._next_of_group(view)
        elif start < self.length_bytes:
            size = self._read(view[: self.length_bytes - start])
            self._check_footer(view[:size], start)
        else:
            return start, 0
        self._position += size
        return start, size

    def close(self) -> None:
        """Close the file; also a copy that is given up must be closed."""
        os.close(self._fd)

    def _read(self, view: memoryview, begin: int = 0) -> int:
        """Fill the view from `begin` on, where the piece before that has been read already."""
        size = begin + read_full(self._fd, view[begin:], self._position + begin, self._step)
        if size != len(view):
            raise CorruptError("the shard ends early", f"offset {self._position}")
        return size

    def _next_of_group(self, view: memoryview) -> int:
        begin = 0
        if self._position >= self._group_end:
            begin = self._read(view[:SECTOR_BYTES])
            header = unpack_group_header(view[:GROUP_HEADER_BYTES])
            end = self._position + header.length_bytes
            inside = self._position < end <= self._footer.data_end and end % SECTOR_BYTES == 0
            if header.shard_id != self._shard_id or not inside:
                raise CorruptError("a group header is damaged", f"offset {self._position}")
            self._group_end = end
            self._digest = xxhash.xxh3_128()
        size = self._read(view[: self._group_end - self._position], begin)
        if self._position + size < self._group_end:
            self._digest.update(view[:size])
            return size
        self._digest.update(view[: size - TRAILER_BYTES])
        trailer = unpack_trailer(view, size - TRAILER_BYTES)
        if trailer.digest != self._digest.digest():
            raise CorruptError("a group fails its digest", f"group {trailer.group_number}")
        self._digests.append(trailer.digest)
        return size

    def _check_footer(self, view: memoryview, start: int) -> None:
        table_end = self._footer.data_end + self._footer.entry_count * ENTRY_BYTES
        self._entries.update(view[: max(0, table_end - start)])
        if start + len(view) < self.length_bytes:
            return
        # Only these bytes are copied: what was read at the beginning is compared with them.
        if unpack_footer_trailer(view) != self._footer:
            raise CorruptError("the footer is not the same when it is read again")
        if self._entries.digest() != self._footer.entries_digest:
            raise CorruptError("the footer's entries fail their checksum")
        joined = xxhash.xxh3_128_digest(b"".join(self._digests))
        if joined != self._footer.groups_digest:
            raise CorruptError("the groups do not add up to the footer's digest")


class CopySources:
    """The shards that a disk's process reads for copies; used by the thread of one lane.

    A shard is read by one copy at a time; of many copies begun, the oldest is given up.
    """

    def __init__(self, slots: list[memoryview], step: Step, path_of: Callable[[str], str]) -> None:
        self._slots = slots
        self._step = step
        self._path_of = path_of
        self._open: OrderedDict[str, CopySource] = OrderedDict()

    def begin(self, shard_id: str) -> int:
        """Begin to read a whole sealed shard; returns its length."""
        self.end(shard_id)
        if len(self._open) >= COPIES_MAX:
            self.end(next(iter(self._open)))
        # A descriptor of its own: those of the lanes are closed when others are opened.
        fd = open_direct(self._path_of(shard_id), os.O_RDONLY)
        try:
            source = CopySource(fd, bytes.fromhex(shard_id), self._step)
        except BaseException:
            os.close(fd)
            raise
        self._open[shard_id] = source
        return source.length_bytes

    def next(self, shard_id: str, slot: int, size: int) -> tuple[int, int]:
        """Put the next verified bytes into a slot; returns (file offset, length).

        Raises CorruptError when this replica is not what was written. At the end, or then, the
        file is closed.
        """
        source = self._open[shard_id]
        ended = True
        try:
            place = source.fill(self._slots[slot][:size])
            ended = source.ended
        finally:
            if ended:
                self.end(shard_id)
        return place

    def end(self, shard_id: str) -> None:
        """Read no more of a shard, if it is read."""
        source = self._open.pop(shard_id, None)
        if source is not None:
            source.close()
