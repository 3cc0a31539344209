"""Bytes out of archives within limits: it owns unpacking and finding the next sound place.

A damaged gzip member or record costs itself only: reading goes on at the next place that looks like
a beginning. Nothing here is held in memory beyond a block and a header line.
"""

from __future__ import annotations

import re
import zlib
from typing import BinaryIO

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import MIB
from adapters.sources.reading.gunzip import GZIP_MAGIC

BLOCK_BYTES = 1 << 16
LINE_BYTES_MAX = 1 << 16
UNPACKED_FREE_BYTES = 64 * MIB
UNPACKED_RATIO_MAX = 200
"""Beyond the free bytes, data may unpack to so many times its packed size; web pages reach 20."""

_GZIP_START = re.compile(re.escape(GZIP_MAGIC))
_RECORD_START = re.compile(
    rb"(?:\A|\n)(WARC/[01]\.|filedesc://|https?://\S+ [0-9.]+ \d{12,18} \S+ \S+\r?\n)"
)


def check_ratio(unpacked_bytes: int, packed_bytes: int) -> None:
    """LimitError when data grows like a bomb."""
    if unpacked_bytes > UNPACKED_FREE_BYTES and unpacked_bytes > packed_bytes * UNPACKED_RATIO_MAX:
        raise LimitError(
            f"unpacks to more than {UNPACKED_RATIO_MAX} times its size; it looks like a bomb"
        )


class PlainStream:
    """A file from an offset on, as warcio reads streams: lines are bounded."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file, self.start = file, offset
        self._buffer, self._position = b"", 0
        self._told = 0
        file.seek(offset)

    def read(self, size: int | None = None) -> bytes:
        """Return at most so many bytes, empty at the end; may return fewer."""
        if self._position == len(self._buffer):
            self._buffer, self._position = self._more(), 0
        end = len(self._buffer) if size is None or size < 0 else self._position + size
        data = self._buffer[self._position : end]
        self._position += len(data)
        self._told += len(data)
        return data

    def readline(self, size: int | None = None) -> bytes:
        """Return a line with its end; RecordError when it is longer than any header."""
        limit = LINE_BYTES_MAX if size is None or size < 0 else size
        line = b""
        while len(line) < limit:
            if self._position == len(self._buffer):
                self._buffer, self._position = self._more(), 0
                if not self._buffer:
                    break
            found = self._buffer.find(b"\n", self._position)
            end = len(self._buffer) if found < 0 else found + 1
            part = self._buffer[self._position : min(end, self._position + limit - len(line))]
            line += part
            self._position += len(part)
            self._told += len(part)
            if line.endswith(b"\n"):
                return line
        if size is None and len(line) >= limit:
            raise RecordError(f"a header line of more than {LINE_BYTES_MAX:,} bytes")
        return line

    def tell(self) -> int:
        """Return how many unpacked bytes were given out."""
        return self._told

    def next_start(self, tell: int) -> int | None:
        """Return the offset of the next record after the one that began at `tell`."""
        return _find(self._file, self.start + tell + 1, _RECORD_START)

    def _more(self) -> bytes:
        return self._file.read(BLOCK_BYTES)


class GzipStream(PlainStream):
    """One gzip member; `end` is the offset after it once it was read to its end.

    Some writers begin a member in the middle of a record: what begins no record goes on here.
    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        super().__init__(file, offset)
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._packed_bytes = self._unpacked_bytes = 0
        self._tail = b""
        self.end: int | None = None

    def _more(self) -> bytes:
        while self.end is None:
            packed = self._tail or self._file.read(BLOCK_BYTES)
            if not packed:
                raise RecordError("the gzip data ends in the middle: the file is cut")
            if not self._tail:
                self._packed_bytes += len(packed)
            try:
                data = self._inflate.decompress(packed, 4 * BLOCK_BYTES)
            except zlib.error as error:
                raise RecordError(f"damaged gzip: {error}") from error
            self._tail = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._finish_member()
            self._unpacked_bytes += len(data)
            check_ratio(self._unpacked_bytes, self._packed_bytes)
            if data:
                return data
        return b""

    def _finish_member(self) -> None:
        end = self._file.tell() - len(self._inflate.unused_data)
        self._file.seek(end)
        is_gzip = self._file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        self._file.seek(end)
        if is_gzip and not _begins_record(self._file, end):
            self.start, self._tail = end, b""
            self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        else:
            self.end = end
        self._file.seek(end)

    def next_start(self, tell: int) -> int | None:
        """Return the offset of the next gzip member after this one, sound or not."""
        if self.end is not None:
            return self.end
        offset = self.start
        while (
            found := _find(self._file, offset + 1, re.compile(re.escape(GZIP_MAGIC)))
        ) is not None:
            if _begins_record(self._file, found):
                return found
            offset = found
        return None


def open_stream(file: BinaryIO, offset: int) -> PlainStream | None:
    """Open what lies at an offset; None at the end of the file."""
    file.seek(offset)
    head = file.read(len(GZIP_MAGIC))
    if not head:
        return None
    return (GzipStream if head == GZIP_MAGIC else PlainStream)(file, offset)


def begins_archive(head: bytes) -> bool:
    """Tell whether unpacked bytes begin like a WARC or ARC file."""
    return head.startswith((b"WARC/", b"filedesc://"))


def _begins_record(file: BinaryIO, offset: int) -> bool:
    file.seek(offset)
    try:
        head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(file.read(BLOCK_BYTES), 256)
    except zlib.error:
        return False
    return _RECORD_START.match(head.lstrip()) is not None


def _find(file: BinaryIO, offset: int, pattern: re.Pattern[bytes]) -> int | None:
    """Return the offset of the next match; patterns match in less than a block."""
    file.seek(offset)
    kept = b""
    while block := file.read(BLOCK_BYTES):
        data = kept + block
        if match := pattern.search(data):
            return offset + (match.start(1) if pattern.groups else match.start())
        keep = min(len(data), 2_048)
        offset += len(data) - keep
        kept = data[-keep:]
    return None
