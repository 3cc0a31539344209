"""Extraction of records to files: it owns the verified way from a shard to the SSD.

Runs in a disk process. A segment is read in large windows, in offset order, by a second thread
that is two windows ahead (see `read_ahead`); every record is checked against its header and its
block checksums before a byte of it is written, and a file that cannot be verified is reported,
never half-written.

What has not been begun can be taken back (see `extract_requests`).
"""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from fsd.disk_io.extract.extract_windows import Item, Window, pieces_of, ranges_of
from fsd.disk_io.reading.read_ahead import BUFFERS, Reads
from fsd.disk_io.shard_file import WINDOW_BYTES, Step, WindowReader
from fsd.format.errors import CorruptError, FsdError, QuotaError
from fsd.format.record import (
    BLOCK_BYTES,
    RECORD_HEADER_BYTES,
    SECTOR_BYTES,
    bad_block,
    payload_offset,
    unpack_record_header,
)

FILE_MODE = 0o644
# Records that are read one by one, each perhaps after seconds of the disk's own retries.
FAILURES_STREAMED_MAX = 64
_Answer = TypeVar("_Answer")


PlainItem = tuple[int, int, bytes, tuple[bytes, ...]]
"""An item as it travels between processes."""


class Failure(NamedTuple):
    """One item (by position) that this replica could not give, and why."""

    position: int
    reason: str


class Kept(NamedTuple):
    """What a request keeps when the rest is taken back: items [:end], and what became of them.

    When it is `whole` nothing more will be written for it; otherwise its own answer tells.
    """

    end: int
    whole: bool
    files: int
    size_bytes: int
    failures: list[Failure]


class Segment:
    """The windows of one request, in turn, and what became of their items."""

    def __init__(
        self,
        fd: int,
        shard_id: bytes,
        folder: int,
        step: Step,
        reads: Reads,
        windows: Sequence[Window],
    ) -> None:
        self._fd = fd
        self._shard_id = shard_id
        self._folder = folder
        self._step = step
        self._reads = reads
        self._windows = windows
        self.limit = windows[-1].last if windows else 0
        # Guards the fields that the lane which extracts and the one that takes back both change.
        # After `Extractor._lock`; innermost.
        self._lock = threading.Lock()
        self._end = 0
        self._writing = False
        self.stopped = False
        self.files = 0
        self.size_bytes = 0
        self.failures: list[Failure] = []

    def stop(self) -> Kept:
        """Begin no other window; returns what is done."""
        with self._lock:
            self.stopped = True
            return self.kept()

    def halve(self) -> Kept | None:
        """Begin only the first half of the windows that are left; None when they are too few.

        Two of them may be read already. Of what is kept it is known that it will be done.
        """
        with self._lock:
            left = [window for window in self._windows if self._end <= window.first < self.limit]
            if self.stopped or len(left) < BUFFERS:
                return None
            rest = left[max(BUFFERS - 1, len(left) // 2)]
            self.limit = rest.first
            self._reads.end_before(rest.start)
            return Kept(self.limit, False, 0, 0, [])

    def kept(self) -> Kept:
        """Return what has been begun, and what became of it."""
        failures = list(self.failures)
        return Kept(self._end, not self._writing, self.files, self.size_bytes, failures)

    @contextlib.contextmanager
    def _begun(self, end: int) -> Generator[bool]:
        """Within, the items before `end` are written; False when they must not be."""
        with self._lock:
            if not self.stopped and end <= self.limit:
                self._end, self._writing = end, True
        try:
            yield self._writing
        finally:
            with self._lock:
                self._writing = False

    def extract_window(self, window: Window, items: Sequence[Item]) -> None:
        """Write the records of a window that is read at once."""
        try:
            view = self._reads.next()
        except OSError:
            # A bad sector hides the records that lie in it, not their neighbours.
            view = None
        with self._begun(window.last) as begun:
            if begun:
                self._extract_read(view, window, items)

    def _extract_read(self, view: memoryview | None, window: Window, items: Sequence[Item]) -> None:
        for position in range(window.first, window.last):
            item = items[position]
            if view is None:
                self._note(position, item, lambda item=item: self._one_by_one(item))
            else:
                self._note(position, item, lambda item=item: self._from(view, window, item))

    def extract_large(self, window: Window, items: Sequence[Item]) -> None:
        """Write one record that is larger than a window, while its pieces are read."""
        position, item = window.first, items[window.first]
        with self._begun(position + 1) as begun:
            if not begun:
                return
            if payload_offset(item.length_bytes) > WINDOW_BYTES - BLOCK_BYTES:
                self._reads.skip(len(ranges_of(window, item)))
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

    def _from(self, view: memoryview, window: Window, item: Item) -> None:
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

    def _in_pieces(self, window: Window, item: Item) -> None:
        left = len(ranges_of(window, item))

        def pieces() -> Iterator[memoryview]:
            nonlocal left
            table = memoryview(b"")
            for position, size in pieces_of(item.length_bytes):
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
