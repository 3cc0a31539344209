"""Open files of the mount: it owns their buffers and read-ahead, never the choice of a replica.

A small object is fetched whole when it is opened, so that the disk works while the kernel turns
from OPEN to READ. A large one is read in windows of 1 to 8 MiB, one ahead of a sequential reader.
Data handed out may be a view of a slot: the caller replies before its next await.
"""

import errno
import os
from dataclasses import dataclass
from typing import Protocol

import pyfuse3

from fsd.format import record
from fsd.mount.heal import Healer
from fsd.mount.index import MountIndex
from fsd.mount.reading.fetch import Fetch, Fetcher
from fsd.mount.reading.protocol import SMALL_PAYLOAD_BYTES_MAX, WINDOW_BYTES_MAX

WINDOW_BYTES_MIN = 1 << 20
WINDOWS_PER_FILE = 3
# With more large files open their windows stay small: 8 MiB slots are few (see child).
LARGE_FILES_AT_FULL_WINDOW = 3

_TRIES_MAX = 4


class OpenFile(Protocol):
    """What the mount needs of an open file."""

    async def read(self, offset: int, size: int) -> bytes | memoryview:
        """Return the bytes of [offset, offset + size), fewer only at the end of the file."""
        ...

    def close(self) -> None:
        """Free what the file holds."""
        ...


class BytesFile:
    """A file whose content is in memory: inline text, `_JOB.json`, `_SEALED`, an empty object."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, offset: int, size: int) -> bytes:
        """See OpenFile."""
        return self.data[offset : offset + size]

    def close(self) -> None:
        """See OpenFile."""


class StatusFile:
    """A file of the status folder on the SSD, as it was when it was opened."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    async def read(self, offset: int, size: int) -> bytes:
        """See OpenFile."""
        return os.pread(self.descriptor, size, offset)

    def close(self) -> None:
        """See OpenFile."""
        os.close(self.descriptor)


@dataclass(slots=True)
class Source:
    """Where open objects get their bytes; `large_files` counts the open large ones."""

    fetcher: Fetcher
    index: MountIndex
    healer: Healer
    large_files: int = 0

    def knows(self, key: bytes, length_bytes: int) -> bool:
        """Return whether the index has a place of an object, of the length that is shown."""
        place = self.index.place(key)
        return place is not None and place.length_bytes == length_bytes

    def begin(self, key: bytes, length_bytes: int, first_block: int, block_count: int) -> Fetch:
        """Begin to fetch blocks of an object; FUSEError EIO when the index does not know it.

        So it is when its length is another than that of the open file: a part must not be taken
        for the whole.
        """
        place = self.index.place(key)
        if place is None or place.length_bytes != length_bytes:
            self.fetcher.counters["objects_unknown"] += 1
            raise pyfuse3.FUSEError(errno.EIO)
        return self.fetcher.fetch(place, first_block, block_count)

    async def settle(self, fetch: Fetch) -> Fetch:
        """Wait for a fetch; return it, or another of the same blocks, with its data there.

        When all replicas failed, the object's place is looked up once more: it may have moved by
        compaction, rebuild or a new index generation. Then the engine is asked whether the place is
        a wrong one. FUSEError EIO when that fails too.
        """
        failures = 0
        for _ in range(_TRIES_MAX):
            await fetch.wait()
            if fetch.data is not None:
                if fetch.error_number in (errno.EIO, errno.EBADMSG):
                    # Another replica gave it: the engine learns which one did not.
                    self.fetcher.start_soon(self.healer.tell, fetch.place.key)
                return fetch
            failures += fetch.failed
            if failures > 1 and not await self.healer.heal(fetch.place.key):
                break
            # Failed, or its slot was given away before its reader ran.
            self.index.refresh(force=fetch.failed)
            place = fetch.place
            fetch = self.begin(place.key, place.length_bytes, fetch.first_block, fetch.block_count)
        fetch.close()
        self.fetcher.counters["reads_failed"] += 1
        raise pyfuse3.FUSEError(errno.EIO)


