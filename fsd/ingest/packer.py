"""The packer process: it owns reading source files and packing them into commit groups.

A packer reads a chunk of files into memory, hashing them; the engine answers which of them it
wants (it knows what is stored or on its way already); the packer then lays the wanted ones into
the current group, a shared slot that the disk processes write out. Files larger than a group are
hashed in a first pass and streamed in a second one into a group, and a shard, of their own.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from fsd.format.errors import FsdError
from fsd.format.group import GroupWriter, LargeGroup
from fsd.format.record import RECORD_BATCH_PART, block_checksums, pack_entry
from fsd.process.child import ChildServer, Lane, start_child

LANES = {
    "read_chunk": 0,
    "begin_group": 0,
    "pack": 0,
    "finish_group": 0,
    "begin_large": 0,
    "fill_large": 0,
    "finish_large": 0,
}
PIECE_BYTES = 4 << 20
# A link would lead out of the folder (links were resolved before); a FIFO would block for ever.
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
CHANGED = "the file changed while it was read; put it again when it is quiet"


class FileRead(NamedTuple):
    """What became of reading one file: its key and size, or why it could not be read."""

    key: bytes
    size_bytes: int
    large: bool
    reason: str


class _ChangedError(Exception):
    pass


class Packer:
    """The packer's operations; one group at a time."""

    def __init__(self, server: ChildServer, slots: list[memoryview]) -> None:
        self._slots = slots
        self._lane: Lane = server.lanes[0]
        self._chunk: list[bytes] = []
        self._group: GroupWriter | None = None
        self._large: tuple[LargeGroup, int, tuple[int, int, int]] | None = None

    def read_chunk(self, paths: list[bytes], large_bytes: int) -> list[FileRead]:
        """Read and hash files; their bytes stay here until the next chunk.

        Files above `large_bytes` are hashed only. A file that changes while it is read is read
        once more and then reported.
        """
        self._chunk = []
        answers: list[FileRead] = []
        for path in paths:
            data, answer = self._read_file(path, large_bytes)
            self._chunk.append(data)
            answers.append(answer)
            self._lane.step()
        return answers

    def begin_group(
        self, slot: int, capacity: int, shard_id: bytes, number: int, sequence: int
    ) -> None:
        """Start a group in a slot."""
        self._group = GroupWriter(self._slots[slot], capacity, shard_id, number, sequence)

    def pack(self, wanted: list[tuple[int, bytes]]) -> list[int]:
        """Lay files of the chunk (position, key) into the group; returns their offsets.

        Stops at the first that does not fit: fewer offsets than asked means a full group.
        """
        group = self._current()
        offsets: list[int] = []
        for position, key in wanted:
            offset = group.add(key, self._chunk[position])
            if offset < 0:
                break
            offsets.append(offset)
        return offsets

    def finish_group(self, part: bytes) -> tuple[int, bytes, bytes]:
        """Close the group with the batch part (if any) as its last record.

        Returns (group length, digest, packed entries with offsets from the group's start).
        """
        group, self._group = self._current(), None
        group.open_reserve()
        if part and group.add(hashlib.sha256(part).digest(), part, RECORD_BATCH_PART) < 0:
            raise FsdError("the batch part does not fit its group")
        length, digest = group.close()
        return length, digest, group.entries()

    def begin_large(self, path: bytes, key: bytes, size_bytes: int, shard_id: bytes) -> int:
        """Open a large file for streaming; returns the length of the group it will fill."""
        if self._large is not None:
            os.close(self._large[1])  # The one before was given up.
            self._large = None
        fd = os.open(path, _READ_FLAGS)
        before = _version(os.fstat(fd))
        checksums = b"".join(block_checksums(piece) for piece in self._pieces(fd))
        os.lseek(fd, 0, os.SEEK_SET)

        def read_into(view: memoryview) -> int:
            self._lane.step()
            return os.readv(fd, [view[:PIECE_BYTES]])

        group = LargeGroup(read_into, key, size_bytes, checksums, shard_id)
        self._large = group, fd, before
        if before[0] != size_bytes:
            raise FsdError(CHANGED)
        return group.length_bytes

    def fill_large(self, slot: int, length: int) -> int:
        """Put the next bytes of the large group into a slot; returns how many, 0 at the end."""
        assert self._large is not None
        try:
            return self._large[0].fill(self._slots[slot][:length])
        except ValueError:
            raise FsdError(CHANGED) from None

    def finish_large(self) -> tuple[bytes, bytes]:
        """Close the large file; returns (digest, packed entry). A changed file is refused."""
        assert self._large is not None
        group, fd, before = self._large
        self._large = None
        after = _version(os.fstat(fd))
        os.close(fd)
        if before != after or not group.digest:
            raise FsdError(CHANGED)
        return group.digest, pack_entry(group.entry)

    def _current(self) -> GroupWriter:
        if self._group is None:
            raise FsdError("no group is open")
        return self._group

    def _read_file(self, path: bytes, large_bytes: int) -> tuple[bytes, FileRead]:
        for _ in range(2):
            try:
                return self._read_once(path, large_bytes)
            except _ChangedError:
                continue
            except OSError as error:
                return b"", FileRead(b"", 0, False, error.strerror or str(error))
        return b"", FileRead(b"", 0, False, CHANGED)

    def _read_once(self, path: bytes, large_bytes: int) -> tuple[bytes, FileRead]:
        fd = os.open(path, _READ_FLAGS)
        try:
            before = os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                return b"", FileRead(b"", 0, False, "not a regular file any more")
            large = before.st_size > large_bytes
            if large:
                data, key, size = b"", *self._hash_large(fd)
            else:
                data = _read_whole(fd, before.st_size)
                key, size = hashlib.sha256(data).digest(), len(data)
            if size != before.st_size or _version(os.fstat(fd)) != _version(before):
                raise _ChangedError
            return data, FileRead(key, size, large, "")
        finally:
            os.close(fd)

    def _hash_large(self, fd: int) -> tuple[bytes, int]:
        state, size = hashlib.sha256(), 0
        for piece in self._pieces(fd):
            state.update(piece)
            size += len(piece)
        return state.digest(), size

    def _pieces(self, fd: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(PIECE_BYTES))
        while True:
            done = 0
            # Pieces are whole multiples of the block, except the last one.
            while done < PIECE_BYTES and (count := os.readv(fd, [buffer[done:]])):
                done += count
            self._lane.step()
            if done == 0:
                return
            yield buffer[:done]


def _version(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _read_whole(fd: int, size: int) -> bytes:
    # One byte more than the size: a file that grew shows, and an unchanged one costs one read.
    data = os.read(fd, size + 1)
    while len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            break
        data += more
    return data


def main(fds: list[int]) -> None:
    """Serve until the engine goes away, see `start_child`."""
    server, slots = start_child(1, fds)
    packer = Packer(server, slots)
    server.serve({name: (lane, getattr(packer, name)) for name, lane in LANES.items()})
