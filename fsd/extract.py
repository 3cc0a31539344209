"""Extraction of records to files: it owns the verified way from a shard to the SSD.

Runs in a disk process. A segment is read in large windows, in offset order, by a second thread
that is one window ahead (see `read_ahead`); every record is checked against its header and its
block checksums before a byte of it is written, and a file that cannot be verified is reported,
never half-written.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from fsd.errors import CorruptError, FsdError, QuotaError
from fsd.read_ahead import Range, ReadAhead, Reads
from fsd.record import (
    BLOCK_BYTES,
    RECORD_HEADER_BYTES,
    SECTOR_BYTES,
    align,
    bad_block,
    payload_offset,
    record_bytes,
    unpack_record_header,
)
from fsd.shard_file import WINDOW_BYTES, Step, WindowReader

HOLE_BYTES_MAX = 1 << 20
FILE_MODE = 0o644
# Records that are read one by one, each perhaps after seconds of the disk's own retries.
FAILURES_STREAMED_MAX = 64
_Answer = TypeVar("_Answer")


class Item(NamedTuple):
    """One record to extract: header offset, payload length, key, files below the target."""

    offset: int
    length_bytes: int
    key: bytes
    paths: tuple[bytes, ...]


PlainItem = tuple[int, int, bytes, tuple[bytes, ...]]
"""An item as it travels between processes."""


class Failure(NamedTuple):
    """One item (by position) that this replica could not give, and why."""

    position: int
    reason: str


class _Window(NamedTuple):
    start: int
    end: int
    first: int
    last: int


def plan_windows(
    items: Sequence[Item],
    window_bytes: int = WINDOW_BYTES,
    *,
    hole_bytes_max: int = HOLE_BYTES_MAX,
) -> list[_Window]:
    """Group items, sorted by offset, into reads of at most `window_bytes`.

    Holes up to `hole_bytes_max` are read through: on this disk they cost less than a seek. A
    record larger than a window stands alone.
    """
    windows: list[_Window] = []
    for position, item in enumerate(items):
        start = item.offset // SECTOR_BYTES * SECTOR_BYTES
        end = align(item.offset + record_bytes(item.length_bytes))
        if windows:
            last = windows[-1]
            if start - last.end <= hole_bytes_max and end - last.start <= window_bytes:
                windows[-1] = _Window(last.start, max(end, last.end), last.first, position + 1)
                continue
        windows.append(_Window(start, end, position, position + 1))
    return windows


class Extractor:
    """What writes the files, and reads ahead of itself, for the life of a disk process."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._ahead = ReadAhead(step)

    def run(
        self,
        fd: int,
        shard_id: bytes,
        items: Sequence[Item],
        target: str,
        hole_bytes_max: int = HOLE_BYTES_MAX,
    ) -> tuple[int, int, list[Failure]]:
        """Extract all items below `target`; returns (files, bytes written, failures).

        Holes up to `hole_bytes_max` are read through.

        Raises QuotaError when the SSD is full and FsdError for other faults of the target;
        faults of this disk are failures of the items they hit.
        """
        windows = plan_windows(items, hole_bytes_max=hole_bytes_max)
        ranges = [one for window in windows for one in _ranges(window, items[window.first])]
        reads = Reads(self._ahead, fd, ranges)
        folder = guarded(os.open, target, os.O_RDONLY | os.O_DIRECTORY)
        segment = _Segment(fd, shard_id, folder, self._step, reads)
        try:
            for window in windows:
                if window.end - window.start <= WINDOW_BYTES:
                    segment.extract_window(window, items)
                else:
                    segment.extract_large(window, items)
                self._step()
        finally:
            reads.close()
            os.close(folder)
        return segment.files, segment.size_bytes, segment.failures


