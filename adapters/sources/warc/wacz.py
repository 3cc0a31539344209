"""WACZ files: it owns reading the zip within limits. Names inside are compared, never written."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

from adapters.records.describe import describe
from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import LINE_BYTES_MAX, MIB, ScrapeFolder, decode_text, parse_json
from adapters.records.items import Observation, Problem, Record
from adapters.records.times import parse_time
from adapters.records.values import as_text
from adapters.sources.warc.records import SOURCE, CaptureRecords
from adapters.sources.warc.streams import BLOCK_BYTES, check_ratio

MEMBERS_MAX = 100_000
SPOOLED_BYTES_MAX = 4 << 30
SPOOLED_IN_MEMORY_BYTES = 16 * MIB
_ARCHIVE_SUFFIXES = (".warc", ".warc.gz", ".arc", ".arc.gz")
_PAGE_SUFFIXES = ("pages.jsonl", "extrapages.jsonl")
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    EOFError,
    IndexError,
    zlib.error,
    struct.error,
    UnicodeError,
)


class Window(io.RawIOBase):
    """A stretch of a file as a file: members that were only stored need no copy."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move within the stretch."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read within the stretch."""
        want = min(len(buffer), max(0, self._size - self._position))
        self._file.seek(self._start + self._position)
        data = self._file.read(want)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def wacz_records(
    folder: ScrapeFolder, path: str, records: CaptureRecords
) -> Iterator[Record | Problem]:
    """Yield the captures of the archives inside, then the pages that it lists."""
    with folder.open(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                if len(members) > MEMBERS_MAX:
                    raise LimitError(f"{len(members):,} members; at most {MEMBERS_MAX:,}")
                yield from _members(path, file, archive, members, records)
        except RecordError as error:
            yield Problem(path, -1, str(error))
        except _ZIP_ERRORS as error:
            yield Problem(path, -1, f"no readable zip: {str(error)[:200]!a}")


def _members(
    path: str,
    file: BinaryIO,
    archive: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    records: CaptureRecords,
) -> Iterator[Record | Problem]:
    number = 0
    wanted = [m for m in members if m.filename.lower().endswith(_ARCHIVE_SUFFIXES)]
    pages = [m for m in members if m.filename.lower().endswith(_PAGE_SUFFIXES)]
    if not wanted and not pages:
        raise RecordError("a zip without archives and without a list of pages")
    for member in sorted((*wanted, *pages), key=lambda m: (m in pages, m.filename)):
        try:
            with _opened(file, archive, member) as inside:
                items = (
                    _page_records(path, inside, number)
                    if member in pages
                    else records.read(path, inside, number)
                )
                for item in items:
                    number = item.number + 1
                    yield item
        except RecordError as error:
            yield Problem(path, number, f"{member.filename[:200]!a}: {error}")
            number += 1
        except _ZIP_ERRORS as error:
            yield Problem(path, number, f"{member.filename[:200]!a}: {str(error)[:200]!a}")
            number += 1


@contextmanager
def _opened(
    file: BinaryIO, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> Generator[BinaryIO]:
    """Open a member as a seekable file: in place when it is stored, else unpacked within limits."""
    if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
        file.seek(member.header_offset)
        header = file.read(30)
        if len(header) != 30 or header[:4] != b"PK\x03\x04":
            raise RecordError("its local header is damaged")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start = member.header_offset + 30 + name_length + extra_length
        with io.BufferedReader(Window(file, start, member.file_size), BLOCK_BYTES) as inside:
            yield inside
        return
    with (
        tempfile.SpooledTemporaryFile(max_size=SPOOLED_IN_MEMORY_BYTES) as copy,
        archive.open(member) as packed,
    ):
        _copy(packed, copy, member.compress_size)
        copy.seek(0)
        yield copy  # pyright: ignore[reportReturnType]


def _copy(packed: IO[bytes], copy: IO[bytes], packed_bytes: int) -> None:
    size = 0
    while data := packed.read(BLOCK_BYTES):
        size += len(data)
        check_ratio(size, packed_bytes)
        if size > SPOOLED_BYTES_MAX:
            raise LimitError(f"unpacks to more than {SPOOLED_BYTES_MAX:,} bytes")
        copy.write(data)


def _page_records(path: str, file: BinaryIO, number: int) -> Iterator[Record | Problem]:
    while line := file.readline(LINE_BYTES_MAX):
        if not line.strip():
            continue
        try:
            record = _page_record(path, number, parse_json(decode_text(line)))
        except RecordError as error:
            yield Problem(path, number, str(error))
        else:
            if record is None:
                continue
            yield record
        number += 1


def _page_record(path: str, number: int, value: Any) -> Record | None:
    """Return the record of a listed page; the header of the list is none."""
    if not isinstance(value, dict):
        raise RecordError("a line of the list of pages that is no object")
    if "format" in value and "url" not in value:
        return None
    page = describe("web", "page", value.get("url"))
    meta = {
        "record_type": "page",
        "record_id": as_text(value.get("id")),
        "target_uri": as_text(value.get("url")),
        "warc_date": parse_time(value.get("ts")),
        "page_text": as_text(value.get("text")),
    }
    said = Observation(page, SOURCE, False, as_text(value.get("title")), meta=meta)
    return Record(path, number, page, (said,), (), value)
