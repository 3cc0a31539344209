"""Records of WARC and ARC files: it owns framing, and what becomes of damaged ones.

warcio parses the headers; the way from record to record is ours, because a damaged one must cost
nothing but itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParserException

from adapters.records.errors import RecordError
from adapters.sources.warc.streams import BLOCK_BYTES, PlainStream, open_stream

# warcio reports a repaired address there; the record carries the repaired one.
logging.getLogger("warcio.recordloader").setLevel(logging.ERROR)

HEADERS_MAX = 1_000
_PARSE_ERRORS = (
    ArchiveLoadFailed,
    StatusAndHeadersParserException,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
)


class Block:
    """The block of one record; RecordError when the file ends before it does."""

    def __init__(self, stream: PlainStream, length: int) -> None:
        self._stream, self.length, self.left = stream, length, length
        self.is_broken = False
        """Whether reading it failed, which whoever read it has reported."""

    def read(self, length: int | None = None, /) -> bytes:
        """Return at most so many bytes, empty at the end of the record."""
        want = self.left if length is None or length < 0 else min(length, self.left)
        return self._took(self._stream.read, want)

    def readline(self, length: int | None = None, /) -> bytes:
        """Return a line, cut at the length and at the end of the record."""
        if not self.left:
            return b""
        want = self.left if length is None or length < 0 else min(length, self.left)
        return self._took(self._stream.readline, want)

    def tell(self) -> int:
        """Return how much was read."""
        return self.length - self.left

    def _took(self, read: Callable[[int], bytes], want: int) -> bytes:
        if not want:
            return b""
        try:
            data = read(min(want, BLOCK_BYTES))
            if not data:
                raise RecordError(
                    f"the record is cut: {self.tell():,} of its {self.length:,} bytes are there"
                )
        except RecordError:
            self.is_broken = True
            raise
        self.left -= len(data)
        return data


@dataclass(slots=True)
class Capture:
    """One record; its block can be read until the next one is asked for."""

    number: int
    record_type: str
    uri: str | None
    headers: StatusAndHeaders
    block: Block
    is_arc: bool

    def header(self, name: str) -> str | None:
        """Return a header of the record."""
        value = self.headers.get_header(name)
        return value if isinstance(value, str) else None

    def http_headers(self) -> StatusAndHeaders | None:
        """Parse the HTTP headers off the block; RecordError when there are none to parse."""
        if not (self.uri or "").lower().startswith(("http:", "https:")):
            return None
        try:
            return _LOADER.load_http_headers(
                self.record_type, (self.uri or "").lower(), self.block, self.block.length
            )
        except _PARSE_ERRORS as error:
            raise RecordError(f"no HTTP headers: {str(error)[:200]!a}") from error


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where no record could be read."""

    number: int
    reason: str


_LOADER = ArcWarcRecordLoader(verify_http=False, arc2warc=True)


def captures(file: BinaryIO, number: int = 0) -> Iterator[Capture | Damage]:
    """Yield the records of a seekable file, numbered from `number`, and the damage between them."""
    offset: int | None = 0
    while offset is not None and (stream := open_stream(file, offset)) is not None:
        begin, is_reported = 0, False
        try:
            while True:
                line = _next_line(stream)
                if not line:
                    offset = stream.next_start(stream.tell()) if _is_packed(stream) else None
                    break
                begin = stream.tell() - len(line)
                is_reported = False
                capture = _parse(stream, line, number)
                yield capture
                is_reported = capture.block.is_broken
                while capture.block.read(BLOCK_BYTES):
                    pass
                number += 1
        except RecordError as error:
            if not is_reported:
                yield Damage(number, str(error))
            number += 1
            offset = stream.next_start(begin)


def _is_packed(stream: PlainStream) -> bool:
    return hasattr(stream, "end")


def _next_line(stream: PlainStream) -> bytes:
    """Return the first line that is not blank; empty at the end."""
    while line := stream.readline():
        if line.strip():
            return line
    return b""


def _parse(stream: PlainStream, line: bytes, number: int) -> Capture:
    is_arc = not line.startswith(b"WARC/")
    try:
        record: Any = _LOADER.parse_record_stream(
            stream,
            statusline=line,
            known_format="arc" if is_arc else "warc",
            no_record_parse=True,
        )
    except _PARSE_ERRORS as error:
        raise RecordError(f"no record header: {str(error)[:200]!a}") from error
    headers: StatusAndHeaders = record.rec_headers
    if len(headers.headers) > HEADERS_MAX:
        raise RecordError(f"{len(headers.headers):,} headers; at most {HEADERS_MAX:,}")
    written = headers.get_header("Content-Length")
    length = _length(written)
    if length is None:
        raise RecordError(f"the record has no usable length: {str(written)[:40]!a}")
    if is_arc:
        # Of the file's own header warcio read two lines already, which the length counts.
        length = record.length if record.length is not None else length
    uri = headers.get_header("WARC-Target-URI")
    return Capture(
        number=number,
        record_type=str(headers.get_header("WARC-Type") or "").lower(),
        uri=uri if isinstance(uri, str) and uri else None,
        headers=headers,
        block=Block(stream, max(0, length)),
        is_arc=is_arc,
    )


def _length(written: str | None) -> int | None:
    digits = (written or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None
