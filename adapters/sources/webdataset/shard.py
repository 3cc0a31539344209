"""Tar shards: it owns reading them within limits. Nothing is ever written under a member's name.

Links, devices and sparse members are refused one by one; long headers and data that unpacks like a
bomb end the shard. What was read until then is kept.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from adapters.records.errors import LimitError, RecordError
from adapters.records.folder import MIB
from adapters.sources.reading.gunzip import GZIP_MAGIC

BLOCK_BYTES = 1 << 16
MEMBERS_MAX = 10_000_000
HEADER_BYTES_MAX = MIB
EMPTY_READS_MAX = 64
UNPACKED_FREE_BYTES = 64 * MIB
UNPACKED_RATIO_MAX = 200
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_TAR_ERRORS = (
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    zlib.error,
)


@dataclass(slots=True)
class Member:
    """A regular file of a shard; `read` works until the next member is asked for."""

    name: str
    size_bytes: int
    file: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes; RecordError when the shard ends before it does."""
        left = self.size_bytes
        while left:
            try:
                data = self.file.read(min(left, BLOCK_BYTES))
            except _TAR_ERRORS as error:
                raise RecordError(f"the shard is damaged here: {str(error)[:200]}") from error
            if not data:
                raise RecordError("the shard ends in the middle of this member")
            left -= len(data)
            yield data

    def read(self, limit_bytes: int) -> bytes:
        """Return all its bytes; LimitError beyond the limit."""
        if self.size_bytes > limit_bytes:
            raise LimitError(f"{self.size_bytes:,} bytes; at most {limit_bytes:,} are read as text")
        return b"".join(self.chunks())


@dataclass(frozen=True, slots=True)
class Refused:
    """A member that is not read, or, without a name, the end of a damaged shard."""

    name: str
    reason: str


class _Info(tarfile.TarInfo):
    def _proc_member(self, tarfile: tarfile.TarFile) -> Any:
        # tarfile reads such headers into memory whole, however long they say that they are.
        if self.type in _LONG_HEADERS and self.size > HEADER_BYTES_MAX:
            raise LimitError(f"a header of {self.size:,} bytes")
        return super()._proc_member(tarfile)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


class _Unpacking:
    """A shard as a plain stream; LimitError when it grows like a bomb."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = file.read(len(GZIP_MAGIC))
        file.seek(0)
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS) if head == GZIP_MAGIC else None
        self._tail = b""
        self._packed_bytes = self._unpacked_bytes = self._empty_reads = 0
        self.tail = b""
        """The last block that was read; the end of a whole shard is zeros."""

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, less only at the end; RecordError long after the end."""
        data = self._read(size)
        if data:
            self.tail = (self.tail + data)[-tarfile.BLOCKSIZE :]
            return data
        # tarfile would walk through all that a header promises, a block at a time.
        self._empty_reads += 1
        if self._empty_reads > EMPTY_READS_MAX:
            raise RecordError("the shard ends in the middle of a member")
        return data

    def _read(self, size: int) -> bytes:
        if self._inflate is None:
            return self._file.read(size)
        parts: list[bytes] = []
        while size:
            data = self._more(size)
            if not data:
                break
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def _more(self, size: int) -> bytes:
        while self._inflate is not None:
            packed = self._tail or self._file.read(BLOCK_BYTES)
            if not packed and not self._inflate.eof:
                raise RecordError("the gzip data ends in the middle: the shard is cut")
            if self._inflate.eof:
                packed = self._inflate.unused_data or packed
                if not packed.startswith(b"\x1f\x8b"):
                    return b""
                self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            self._packed_bytes += 0 if self._tail else len(packed)
            data = self._inflate.decompress(packed, size)
            self._tail = self._inflate.unconsumed_tail
            self._unpacked_bytes += len(data)
            if (
                self._unpacked_bytes > UNPACKED_FREE_BYTES
                and self._unpacked_bytes > self._packed_bytes * UNPACKED_RATIO_MAX
            ):
                raise LimitError(f"unpacks to more than {UNPACKED_RATIO_MAX} times its size")
            if data:
                return data
        return b""


def members(file: BinaryIO) -> Iterator[Member | Refused]:
    """Yield the members of a tar or gzipped tar in their order; never raises for bad input."""
    # A stream needs nothing but `read` of its file, whatever the declared type asks for.
    stream: Any = _Unpacking(file)
    try:
        shard = tarfile.open(fileobj=stream, mode="r|", tarinfo=_Info)  # noqa: SIM115
    except (*_TAR_ERRORS, RecordError) as error:
        yield Refused("", f"no readable tar: {str(error)[:200]!a}")
        return
    with shard:
        count = 0
        while True:
            try:
                info = shard.next()
                # Otherwise every header ever read stays in memory.
                _forget(shard)
            except (*_TAR_ERRORS, RecordError) as error:
                yield Refused(
                    "", f"the shard is damaged after {count:,} members: {str(error)[:200]!a}"
                )
                return
            if info is None:
                if any(stream.tail):
                    yield Refused(
                        "", f"ends after {count:,} members without its end mark: it is cut"
                    )
                return
            count += 1
            if count > MEMBERS_MAX:
                yield Refused("", f"more than {MEMBERS_MAX:,} members")
                return
            yield from _member(shard, info)


def _forget(shard: Any) -> None:
    shard.members.clear()


def _member(shard: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[Member | Refused]:
    if info.isdir():
        return
    if info.size < 0:
        yield Refused(info.name, "says that it has a negative size")
        return
    if not info.isreg() or info.issparse():
        kind = "a sparse file" if info.issparse() else "a link" if _is_link(info) else "no file"
        yield Refused(info.name, f"is {kind}, which is not read out of a shard")
        return
    try:
        inside = shard.extractfile(info)
    except _TAR_ERRORS as error:
        yield Refused(info.name, f"cannot be read: {str(error)[:200]!a}")
        return
    if inside is not None:
        yield Member(info.name, info.size, inside)


def _is_link(info: tarfile.TarInfo) -> bool:
    return info.issym() or info.islnk()