def _ranges(window: _Window, first: Item) -> list[Range]:
    """Return what is read of a window: all at once, or a large record in pieces."""
    if window.end - window.start <= WINDOW_BYTES:
        return [Range(window.start, window.end)]
    pieces = [(at, at + size) for at, size in _pieces(first.length_bytes)]
    payload = first.offset + payload_offset(first.length_bytes)
    ends = [align(payload + end) for _, end in pieces]
    starts = [window.start]
    starts += [(payload + begin) // SECTOR_BYTES * SECTOR_BYTES for begin, _ in pieces[1:]]
    return [Range(*span) for span in zip(starts, ends, strict=True)]


def _pieces(length_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (position in the payload, size) of a large record's pieces.

    The first one is read together with the header and the table.
    """
    first = (WINDOW_BYTES - payload_offset(length_bytes)) // BLOCK_BYTES * BLOCK_BYTES
    position, size = 0, max(BLOCK_BYTES, first)
    while position < length_bytes:
        yield position, min(size, length_bytes - position)
        position, size = position + size, WINDOW_BYTES


class _Segment:
    """The windows of one request, in turn, and what became of their items."""

    def __init__(self, fd: int, shard_id: bytes, folder: int, step: Step, reads: Reads) -> None:
        self._fd = fd
        self._shard_id = shard_id
        self._folder = folder
        self._step = step
        self._reads = reads
        self.files = 0
        self.size_bytes = 0
        self.failures: list[Failure] = []

    def extract_window(self, window: _Window, items: Sequence[Item]) -> None:
        """Write the records of a window that is read at once."""
        try:
            view = self._reads.next()
        except OSError:
            # A bad sector hides the records that lie in it, not their neighbours.
            view = None
        for position in range(window.first, window.last):
            item = items[position]
            if view is None:
                self._note(position, item, lambda item=item: self._one_by_one(item))
            else:
                self._note(position, item, lambda item=item: self._from(view, window, item))

    def extract_large(self, window: _Window, items: Sequence[Item]) -> None:
        """Write one record that is larger than a window, while its pieces are read."""
        position, item = window.first, items[window.first]
        if payload_offset(item.length_bytes) > WINDOW_BYTES - BLOCK_BYTES:
            self._reads.skip(len(_ranges(window, item)))
            self._note(position, item, lambda: self._stream(item, item.paths))
        else:
            self._note(position, item, lambda: self._in_pieces(window, item))

    def _note(self, position: int, item: Item, write: Callable[[], None]) -> None:
        try:
            write()
        except (OSError, CorruptError) as error:
            self.failures.append(Failure(position, str(error)))
            return
        # A window may be a thousand files: on a busy machine they are made in seconds.
        self._step()
        self.files += len(item.paths)
        self.size_bytes += item.length_bytes * len(item.paths)

    def _from(self, view: memoryview, window: _Window, item: Item) -> None:
        payload = check_record(view, item.offset - window.start, self._shard_id, item)
        for path in item.paths:
            _write_file(self._folder, path, (payload,))

    def _one_by_one(self, item: Item) -> None:
        if len(self.failures) >= FAILURES_STREAMED_MAX:
            raise CorruptError("the disk fails in too many places of this segment")
        self._stream(item, item.paths)

    def _stream(self, item: Item, paths: Sequence[bytes]) -> None:
        for path in paths:
            reader = WindowReader(self._fd, self._step, WINDOW_BYTES + 2 * SECTOR_BYTES)
            _write_file(self._folder, path, read_payload(reader, self._shard_id, item))

    def _in_pieces(self, window: _Window, item: Item) -> None:
        left = len(_ranges(window, item))

        def pieces() -> Iterator[memoryview]:
            nonlocal left
            table = memoryview(b"")
            for position, size in _pieces(item.length_bytes):
                left -= 1
                view = self._reads.next()
                start = window.start if position == 0 else -1
                if start >= 0:
                    table = check_head(view, item.offset - start, self._shard_id, item)
                begin = item.offset + payload_offset(item.length_bytes) + position
                begin = begin - start if start >= 0 else begin % SECTOR_BYTES
                piece = view[begin : begin + size]
                if len(piece) != size:
                    raise CorruptError("the record is cut off", f"offset {item.offset}")
                if (bad := bad_block(piece, table, position // BLOCK_BYTES)) >= 0:
                    raise CorruptError(f"block {bad} fails its checksum", f"offset {item.offset}")
                yield piece

        try:
            _write_file(self._folder, item.paths[0], pieces())
        finally:
            self._reads.skip(left)
        # The same content under more names is rare, and read once more for each.
        self._stream(item, item.paths[1:])


def check_head(view: memoryview, begin: int, shard_id: bytes, item: Item) -> memoryview:
    """Return a copy of the block checksums of the record at `begin`; CorruptError if another's."""
    header = unpack_record_header(view, begin)
    same = header.shard_id == shard_id and header.key == item.key
    if not same or header.length_bytes != item.length_bytes:
        raise CorruptError("another record lies where the index says", f"offset {item.offset}")
    table = view[begin + RECORD_HEADER_BYTES : begin + payload_offset(item.length_bytes)]
    return memoryview(bytes(table))


def check_record(view: memoryview, begin: int, shard_id: bytes, item: Item) -> memoryview:
    """Return the verified payload of the record at `begin`; CorruptError says what is wrong."""
    table = check_head(view, begin, shard_id, item)
    start = begin + payload_offset(item.length_bytes)
    payload = view[start : start + item.length_bytes]
    if len(payload) != item.length_bytes:
        raise CorruptError("the record is cut off", f"offset {item.offset}")
    if (bad := bad_block(payload, table)) >= 0:
        raise CorruptError(f"block {bad} fails its checksum", f"offset {item.offset}")
    return payload


def read_payload(
    reader: WindowReader, shard_id: bytes, item: Item, piece_bytes: int = WINDOW_BYTES
) -> Iterator[memoryview]:
    """Yield a large record's payload in verified pieces, each valid till the reader's next read.

    `piece_bytes` is a multiple of 64 KiB. Raises CorruptError or OSError at the first piece that
    this replica cannot give.
    """
    head = payload_offset(item.length_bytes)
    table = check_head(reader.read(item.offset, head), 0, shard_id, item)
    for position in range(0, item.length_bytes, piece_bytes):
        size = min(piece_bytes, item.length_bytes - position)
        piece = reader.read(item.offset + head + position, size)
        if (bad := bad_block(piece, table, position // BLOCK_BYTES)) >= 0:
            raise CorruptError(f"block {bad} fails its checksum", f"offset {item.offset}")
        yield piece


def _write_file(
    folder: int, path: bytes, pieces: Sequence[memoryview] | Iterator[memoryview]
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    target = guarded(os.open, path, flags, FILE_MODE, dir_fd=folder)
    try:
        for piece in pieces:
            done = 0
            while done < len(piece):
                done += guarded(os.write, target, piece[done:] if done else piece)
    except BaseException:
        # Whatever stopped it, a part of a file must not be taken for the file.
        with contextlib.suppress(OSError):
            os.unlink(path, dir_fd=folder)
        raise
    finally:
        os.close(target)


def guarded(call: Callable[..., _Answer], *arguments: Any, **keywords: Any) -> _Answer:
    """Run a system call on the SSD: its faults are the job's, not this disk's."""
    try:
        return call(*arguments, **keywords)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise QuotaError(
                f"the SSD is full: {error.strerror}; free space in its areas"
            ) from error
        raise FsdError(f"the SSD cannot be written: {error}") from error
