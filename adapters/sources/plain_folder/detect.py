"""What bytes are: it owns telling a file's true type from its first bytes, not from its name."""

from __future__ import annotations

HEAD_BYTES = 4_096

_BEGINNINGS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),
    (b"MM\0+", "tif"),
    (b"BM", "bmp"),
    (b"\0\0\1\0", "ico"),
    (b"8BPS", "psd"),
    (b"\x8aMNG\r\n\x1a\n", "mng"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"fLaC", "flac"),
    (b"FLV\1", "flv"),
    (b"MThd", "mid"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
    (b"\0\0\1\xba", "mpg"),
    (b"\0\0\1\xb3", "mpg"),
    (b"%PDF-", "pdf"),
    (b"PK\3\4", "zip"),
    (b"PK\5\6", "zip"),
    (b"\x1f\x8b\x08", "gz"),
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"MZ", "exe"),
    (b"\x7fELF", "elf"),
    (b"ID3", "mp3"),
)
_BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"hevc": "heic",
    b"mif1": "heic",
    b"msf1": "heic",
    b"qt  ": "mov",
    b"M4A ": "m4a",
    b"M4B ": "m4a",
}
_RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
_MARKUP = ((b"<svg", "svg"), (b"<!doctype html", "html"), (b"<html", "html"), (b"<?xml", "xml"))

# Extensions that fit a detected type beside its own name.
_FITTING = {
    "jpg": {"jpeg", "jpe", "jfif", "mpo"},
    "png": {"apng"},
    "tif": {"tiff", "dng", "cr2", "nef", "arw"},
    "heic": {"heif", "avif"},
    "avif": {"heif"},
    "mp4": {"m4v", "m4a", "mov", "3gp"},
    "m4a": {"mp4", "m4b"},
    "mov": {"mp4", "m4v"},
    "3gp": {"3gpp", "3g2", "mp4", "m4v"},
    "webm": {"mkv", "weba"},
    "ogg": {"oga", "ogv", "opus"},
    "opus": {"ogg", "oga"},
    "wmv": {"wma", "asf"},
    "mpg": {"mpeg"},
    "mid": {"midi"},
    "html": {"htm", "xhtml", "svg", "xml"},
    "xml": {"rss", "atom", "xmp", "svg", "nfo", "html", "xhtml"},
    "svg": {"xml", "html", "htm"},
    "zip": {"epub", "docx", "xlsx", "pptx", "odt", "cbz", "wacz"},
}


def detect(head: bytes) -> str | None:
    """Return the type as the extension that it usually has; None when the bytes do not say."""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head.startswith(b"OggS"):
        return "opus" if b"OpusHead" in head[:256] else "ogg"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return "mp3"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    lowered = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for mark, kind in _MARKUP if lowered.startswith(mark)), None)


def fits(detected: str | None, extension: str) -> bool | None:
    """Tell whether an extension fits; None when nothing was detected or there is no extension."""
    if detected is None or not extension:
        return None
    return extension == detected or extension in _FITTING.get(detected, ())


def _brand(head: bytes) -> str:
    major, rest = head[8:12], head[16:256]
    if major in (b"mif1", b"msf1", b"miaf") and (b"avif" in rest or b"avis" in rest):
        return "avif"
    if major.startswith(b"3g"):
        return "3gp"
    return _BRANDS.get(major, "mp4")