class SmallFile:
    """An object of at most 1 MiB; its bytes are dropped once they were read to the end."""

    def __init__(self, source: Source, key: bytes, length_bytes: int) -> None:
        self.source = source
        self.key = key
        self.length_bytes = length_bytes
        self.fetch: Fetch | None = self._begin()

    def _begin(self) -> Fetch:
        blocks = record.block_count(self.length_bytes)
        return self.source.begin(self.key, self.length_bytes, 0, blocks)

    async def read(self, offset: int, size: int) -> bytes | memoryview:
        """See OpenFile."""
        fetch = self.fetch or self._begin()
        if fetch.data is None:
            fetch = await self.source.settle(fetch)
        self.fetch = fetch
        data = fetch.data
        assert data is not None
        if offset + size >= self.length_bytes:
            # The kernel's page cache has it now (keep_cache); whoever asks again fetches again.
            self.close()
        return data[offset : offset + size]

    def close(self) -> None:
        """See OpenFile."""
        if self.fetch is not None:
            self.fetch.close()
            self.fetch = None


@dataclass(slots=True, eq=False)
class _Window:
    first_block: int
    end_block: int
    fetch: Fetch


class LargeFile:
    """An object of more than 1 MiB: windows while it is read in order, single blocks otherwise."""

    def __init__(self, source: Source, key: bytes, length_bytes: int) -> None:
        self.source = source
        self.key = key
        self.length_bytes = length_bytes
        self.blocks_total = record.block_count(length_bytes)
        self.windows: list[_Window] = []
        self.next_block = 0
        self.window_bytes = WINDOW_BYTES_MIN
        source.large_files += 1

    async def read(self, offset: int, size: int) -> bytes | memoryview:
        """See OpenFile."""
        end = min(offset + size, self.length_bytes)
        parts: list[bytes | memoryview] = []
        while offset < end:
            piece = await self._piece(offset, end)
            offset += len(piece)
            if offset >= end and not parts:
                return piece
            # Copied before the next await, which may give the window's slot away.
            parts.append(bytes(piece))
        return b"".join(parts)

    async def _piece(self, offset: int, end: int) -> bytes | memoryview:
        block = offset // record.BLOCK_BYTES
        window = self._find(block)
        if window is None and block == self.next_block:
            window = self._extend()
        if window is None:
            return await self._random(offset, end)
        if window.end_block == self.next_block < self.blocks_total:
            self._extend()
        if window.fetch.data is None:
            window.fetch = await self.source.settle(window.fetch)
        return _cut(window.fetch, offset, end)

    def _find(self, block: int) -> _Window | None:
        for window in reversed(self.windows):
            if window.first_block <= block < window.end_block:
                return window
        return None

    def _extend(self) -> _Window:
        """Begin the window that follows the last one, twice as long as that was."""
        first = self.next_block
        end = min(self.blocks_total, first + self.window_bytes // record.BLOCK_BYTES)
        fetch = self.source.begin(self.key, self.length_bytes, first, end - first)
        window = _Window(first, end, fetch)
        self.windows.append(window)
        while len(self.windows) > WINDOWS_PER_FILE:
            self.windows.pop(0).fetch.close()
        self.next_block = end
        crowded = self.source.large_files > LARGE_FILES_AT_FULL_WINDOW
        self.window_bytes = min(
            self.window_bytes * 2, SMALL_PAYLOAD_BYTES_MAX if crowded else WINDOW_BYTES_MAX
        )
        return window

    async def _random(self, offset: int, end: int) -> bytes:
        """Read only the blocks that are needed; a reader that goes on from here is sequential."""
        first = offset // record.BLOCK_BYTES
        last = min(record.align(end, record.BLOCK_BYTES) // record.BLOCK_BYTES, self.blocks_total)
        last = min(last, first + WINDOW_BYTES_MAX // record.BLOCK_BYTES)
        self.next_block, self.window_bytes = last, WINDOW_BYTES_MIN
        begun = self.source.begin(self.key, self.length_bytes, first, last - first)
        fetch = await self.source.settle(begun)
        piece = bytes(_cut(fetch, offset, end))
        fetch.close()
        return piece

    def close(self) -> None:
        """See OpenFile."""
        self.source.large_files -= 1
        for window in self.windows:
            window.fetch.close()
        self.windows.clear()


def _cut(fetch: Fetch, offset: int, end: int) -> bytes | memoryview:
    assert fetch.data is not None
    start = fetch.first_block * record.BLOCK_BYTES
    return fetch.data[offset - start : end - start]


def open_object(source: Source, key: bytes, length_bytes: int) -> OpenFile:
    """Open an object; the bytes of a small one are already on their way."""
    if length_bytes == 0:
        return BytesFile(b"")
    if length_bytes <= SMALL_PAYLOAD_BYTES_MAX:
        return SmallFile(source, key, length_bytes)
    return LargeFile(source, key, length_bytes)
