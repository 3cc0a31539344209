"""Shard files that grow on one disk: it owns their descriptors and that what is written is proven.

Whatever is written is synced and read back before it counts. A group comes with all that belongs
to it (the file itself and its header before the first one, the footer behind the last one), and
groups that wait at the same moment go together: the head goes to each place, to the filesystem's
journal once for all of them, and back to each place to read.
"""

import ctypes
import mmap
import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from base.files import sync_folder
from fsd.disk_io.shard_file import (
    FALLOCATE_KEEP_SIZE,
    WINDOW_BYTES,
    Step,
    check_written,
    large_pages,
    one_turn,
    open_direct,
    write_full,
)
from fsd.format.record import SECTOR_BYTES

_libc = ctypes.CDLL(None, use_errno=True)


class Group(NamedTuple):
    """A group on its way to a disk: bytes for a place of a file, and what belongs to them.

    A `head` makes the file first, with room for `size_bytes`; after the `last` group it is cut.
    """

    path: str
    head: bytes
    size_bytes: int
    view: memoryview
    offset: int
    last: bool = False
    read_back: bool = True


class GrowingShards:
    """The files by path; used by the lane that writes."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._scratch = memoryview(large_pages(WINDOW_BYTES))
        self._open: dict[str, int] = {}
        self._last = "", 0
        self.written_s = float("-inf")
        """When something was last read back, by the clock of `time.monotonic`."""

    def descriptor(self, path: str) -> int:
        """Return the descriptor of a file that grows, opened when it is not open yet."""
        if path not in self._open:
            self._open[path] = open_direct(path, os.O_RDWR)
        return self._open[path]

    def write(self, groups: Sequence[Group]) -> list[Exception | None]:
        """Append groups, sync them together, and read them back in one sweep.

        Where the answer is None the group is durable, and compared with what the disk holds if it
        is to be read back. An OSError or a CorruptError there means that its file is not to be
        written any more; the other groups are none the worse for it.
        """
        errors: list[Exception | None] = [None] * len(groups)
        _each(groups, errors, self._append)
        with one_turn(self._step):
            # One turn for all: an export on this disk would else take the head away from the
            # journal, and from what is read back, each time.
            self._sync(groups, errors)
        _each(groups, errors, self._compare)
        # A close may fail as well: some filesystems write only then.
        _each(groups, errors, self._close_last)
        return errors

    def _append(self, group: Group) -> None:
        with one_turn(self._step):
            fd = (
                self._make(group.path, group.size_bytes)
                if group.head
                else self.descriptor(group.path)
            )
        write_full(fd, _direct(group.head), 0, self._step)
        write_full(fd, group.view, group.offset, self._step)
        if group.last:
            os.ftruncate(fd, group.offset + len(group.view))  # Frees what was preallocated behind.

    def _sync(self, groups: Sequence[Group], errors: list[Exception | None]) -> None:
        """Make files durable, each once: what failed must not be tried again on the same file."""
        # Barrier: a crash before this leaves files whose groups may be torn, with or without their
        # heads, and with footers that nobody may believe before the groups are read; or no files.
        # The first sync writes the journal for all of them.
        synced: dict[str, Exception | None] = {}
        for number, group in enumerate(groups):
            if errors[number] is not None:
                continue
            if group.path not in synced:
                synced[group.path] = None
                try:
                    os.fsync(self.descriptor(group.path))
                    self._step()
                    if any(one.head for one in groups if one.path == group.path):
                        _sync_folders(group.path)
                except Exception as error:
                    synced[group.path] = error
            errors[number] = synced[group.path]

    def _compare(self, group: Group) -> None:
        if group.read_back:
            fd = self.descriptor(group.path)
            check_written(fd, _direct(group.head), 0, self._scratch, self._step)
            check_written(fd, group.view, group.offset, self._scratch, self._step)
            end = group.offset + len(group.view)
            self._last, self.written_s = (group.path, end - SECTOR_BYTES), time.monotonic()

    def gives_last(self) -> bool:
        """Return whether the disk gives the sector that was read back last, where its head is.

        For any thread.
        """
        path, offset = self._last
        try:
            fd = open_direct(path, os.O_RDONLY)
        except OSError:
            return False  # Moved or removed since.
        try:
            with mmap.mmap(-1, SECTOR_BYTES) as sector:
                return os.preadv(fd, [sector], offset) == SECTOR_BYTES
        except OSError:
            return False
        finally:
            os.close(fd)

    def _close_last(self, group: Group) -> None:
        if group.last:
            self.forget(group.path)

    def forget(self, path: str) -> None:
        """Close a file, if it is open."""
        fd = self._open.pop(path, -1)
        if fd >= 0:
            os.close(fd)

    def _make(self, path: str, size: int) -> int:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = open_direct(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self._open[path] = fd
        # Preallocation keeps the file contiguous; the visible size stays the truth. Filesystems
        # without it (or without the room) still take the appends.
        _libc.fallocate(fd, FALLOCATE_KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size))
        return fd


def _each(
    groups: Sequence[Group], errors: list[Exception | None], work: Callable[[Group], None]
) -> None:
    """Work at each group that has not failed, and note those that do."""
    for number, group in enumerate(groups):
        if errors[number] is None:
            try:
                work(group)
            except Exception as error:
                errors[number] = error


def _direct(data: bytes) -> memoryview:
    """Return the bytes in memory that O_DIRECT takes."""
    if not data:
        return memoryview(b"")
    view = memoryview(mmap.mmap(-1, len(data)))
    view[:] = data
    return view


def _sync_folders(path: str) -> None:
    """Make a new file's entry durable, and its folder's, which may be as new."""
    folder = os.path.dirname(path)
    # Barrier: without this a power cut may lose the whole file with its groups.
    sync_folder(folder)
    sync_folder(os.path.dirname(folder))
