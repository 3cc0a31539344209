"""One disk's catalog log as a file: it owns where the next frame goes, and never what it says.

Behind the last frame lie zero sectors, written ahead. A frame then changes no size and allocates
nothing: making it durable is one write and one flush, where a file that grows also makes the
filesystem write its journal, elsewhere on the disk. Whoever reads the log steps over zeros.
"""

import contextlib
import errno
import mmap
import os
from collections.abc import Iterable

from base.files import sync_folder
from fsd.disk_io.shard_file import Step, open_direct, read_full, write_full
from fsd.format.record import SECTOR_BYTES, align

AHEAD_BYTES = 64 * SECTOR_BYTES
"""Frames of as many entries are appended before the file has to grow again."""
LOOK_BYTES = 1 << 20
BAD_SECTORS_MAX = 16
"""In a log that is read: a disk that fails everywhere is not asked for each, it takes seconds."""


class CatalogFile:
    """The log of one disk; used by the thread of one lane."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._scratch = memoryview(mmap.mmap(-1, LOOK_BYTES))
        self._end = self._size = -1
        self._bad_sectors_left = 0

    def append(self, path: str, frames: bytes) -> None:
        """Append frames (a multiple of 4 KiB), durable when it returns."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            if self._end < 0 or size != self._size:
                # A torn tail of an earlier crash stays where it is; frames start on a sector.
                self._end = self._end_of_frames(path, size)
            offset = self._end
            # Used up even when this fails: a torn frame stays where it is.
            self._end += len(frames)
            if self._end > size:
                self._grow(fd, frames, offset)
            else:
                write_full(fd, memoryview(frames), offset, self._step)
            # Barrier: a crash before this leaves frames that may be torn, and are stepped over.
            os.fdatasync(fd)
            self._size = os.fstat(fd).st_size
        finally:
            os.close(fd)
        if offset == 0:
            sync_folder(os.path.dirname(path))

    def replace(self, path: str, log: bytes) -> None:
        """Put a log (a multiple of 4 KiB) in the place of the file; durable when it returns.

        A crash leaves the former log or this one, and maybe a file beside it that nobody reads.
        """
        beside = path + ".tmp"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_full(fd, memoryview(log + bytes(AHEAD_BYTES)), 0, self._step)
            # Barrier: a crash before this leaves a part of a file beside the log.
            os.fsync(fd)
            self._size = os.fstat(fd).st_size
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        finally:
            os.close(fd)
        if self.read(beside, whole=True) != log:
            raise OSError(errno.EIO, "a checkpoint of the catalog was read back with other bytes")
        # Barrier: a crash before this leaves the former log, and all of this one beside it.
        os.rename(beside, path)
        self._end = len(log)
        # Barrier: a crash before this leaves one of the two in its place: they say the same.
        sync_folder(os.path.dirname(path))

    def read(self, path: str, whole: bool = False) -> bytes:
        """Return the log, without the zeros written ahead; empty when there is none.

        A sector that the disk cannot read comes as zeros, which whoever looks for frames steps
        over. Raises OSError (EIO) when there are many, and with `whole` when there is one.
        """
        self._bad_sectors_left = 0 if whole else BAD_SECTORS_MAX
        try:
            size = os.stat(path).st_size
        except FileNotFoundError:
            return b""
        log = self._read(path, range(0, size, LOOK_BYTES), b"\0")
        return log[: align(len(log.rstrip(b"\0")))]

    def _end_of_frames(self, path: str, size: int) -> int:
        """Return the first sector behind everything that is not zero, or may not be."""
        self._bad_sectors_left = BAD_SECTORS_MAX
        for start in reversed(range(0, size, LOOK_BYTES)):
            if piece := self._read(path, [start], b"?").rstrip(b"\0"):
                return start + align(len(piece))
        return 0

    def _read(self, path: str, starts: Iterable[int], unreadable: bytes) -> bytes:
        """Read pieces of LOOK_BYTES; a sector that cannot be read is filled with a byte."""
        # From the disk where that can be: what is in memory may be older, and of what cannot be
        # read the kernel would give up more than the sector.
        fd = open_direct(path, os.O_RDONLY)
        try:
            pieces: list[bytes] = []
            for start in starts:
                pieces += self._read_piece(fd, start, LOOK_BYTES, unreadable)
            return b"".join(pieces)
        finally:
            os.close(fd)

    def _read_piece(self, fd: int, start: int, length: int, unreadable: bytes) -> list[bytes]:
        view = self._scratch[:length]
        try:
            return [bytes(view[: read_full(fd, view, start, self._step)])]
        except OSError as error:
            if error.errno != errno.EIO or not self._bad_sectors_left:
                raise
        if length <= SECTOR_BYTES:
            self._bad_sectors_left -= 1
            return [unreadable * length]
        half = length // 2
        halves = (self._read_piece(fd, at, half, unreadable) for at in (start, start + half))
        return [piece for pieces in halves for piece in pieces]

    def _grow(self, fd: int, frames: bytes, offset: int) -> None:
        try:
            write_full(fd, memoryview(frames + bytes(AHEAD_BYTES)), offset, self._step)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # The last entries that a full disk takes.
            write_full(fd, memoryview(frames), offset, self._step)
