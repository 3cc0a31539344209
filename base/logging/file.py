"""The log file of a daemon: lines that are appended whole, and moved aside when it is large.

Several processes write to one file: a worker and the horses that it forks. A line is one write to a
file that is opened to append, so no two mix. Whoever finds the file too large moves it aside, under
a lock of the file itself, and everybody else notices by the inode that the name stands for another
file now. So it does not matter who rotates, who forked, and who was killed in between.
"""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import suppress

FILE_SIZE_BYTES = 10 << 20
FILES_KEPT = 3


class LogFile(logging.Handler):
    """Appends records to a file; at most `files_kept` older ones of that size lie beside it.

    A disk that is full loses words, never the work.
    """

    def __init__(self, path: str, file_size_bytes: int, files_kept: int) -> None:
        super().__init__()
        self._path = path
        self._file_size_bytes = file_size_bytes
        self._files_kept = files_kept
        self._descriptor = -1

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            self._reopen_if_moved()
            os.write(self._descriptor, line)
            if os.fstat(self._descriptor).st_size > self._file_size_bytes:
                self._move_aside()
        except OSError:
            pass
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            descriptor, self._descriptor = self._descriptor, -1
        finally:
            self.release()
        if descriptor >= 0:
            os.close(descriptor)
        super().close()

    def _reopen_if_moved(self) -> None:
        if self._descriptor >= 0:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self._path), os.fstat(self._descriptor)):
                    return
        # The folder may have been deleted, as people may do with `run`.
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        opened, former = os.open(self._path, flags, 0o600), self._descriptor
        self._descriptor = opened
        if former >= 0:
            os.close(former)

    def _move_aside(self) -> None:
        # Opened for this: a lock of the descriptor that we write to would be a forked child's too.
        turn = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Guards the names of this file and its older ones. Innermost, for some renames.
            fcntl.flock(turn, fcntl.LOCK_EX)
            if os.path.samestat(os.stat(self._path), os.fstat(turn)):
                for number in range(self._files_kept, 0, -1):
                    former = f"{self._path}.{number - 1}" if number > 1 else self._path
                    with suppress(FileNotFoundError):
                        os.replace(former, f"{self._path}.{number}")
        finally:
            os.close(turn)
