"""The log of one program: it owns a file with the beginning and the end of what was said.

Never blocks the program: what does not fit is read and left out. Standard library only.
"""

from __future__ import annotations

import os
from collections import deque


class ProgramLog:
    """Writes at most about `bytes_max` to `path`; the last quarter is kept in memory until the end.

    So a person sees the beginning while the program runs, and both ends afterwards.
    """

    def __init__(self, path: str, bytes_max: int) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._head_bytes_max = bytes_max - bytes_max // 4
        self._tail_bytes_max = bytes_max // 4
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._left_out_bytes = 0
        self.head_bytes = 0
        self.said_bytes = 0

    def write(self, data: bytes) -> None:
        """Add what the program said."""
        self.said_bytes += len(data)
        room = self._head_bytes_max - self.head_bytes
        if room > 0:
            self._put(data[:room])
            self.head_bytes += len(data[:room])
            data = data[room:]
        if data:
            self._tail.append(data)
            self._tail_bytes += len(data)
        while self._tail_bytes > self._tail_bytes_max:
            self._drop(self._tail_bytes - self._tail_bytes_max)

    def _drop(self, count: int) -> None:
        first = self._tail.popleft()
        if len(first) > count:
            self._tail.appendleft(first[count:])
        gone = min(count, len(first))
        self._tail_bytes -= gone
        self._left_out_bytes += gone

    def close(self, last_words: bytes = b"") -> None:
        """Write the end, and what the guard itself has to say."""
        if self._left_out_bytes:
            self._put(b"\n[drystone: %d bytes left out]\n" % self._left_out_bytes)
        for data in self._tail:
            self._put(data)
        if last_words:
            self._put(last_words)
        self._file.close()

    def _put(self, data: bytes) -> None:
        # A full disk must not end the guard: then the program would go on unwatched.
        try:
            self._file.write(data)
        except OSError:
            self._left_out_bytes += len(data)
