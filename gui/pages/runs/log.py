"""Logs of attempts: it owns reading a piece of one, and looking for words in it.

Bounded whatever a log holds, and only files that attempts write: `RUN/TASK-ATTEMPT.log` below the
scheduler's folder, and what the program of that attempt said, beside it.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from base.errors import UsageError

PIECE_SIZE_BYTES = 16_000
"""So much of a log is shown at a time."""
SEARCH_SIZE_BYTES_MAX = 16 << 20
"""Words are looked for in the last so many bytes."""
HITS_MAX = 200
LINE_LENGTH_MAX = 1_000
PROGRAM = "-program"

_NAME = re.compile(r"[0-9]{1,19}/[0-9]{1,19}-[0-9]{1,19}(-program)?\.log")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class LogPiece(NamedTuple):
    """A piece of a log: whole lines, from byte `begin` to byte `end` of `size_bytes`."""

    text: str
    begin: int
    end: int
    size_bytes: int


def program_log(path: str) -> str:
    """Return where the program of an attempt writes, beside the attempt's own log."""
    root, extension = os.path.splitext(path)
    return root + PROGRAM + extension


def has_log(log_dir: str, path: str) -> bool:
    """Tell whether there is such a log on this machine."""
    return _NAME.fullmatch(path) is not None and os.path.isfile(os.path.join(log_dir, path))


def read_piece(log_dir: str, path: str, end: int | None = None) -> LogPiece:
    """Return the piece that ends at byte `end`, the last one without; UsageError without a log."""
    with open(_open(log_dir, path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        end = size if end is None else max(0, min(end, size))
        begin = max(0, end - PIECE_SIZE_BYTES)
        file.seek(begin)
        data = file.read(end - begin)
    if begin:
        # The first line is half; without a line break at all it is shown as it is.
        cut = data.find(b"\n") + 1
        data, begin = data[cut:], begin + cut
    return LogPiece(printable(data), begin, end, size)


def find_lines(log_dir: str, path: str, words: str) -> list[str]:
    """Return the last lines that have the words in them, whatever the case."""
    wanted = words.lower()
    with open(_open(log_dir, path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - SEARCH_SIZE_BYTES_MAX))
        lines = printable(file.read(SEARCH_SIZE_BYTES_MAX)).splitlines()
    found = [line[:LINE_LENGTH_MAX] for line in lines if wanted in line.lower()]
    return found[-HITS_MAX:]


def printable(data: bytes) -> str:
    """Return the bytes of a program as text, without its colours."""
    return _COLOURS.sub("", data.decode("utf-8", "backslashreplace"))


def _open(log_dir: str, path: str) -> int:
    if _NAME.fullmatch(path) is None:
        raise UsageError("this is no log of an attempt")
    try:
        return os.open(os.path.join(log_dir, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            f"the log is not on this machine ({error.strerror}); it was written elsewhere, or "
            "thrown away"
        ) from None
