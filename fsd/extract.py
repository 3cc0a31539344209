"""Extraction of records to files: it owns the verified way from a shard to the SSD.

Runs in a disk process. A segment is read in large windows, in offset order, while a second thread
reads the next window; every record is checked against its header and its block checksums before
a byte of it is written, and a file that cannot be verified is reported, never half-written.
"""

import contextlib
import errno
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from fsd.errors import CorruptError, FsdError, QuotaError
from fsd.record import (
    BLOCK_BYTES,
    RECORD_HEADER_BYTES,
    SECTOR_BYTES,
    align,
    bad_block,
    block_count,
    payload_offset,
    record_bytes,
    unpack_record_header,
)
from fsd.shard_file import WINDOW_BYTES, Step, WindowReader, read_full

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


class Failure(NamedTuple):
    """One item (by position) that this replica could not give, and why."""

    position: int
    reason: str


class _Window(NamedTuple):
    start: int
    end: int
    first: int
    last: int


def plan_windows(items: Sequence[Item], window_bytes: int = WINDOW_BYTES) -> list[_Window]:
    """Group items, sorted by offset, into reads of at most `window_bytes`.

    Holes up to 1 MiB are read through: on a disk they cost less than a seek. A record larger
    than a window stands alone.
    """
    windows: list[_Window] = []
    for position, item in enumerate(items):
        start = item.offset // SECTOR_BYTES * SECTOR_BYTES
        end = align(item.offset + record_bytes(item.length_bytes))
        if windows:
            last = windows[-1]
            if start - last.end <= HOLE_BYTES_MAX and end - last.start <= window_bytes:
                windows[-1] = _Window(last.start, max(end, last.end), last.first, position + 1)
                continue
        windows.append(_Window(start, end, position, position + 1))
    return windows


class Extractor:
    """Keeps two windows and one reading thread for the life of a disk process."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._buffers = [memoryview(mmap.mmap(-1, WINDOW_BYTES)) for _ in range(2)]
        self._thread = ThreadPoolExecutor(1, "window")

    def run(
        self, fd: int, shard_id: bytes, items: Sequence[Item], target: str
    ) -> tuple[int, int, list[Failure]]:
        """Extract all items below `target`; returns (files, bytes written, failures).

        Raises QuotaError when the SSD is full and FsdError for other faults of the target;
        faults of this disk are failures of the items they hit.
        """
        folder = _guarded(os.open, target, os.O_RDONLY | os.O_DIRECTORY)
        files, size, failures = 0, 0, []
        try:
            for window, view in self._windows(fd, plan_windows(items)):
                for position in range(window.first, window.last):
                    item = items[position]
                    try:
                        if view is None and len(failures) >= FAILURES_STREAMED_MAX:
                            raise CorruptError("the disk fails in too many places of this segment")
                        if view is None:
                            _stream(fd, shard_id, item, folder, self._step)
                        else:
                            _write_item(view, window.start, shard_id, item, folder)
                    except (OSError, CorruptError) as error:
                        failures.append(Failure(position, str(error)))
                        continue
                    files += len(item.paths)
                    size += item.length_bytes * len(item.paths)
                self._step()
        finally:
            os.close(folder)
        return files, size, failures

    def _windows(
        self, fd: int, windows: list[_Window]
    ) -> Iterator[tuple[_Window, memoryview | None]]:
        """Yield the windows with their bytes; None where the records must be read one by one."""

        def read(number: int) -> memoryview:
            window = windows[number]
            view = self._buffers[number % 2][: window.end - window.start]
            count = read_full(fd, view, window.start, self._step)
            return view[:count]

        futures = {}
        for number, window in enumerate(windows):
            for ahead in (number, number + 1):
                fits = ahead < len(windows) and (
                    windows[ahead].end - windows[ahead].start <= WINDOW_BYTES
                )
                if fits and ahead not in futures:
                    futures[ahead] = self._thread.submit(read, ahead)
            future = futures.pop(number, None)
            try:
                view = None if future is None else future.result()
            except OSError:
                # A bad sector hides the records that lie in it, not their neighbours.
                view = None
            yield window, view


def check_record(view: memoryview, begin: int, shard_id: bytes, item: Item) -> memoryview:
    """Return the verified payload of the record at `begin`; CorruptError says what is wrong."""
    header = unpack_record_header(view, begin)
    same = header.shard_id == shard_id and header.key == item.key
    if not same or header.length_bytes != item.length_bytes:
        raise CorruptError("another record lies where the index says", f"offset {item.offset}")
    table = view[begin + RECORD_HEADER_BYTES : begin + payload_offset(item.length_bytes)]
    start = begin + payload_offset(item.length_bytes)
    payload = view[start : start + item.length_bytes]
    if len(payload) != item.length_bytes:
        raise CorruptError("the record is cut off", f"offset {item.offset}")
    if (bad := bad_block(payload, table)) >= 0:
        raise CorruptError(f"block {bad} fails its checksum", f"offset {item.offset}")
    return payload


def _write_item(
    view: memoryview, window_start: int, shard_id: bytes, item: Item, folder: int
) -> None:
    payload = check_record(view, item.offset - window_start, shard_id, item)
    for path in item.paths:
        _write_file(folder, path, (payload,))


def _stream(fd: int, shard_id: bytes, item: Item, folder: int, step: Step) -> None:
    for path in item.paths:
        _write_file(folder, path, read_payload(fd, shard_id, item, step))


def read_payload(fd: int, shard_id: bytes, item: Item, step: Step) -> Iterator[memoryview]:
    """Yield a large record's payload in verified pieces of up to 8 MiB, each valid till the next.

    Raises CorruptError or OSError at the first piece that this replica cannot give.
    """
    reader = WindowReader(fd, step, WINDOW_BYTES + 2 * SECTOR_BYTES)
    head = payload_offset(item.length_bytes)
    start = bytes(reader.read(item.offset, head))
    header = unpack_record_header(start)
    if (header.shard_id, header.key, header.length_bytes) != (
        shard_id,
        item.key,
        item.length_bytes,
    ):
        raise CorruptError("another record lies where the index says", f"offset {item.offset}")
    table = start[RECORD_HEADER_BYTES:]
    assert len(table) == 8 * block_count(item.length_bytes)
    for position in range(0, item.length_bytes, WINDOW_BYTES):
        size = min(WINDOW_BYTES, item.length_bytes - position)
        piece = reader.read(item.offset + head + position, size)
        if (bad := bad_block(piece, table, position // BLOCK_BYTES)) >= 0:
            raise CorruptError(f"block {bad} fails its checksum", f"offset {item.offset}")
        yield piece


def _write_file(
    folder: int, path: bytes, pieces: Sequence[memoryview] | Iterator[memoryview]
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    target = _guarded(os.open, path, flags, FILE_MODE, dir_fd=folder)
    try:
        for piece in pieces:
            done = 0
            while done < len(piece):
                done += _guarded(os.write, target, piece[done:] if done else piece)
    except BaseException:
        # Whatever stopped it, a part of a file must not be taken for the file.
        with contextlib.suppress(OSError):
            os.unlink(path, dir_fd=folder)
        raise
    finally:
        os.close(target)


def _guarded(call: Callable[..., _Answer], *arguments: Any, **keywords: Any) -> _Answer:
    """Run a system call on the SSD: its faults are the job's, not this disk's."""
    try:
        return call(*arguments, **keywords)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise QuotaError(
                f"the SSD is full: {error.strerror}; free space in its areas"
            ) from error
        raise FsdError(f"the SSD cannot be written: {error}") from error
