"""Shard files that grow on one disk: it owns their descriptors and that what is written is proven.

Whatever is written is synced and read back before it counts. A group comes with all that belongs
to it (the file itself and its header before the first one, the footer behind the last one), so
that the head goes to the place, to the filesystem's journal and back to the place once for each.
"""

import ctypes
import mmap
import os

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
    write_verified,
)

_libc = ctypes.CDLL(None, use_errno=True)


class GrowingShards:
    """The files by path; used by the lane that writes, parts by the lane that copies as well."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._scratch = memoryview(large_pages(WINDOW_BYTES))
        self._open: dict[str, int] = {}

    def descriptor(self, path: str) -> int:
        """Return the descriptor of a file that grows, opened when it is not open yet."""
        if path not in self._open:
            self._open[path] = open_direct(path, os.O_RDWR)
        return self._open[path]

    def create(self, path: str, head: bytes, size: int) -> None:
        """Make a file with its head, proven and durable with its folder entry."""
        fd = self._make(path, size)
        if head:
            write_verified(fd, _direct(head), 0, self._scratch, self._step)
        _sync_folders(path)

    def append(self, path: str, view: memoryview, offset: int) -> None:
        """Write, sync, read back, compare: durable when it returns."""
        write_verified(self.descriptor(path), view, offset, self._scratch, self._step)

    def write_group(
        self,
        path: str,
        head: bytes,
        size: int,
        view: memoryview,
        offset: int,
        last: bool,
        read_back: bool = True,
    ) -> None:
        """Append a group; a `head` makes the file first, after the `last` one it is cut.

        Durable when it returns, and compared with what the disk holds unless without `read_back`.
        Raises OSError or CorruptError: the file is then not to be written any more.
        """
        with one_turn(self._step):
            fd = self._make(path, size) if head else self.descriptor(path)
        above = _direct(head)
        write_full(fd, above, 0, self._step)
        write_full(fd, view, offset, self._step)
        if last:
            os.ftruncate(fd, offset + len(view))  # Frees what was preallocated behind it.
        # One turn with the writes: an export on this disk would else take the head away from the
        # journal, and from what is read back, each time.
        with one_turn(self._step):
            # Barrier: a crash before this leaves a file whose group may be torn, with or without
            # its head, and with a footer that nobody may believe before the groups are read; or no
            # file.
            os.fsync(fd)
            self._step()
            if head:
                _sync_folders(path)
        if read_back:
            check_written(fd, above, 0, self._scratch, self._step)
            check_written(fd, view, offset, self._scratch, self._step)
        if last:
            self.forget(path)

    def finish(self, path: str, length: int) -> None:
        """Cut a file to its sealed length, which also frees the preallocation."""
        fd = self.descriptor(path)
        os.ftruncate(fd, length)
        os.fsync(fd)
        self._step()
        self.forget(path)

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
