"""What a file is by its bytes: it owns signatures, and signs of a file that was not finished.

Only as deep as that: no picture is decoded. A name counts where the bytes say nothing.
"""

from __future__ import annotations

import codecs
import struct
from typing import BinaryIO

from adapters.records.errors import RecordError
from adapters.records.folder import extension_of

HEAD_BYTES = 64
TAIL_BYTES = 64 << 10
TEXT_CHUNK_BYTES = 1 << 20
BOXES_MAX = 10_000

_PNG_END = b"IEND\xaeB`\x82"
# Of each signature the extensions that go with it, the usual one first.
_SIGNATURES: tuple[tuple[bytes, int, tuple[str, ...]], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, ("png", "apng")),
    (b"\xff\xd8\xff", 0, ("jpg", "jpeg", "jpe", "jfif", "mpo")),
    (b"GIF87a", 0, ("gif",)),
    (b"GIF89a", 0, ("gif",)),
    (b"WEBP", 8, ("webp",)),
    (b"WAVE", 8, ("wav",)),
    (b"AVI ", 8, ("avi",)),
    (b"II*\0", 0, ("tif", "tiff", "dng", "nef", "arw", "cr2", "raf", "orf", "rw2")),
    (b"MM\0*", 0, ("tif", "tiff", "dng", "nef", "arw", "cr2", "raf", "orf", "rw2")),
    (b"ftyp", 4, ("mp4", "m4v", "m4a", "mov", "3gp", "heic", "heif", "avif")),
    (b"\x1aE\xdf\xa3", 0, ("mkv", "webm", "weba")),
    (b"fLaC", 0, ("flac",)),
    (b"OggS", 0, ("ogg", "oga", "ogv", "opus")),
    (b"%PDF-", 0, ("pdf",)),
)
# Files of these names begin with their signature, always.
_SURE = {name for _, _, names in _SIGNATURES for name in names}
_TEXTS = frozenset(
    (
        "txt", "json", "json5", "jsonl", "ndjson", "csv", "tsv", "md", "html", "htm", "xhtml",
        "xml", "rst", "vtt", "srt", "yaml", "yml", "svg", "xmp",
    )
)  # fmt: skip


def extension_by_content(path: str, file: BinaryIO, size_bytes: int) -> str:
    """Return the extension of a file by its bytes, or by its name where these say nothing.

    RecordError when it is empty, when the bytes contradict the name, or when it stops in the
    middle.
    """
    if not size_bytes:
        raise RecordError("the file is empty")
    named, head = extension_of(path), file.read(HEAD_BYTES)
    for signature, place, names in _SIGNATURES:
        if head[place : place + len(signature)] == signature and _is_whole_kind(head, names):
            if reason := _unfinished(names[0], file, head, size_bytes):
                raise RecordError(f"is not finished: {reason}")
            return named if named in names else names[0]
    if named in _SURE:
        raise RecordError(f"is called .{named}, and does not begin like one")
    if named in _TEXTS:
        file.seek(0)
        _check_text(file)
    return named


def _is_whole_kind(head: bytes, names: tuple[str, ...]) -> bool:
    return names[0] not in ("webp", "wav", "avi") or head.startswith(b"RIFF")


def _unfinished(kind: str, file: BinaryIO, head: bytes, size_bytes: int) -> str | None:
    """Tell why a file of this kind is not whole, or None."""
    if kind in ("webp", "wav", "avi"):
        (told,) = struct.unpack("<I", head[4:8])
        # A stream that was not sought back says 0 or all ones.
        if told not in (0, 0xFFFFFFFF) and told + 8 > size_bytes + 1:
            return f"it says {told + 8:,} bytes and has {size_bytes:,}"
    elif kind == "mp4":
        return _unfinished_boxes(file, size_bytes)
    elif kind in ("png", "jpg", "gif", "pdf"):
        file.seek(max(0, size_bytes - TAIL_BYTES))
        tail = file.read(TAIL_BYTES)
        end = {"png": _PNG_END, "jpg": b"\xff\xd9", "gif": b";", "pdf": b"%%EOF"}[kind]
        if end not in tail[-1024:] and (kind == "gif" or end not in tail):
            return f"a {kind} without its end"
    return None


def _unfinished_boxes(file: BinaryIO, size_bytes: int) -> str | None:
    place = 0
    for _ in range(BOXES_MAX):
        if place == size_bytes:
            return None
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return "its last box is cut"
        (length,) = struct.unpack(">I", head[:4])
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        if length == 0:
            return None
        if length < 8 or place + length > size_bytes:
            return f"a box of {length:,} bytes at {place:,} of {size_bytes:,}"
        place += length
    return None


def _check_text(file: BinaryIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(TEXT_CHUNK_BYTES):
            if b"\0" in chunk:
                raise RecordError("is no text: it contains NUL")
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise RecordError("is no UTF-8") from error
