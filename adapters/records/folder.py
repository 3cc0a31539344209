"""A scraped folder as adapters see it: it owns safe access to its frozen listing, and no format.

Names in records are never trusted: a file is only ever found in the listing that was frozen when
the folder was signalled, and opened without following links. Everything has a limit, so a bomb in a
scrape costs its own record and nothing else.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, TypeVar, cast

from adapters.records.beneath import open_beneath
from adapters.records.errors import BatchChangedError, LimitError, RecordError
from adapters.records.items import MediaFile
from adapters.records.listing import FileEntry, list_files, reading_error
from adapters.records.strict_json import (
    JSON_DEPTH_MAX,
    JSON_VALUES_MAX,
    MIB,
    decode_text,
    parse_json,
)
from adapters.records.times import time_of_ns

__all__ = [
    "EXTRACTED_PREFIX",
    "JSON_DEPTH_MAX",
    "JSON_VALUES_MAX",
    "LINE_BYTES_MAX",
    "MIB",
    "RECORD_BYTES_MAX",
    "FileEntry",
    "ScrapeFolder",
    "decode_text",
    "extension_of",
    "list_files",
    "parse_json",
]

RECORD_BYTES_MAX = 256 * MIB
"""The largest sidecar that is read into memory; larger files are only streamed line by line."""
LINE_BYTES_MAX = 64 * MIB
REMEMBERED_BYTES_MAX = 16 * MIB
"""The values of the files read last are kept, as many as these bytes and files."""
REMEMBERED_MAX = 24
EXTRACTED_BYTES_MAX = 64 << 30
EXTRACTED_FILE_BYTES_MAX = 16 << 30
EXTRACTED_FILES_MAX = 10_000_000
EXTRACTED_PREFIX = "extracted:"
_Made = TypeVar("_Made")


@dataclass(slots=True)
class _Shared:
    """What the parts of a folder share: files out of archives, and the values read last."""

    extracted: dict[str, FileEntry] = field(default_factory=dict[str, FileEntry])
    extracted_bytes: int = 0
    values: dict[str, tuple[int, Any]] = field(default_factory=dict[str, tuple[int, Any]])

    def remember(self, path: str, size_bytes: int, value: Any) -> None:
        """Keep the value of a file of this size."""
        if size_bytes <= REMEMBERED_BYTES_MAX:
            self.values[path] = size_bytes, value

    def make_room(self, size_bytes: int) -> None:
        """Forget the oldest values, as long as one of this size would be too much beside them."""
        sizes = [size for size, _ in self.values.values()]
        for path in list(self.values):
            if len(sizes) < REMEMBERED_MAX and sum(sizes) + size_bytes <= REMEMBERED_BYTES_MAX:
                return
            del self.values[path]
            sizes.pop(0)


class ScrapeFolder:
    """A folder with its frozen listing of relative paths ('/' between the parts)."""

    def __init__(
        self,
        root: str,
        files: Mapping[str, FileEntry],
        extraction_folder: str | None = None,
    ) -> None:
        self.root = root
        self.files = dict(files)
        self.paths = sorted(self.files)
        self.whole = self
        """The folder that this is a part of."""
        self._shared = _Shared()
        self._extraction_folder = extraction_folder
        self._by_name: dict[str, list[str]] | None = None
        self._once: dict[Any, Any] = {}

    @classmethod
    def of(cls, root: str, extraction_folder: str | None = None) -> ScrapeFolder:
        """Freeze the listing of a folder now; skips what is no regular file."""
        return cls(root, list_files(root), extraction_folder)

    def part(self, paths: Iterable[str]) -> ScrapeFolder:
        """Return the folder with these of its files alone; what is extracted is that of all."""
        part = ScrapeFolder(
            self.root, {path: self.files[path] for path in paths}, self._extraction_folder
        )
        part.whole, part._shared = self.whole, self._shared
        return part

    def once(self, name: object, make: Callable[[], _Made]) -> _Made:
        """Return what `make` makes of the listing, which never changes: made once, kept by name."""
        if name not in self._once:
            self._once[name] = make()
        return self._once[name]

    @property
    def extracted(self) -> dict[str, FileEntry]:
        """Return what was unpacked so far."""
        return self._shared.extracted

    # ---- Finding -------------------------------------------------------------------------------

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Return the sorted paths that end so, whatever their case."""
        lowered = tuple(suffix.lower() for suffix in suffixes)
        return [path for path in self.paths if path.lower().endswith(lowered)]

    def media(self, path: str) -> MediaFile | None:
        """Return the file at exactly this path of the listing, or None."""
        return MediaFile(path) if path in self.files else None

    def find(self, name: str, near: str = "") -> MediaFile | None:
        """Find the file that a record at `near` names: beside it, below the root, or by base name.

        A base name counts only when exactly one file has it. Never leaves the listing, whatever
        the name says.
        """
        name = name.replace("\\", "/")
        folder = near.rpartition("/")[0]
        is_normal = "/" not in name and name not in ("", ".", "..")
        for candidate in (f"{folder}/{name}", name) if folder else (name,):
            normal = candidate if is_normal else os.path.normpath(candidate)
            if normal in self.files:
                return MediaFile(normal)
        if self._by_name is None:
            self._by_name = {}
            for path in self.paths:
                self._by_name.setdefault(path.rpartition("/")[2], []).append(path)
        same = self._by_name.get(name.rpartition("/")[2], [])
        return MediaFile(same[0]) if len(same) == 1 else None

    def download_time(self, path: str) -> datetime | None:
        """Return when the file was written, which is when it was scraped; None for no such year.

        In whole seconds, because filesystems differ in what they keep of them.
        """
        entry = self.files.get(path) or self.extracted[path]
        return time_of_ns(entry.mtime_ns // 1_000_000_000 * 1_000_000_000)

    # ---- Reading -------------------------------------------------------------------------------

    @contextmanager
    def open(self, path: str) -> Generator[BinaryIO]:
        """Open a file of the listing; BatchChangedError when it is no longer what was frozen.

        No part of the path may have become a link. UsageError when it may not be read.
        """
        entry = self.files.get(path)
        if entry is None:
            raise RecordError(f"{path!a} is not in the frozen listing")
        try:
            descriptor = open_beneath(self.root, path)
        except OSError as error:
            raise reading_error(self.root, path, error) from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            now = (stat.S_ISREG(status.st_mode), status.st_size, status.st_mtime_ns)
            if now != (True, entry.size_bytes, entry.mtime_ns):
                raise BatchChangedError(f"{path!a} changed after the folder was frozen")
            yield file

    def read_bytes(self, path: str, limit_bytes: int = RECORD_BYTES_MAX) -> bytes:
        """Return the whole file; LimitError when it is larger than the limit."""
        size = self.files[path].size_bytes if path in self.files else 0
        if size > limit_bytes:
            raise LimitError(f"{size:,} bytes; at most {limit_bytes:,} are read as one record")
        with self.open(path) as file:
            return file.read()

    def read_text(self, path: str, limit_bytes: int = RECORD_BYTES_MAX) -> str:
        """Return the file as text: UTF-8 with or without mark, UTF-16 with mark, else Latin-1."""
        if not is_packed(path):
            return decode_text(self.read_bytes(path, limit_bytes))
        with self.unpacked(path) as file:
            data = file.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise LimitError(f"unpacks to more than {limit_bytes:,} bytes, the most of one record")
        return decode_text(data)

    @contextmanager
    def unpacked(self, path: str) -> Generator[BinaryIO]:
        """Open a file, unpacked where its name says it is packed; RecordError when it is damaged.

        It is unpacked as it is read, so that a bomb costs no more than what is taken of it.
        """
        with self.open(path) as file:
            unpack = _UNPACKERS.get(extension_of(path))
            try:
                yield file if unpack is None else cast("BinaryIO", unpack(file))
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
                if unpack is None:
                    raise
                raise RecordError(f"damaged {extension_of(path)}: {error}") from error

    def read_json(self, path: str) -> Any:
        """Return the value of a JSON file; RecordError says what is wrong and where.

        The next call for the same file returns the same object: read it, never change it.
        """
        if path in self._shared.values:
            return self._shared.values[path][1]
        # Forgotten before the next is read: never two large values at once.
        size_bytes = self.files[path].size_bytes
        self._shared.make_room(size_bytes)
        value = parse_json(self.read_text(path))
        self._shared.remember(path, size_bytes, value)
        return value

    def read_json_lines(self, path: str) -> Iterator[tuple[int, Any]]:
        """Yield (number from 0, value or RecordError) of every line that is not empty."""
        for number, line in self.read_lines(path):
            try:
                yield number, line if isinstance(line, RecordError) else parse_json(line)
            except RecordError as error:
                yield number, error

    def read_lines(self, path: str) -> Iterator[tuple[int, str | RecordError]]:
        """Yield (number from 0, text or RecordError) of every line that is not empty."""
        with self.unpacked(path) as file:
            for number, line in enumerate(_limited_lines(file)):
                if isinstance(line, RecordError):
                    yield number, line
                elif line.strip():
                    yield number, decode_text(line)

    # ---- Extracting ----------------------------------------------------------------------------

    def extract(self, archive: str, member: str, chunks: Iterable[bytes]) -> MediaFile:
        """Write one member of an archive as a file of its own and return it.

        The name is made of a counter, never of the member's own name except its extension.
        LimitError beyond the limits; the half-written file is removed. In a dry run (no extraction
        folder) the bytes are only hashed.
        """
        number = len(self.extracted)
        if number >= EXTRACTED_FILES_MAX:
            raise LimitError(f"more than {EXTRACTED_FILES_MAX:,} files in archives")
        extension = extension_of(member)
        name = f"{number // 1000:05d}/{number:08d}" + (f".{extension}" if extension else "")
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                if (
                    size > EXTRACTED_FILE_BYTES_MAX
                    or self._shared.extracted_bytes + size > EXTRACTED_BYTES_MAX
                ):
                    raise LimitError(f"{member[:200]!a} unpacks to more than the limit")
                digest.update(chunk)
                yield chunk

        if self._extraction_folder is None:
            for _ in counted():
                pass
        else:
            _write_file(os.path.join(self._extraction_folder, name), counted)
        self._shared.extracted_bytes += size
        archive_mtime_ns = self.files[archive].mtime_ns
        path = EXTRACTED_PREFIX + name
        self.extracted[path] = FileEntry(size, archive_mtime_ns, digest.hexdigest())
        return MediaFile(path)


_UNPACKERS: dict[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}


def is_packed(path: str) -> bool:
    """Tell whether a file is one that is packed, such as `tweets.jsonl.bz2`."""
    return extension_of(path) in _UNPACKERS


def unpacked_name(path: str) -> str:
    """Return the path without the extension of what packed it."""
    return path.rpartition(".")[0] if is_packed(path) else path


@lru_cache(maxsize=4_096)
def extension_of(name: str) -> str:
    """Return the extension in lower case without the dot; empty when there is no usable one."""
    base = name.replace("\\", "/").rpartition("/")[2]
    extension = base.rpartition(".")[2].lower() if "." in base[1:] else ""
    return extension if extension.isascii() and extension.isalnum() and len(extension) <= 16 else ""


def _limited_lines(file: BinaryIO) -> Iterator[bytes | RecordError]:
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            while rest := file.readline(LINE_BYTES_MAX):
                if rest.endswith(b"\n"):
                    break
            yield LimitError(f"a line of more than {LINE_BYTES_MAX:,} bytes")
        else:
            yield line


def _write_file(path: str, chunks: Callable[[], Iterator[bytes]]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "wb") as file:
            for chunk in chunks():
                file.write(chunk)
    except BaseException:
        if os.path.exists(path):
            os.unlink(path)
        raise
