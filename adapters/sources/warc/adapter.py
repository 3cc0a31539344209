"""The web archive adapter: it owns which files are archives, and no format.

Every record of a WARC or ARC file gives one Record or Problem; requests too, because they say which
page asked for what. CDX listings and the pages of a WACZ describe pages whose payload may lie
elsewhere; the CDX inside a WACZ repeats its archives and is skipped.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record, Sniff
from adapters.sources.reading.gunzip import GZIP_MAGIC
from adapters.sources.schemas.warc import TABLE
from adapters.sources.warc.cdx import cdx_records
from adapters.sources.warc.records import CaptureRecords
from adapters.sources.warc.streams import GzipStream, begins_archive, open_stream
from adapters.sources.warc.wacz import wacz_records
from sql import DeclaredTable

ARCHIVE_SUFFIXES = (".warc", ".warc.gz", ".arc", ".arc.gz")
CDX_SUFFIXES = (".cdx", ".cdxj", ".cdx.gz", ".cdxj.gz")
ALL_SUFFIXES = (*ARCHIVE_SUFFIXES, ".wacz", *CDX_SUFFIXES)
SNIFFED_FILES_MAX = 8
HEAD_BYTES = 4_096


class WarcAdapter:
    """WARC, ARC, WACZ, CDX."""

    name = "warc"
    tables: tuple[DeclaredTable, ...] = (TABLE,)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Look at the first bytes of a few archives."""
        paths = folder.with_suffix(*ALL_SUFFIXES)[:SNIFFED_FILES_MAX]
        known = sum(_looks_like_archive(folder, path) for path in paths)
        reason = f"{known} of {len(paths)} files tried begin like a web archive"
        return Sniff(0.95 if known else 0.0, reason)

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield the records of every archive and listing."""
        records = CaptureRecords(folder)
        for path in folder.with_suffix(*ALL_SUFFIXES):
            lowered = path.lower()
            if lowered.endswith(".wacz"):
                yield from wacz_records(folder, path, records)
                continue
            with folder.open(path) as file:
                if lowered.endswith(CDX_SUFFIXES):
                    yield from _listing(path, file)
                else:
                    yield from _archive(path, file, records)


def _archive(path: str, file: BinaryIO, records: CaptureRecords) -> Iterator[Record | Problem]:
    is_empty = True
    for item in records.read(path, file):
        is_empty = False
        yield item
    if is_empty:
        yield Problem(path, -1, "an archive without records")


def _listing(path: str, file: BinaryIO) -> Iterator[Record | Problem]:
    lines = 0

    def counted() -> Iterator[bytes]:
        nonlocal lines
        offset: int | None = 0
        while offset is not None and (stream := open_stream(file, offset)) is not None:
            while line := stream.readline():
                yield line
                lines += 1
            offset = stream.end if isinstance(stream, GzipStream) else None

    try:
        yield from cdx_records(path, counted())
    except RecordError as error:
        yield Problem(path, lines, str(error))
    if not lines:
        yield Problem(path, -1, "an empty listing")


def _looks_like_archive(folder: ScrapeFolder, path: str) -> bool:
    with folder.open(path) as file:
        head = file.read(HEAD_BYTES)
    lowered = path.lower()
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
        except zlib.error:
            return lowered.endswith((".warc.gz", ".arc.gz"))
    if lowered.endswith(".wacz"):
        return head.startswith(b"PK\x03\x04")
    if lowered.endswith(CDX_SUFFIXES):
        return b" CDX" in head[:8] or head[:3] == b"CDX" or b'{"' in head or b" text/" in head
    return begins_archive(head.lstrip())


ADAPTERS = (WarcAdapter(),)
