"""Videos: it owns the few facts in the headers of MP4 and Matroska, and never decodes a frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from adapters.records.folder import MIB
from adapters.records.values import as_text
from adapters.sources.plain_folder.findings import Findings

BOXES_MAX = 10_000
HEADER_BYTES_MAX = 16 * MIB
_MATROSKA_BYTES = MIB
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
# Of Matroska only these are gone into, and read.
_MASTERS = {0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0}
_TITLE, _DURATION, _SCALE, _CODEC, _WIDTH, _HEIGHT = 0x7BA9, 0x4489, 0x2AD7B1, 0x86, 0xB0, 0xBA


def read_mp4(file: BinaryIO, size_bytes: int) -> Findings:
    """Return size, length and codecs of an MP4, MOV or 3GP; the size of a HEIF picture."""
    columns: dict[str, Any] = {}
    codecs: list[str] = []
    for kind, body in _top_boxes(file, size_bytes):
        try:
            if kind == b"moov":
                _movie(body, columns, codecs)
            else:
                _picture(body, columns)
        except (struct.error, IndexError):
            continue
    if codecs:
        columns["codec"] = as_text(", ".join(dict.fromkeys(codecs)))
    return Findings(columns=columns)


def _top_boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    for _ in range(BOXES_MAX):
        file.seek(offset)
        header = file.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header[:8])
        begin = 8
        if length == 1 and len(header) == 16:
            length, begin = struct.unpack(">Q", header[8:])[0], 16
        length = length or size_bytes - offset
        if length < begin:
            return
        if kind in (b"moov", b"meta") and length <= HEADER_BYTES_MAX:
            file.seek(offset + begin)
            yield kind, file.read(length - begin)
        offset += length
        if offset >= size_bytes:
            return


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        if length < 8:
            return
        yield kind, data[offset + 8 : offset + length]
        offset += length


def _movie(data: bytes, columns: dict[str, Any], codecs: list[str], depth: int = 0) -> None:
    for kind, body in _boxes(data):
        if kind in _PARENTS and depth < 6:
            _movie(body, columns, codecs, depth + 1)
        elif kind == b"mvhd":
            scale, duration = struct.unpack_from(
                ">IQ" if body[0] == 1 else ">II", body, 20 if body[0] == 1 else 12
            )
            # All ones is how a stream says that it does not know yet.
            if scale and duration and duration not in (2**32 - 1, 2**64 - 1):
                columns["duration_s"] = duration / scale
        elif kind == b"tkhd":
            width, height = (part >> 16 for part in struct.unpack(">II", body[-8:]))
            if width and height:
                columns.setdefault("width", width)
                columns.setdefault("height", height)
        elif kind == b"stsd" and len(body) >= 16:
            codecs.append(body[12:16].decode("latin-1").strip("\0 "))


def _picture(data: bytes, columns: dict[str, Any]) -> None:
    """The largest size in a HEIF's list of properties; tiles and thumbnails are smaller."""
    for kind, body in _boxes(data[4:]):
        if kind != b"iprp":
            continue
        for inner, properties in _boxes(body):
            sizes = [b for k, b in _boxes(properties) if k == b"ispe"] if inner == b"ipco" else []
            for size in sizes:
                width, height = struct.unpack_from(">II", size, 4)
                if width * height > columns.get("width", 0) * columns.get("height", 0):
                    columns |= {"width": width, "height": height}


def read_matroska(file: BinaryIO) -> Findings:
    """Return size, length, codecs and title from the beginning of a Matroska or WebM file."""
    file.seek(0)
    found: list[tuple[int, bytes]] = []
    with suppress(IndexError):
        _elements(file.read(_MATROSKA_BYTES), found, 0)
    values = dict(reversed(found))
    columns: dict[str, Any] = {
        "width": _unsigned(values.get(_WIDTH)),
        "height": _unsigned(values.get(_HEIGHT)),
        "title": as_text(values.get(_TITLE, b"").decode("utf-8", "replace")),
    }
    codecs = [body.decode("latin-1").strip("\0 ") for name, body in found if name == _CODEC]
    columns["codec"] = as_text(", ".join(dict.fromkeys(codecs)))
    duration = values.get(_DURATION, b"")
    if len(duration) in (4, 8):
        ticks = struct.unpack(">f" if len(duration) == 4 else ">d", duration)[0]
        seconds = ticks * (_unsigned(values.get(_SCALE)) or 1_000_000) / 1e9
        columns["duration_s"] = seconds if 0 < seconds < 1e9 else None
    return Findings(columns=columns)


def _elements(data: bytes, found: list[tuple[int, bytes]], depth: int) -> None:
    offset = 0
    while offset < len(data) and len(found) < BOXES_MAX:
        name, offset = _number(data, offset, keeps_mark=True)
        size, offset = _number(data, offset, keeps_mark=False)
        body = data[offset : offset + size]
        if name in _MASTERS and depth < 6:
            _elements(body, found, depth + 1)
        elif name in (_TITLE, _DURATION, _SCALE, _CODEC, _WIDTH, _HEIGHT):
            found.append((name, body[:4_096]))
        offset += size


def _number(data: bytes, offset: int, keeps_mark: bool) -> tuple[int, int]:
    """Read a variable-length number: the leading zero bits of its first byte tell its length."""
    length = 9 - data[offset].bit_length()
    if length > 8 or offset + length > len(data):
        raise IndexError("no number")
    value = int.from_bytes(data[offset : offset + length], "big")
    mark = 1 << (7 * length)
    if keeps_mark:
        return value, offset + length
    # All ones means that the size is unknown: up to the end.
    size = value & (mark - 1)
    return len(data) if size == mark - 1 else size, offset + length


def _unsigned(body: bytes | None) -> int | None:
    number = int.from_bytes(body[:8], "big") if body else 0
    return number if 0 < number < 2**31 else None
