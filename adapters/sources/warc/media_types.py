"""Which payloads become files: it owns the media types whose files the store knows."""

from __future__ import annotations

from urllib.parse import urlsplit

from adapters.records.folder import extension_of

# Several names of one type are listed; styles, fonts, programs and archives are not stored.
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/pjpeg": "jpg",
    "image/png": "png",
    "image/x-png": "png",
    "image/apng": "apng",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "image/x-ms-bmp": "bmp",
    "image/tiff": "tiff",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/jxl": "jxl",
    "image/jp2": "jp2",
    "image/svg+xml": "svg",
    "image/x-icon": "ico",
    "image/vnd.microsoft.icon": "ico",
    "image/vnd.adobe.photoshop": "psd",
    "video/mp4": "mp4",
    "video/x-m4v": "m4v",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/mpeg": "mpg",
    "video/mp2t": "ts",
    "video/3gpp": "3gp",
    "video/ogg": "ogv",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "application/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/webm": "weba",
    "audio/midi": "mid",
    "text/html": "html",
    "application/xhtml+xml": "xhtml",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/vtt": "vtt",
    "text/javascript": "js",
    "application/javascript": "js",
    "application/x-javascript": "js",
    "application/json": "json",
    "application/ld+json": "json",
    "application/activity+json": "json",
    "application/feed+json": "json",
    "text/xml": "xml",
    "application/xml": "xml",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/pdf": "pdf",
}
# A server that says one of these does not know; then the address is believed.
_UNKNOWN = ("", "application/octet-stream", "binary/octet-stream", "application/force-download")
STORED = frozenset(EXTENSIONS.values()) | {"jpeg", "tif", "htm", "oga", "aiff", "wma", "mpeg"}


def media_type_of(content_type: str | None) -> str:
    """Return the bare media type in lower case, empty when there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def extension_for(content_type: str | None, uri: str) -> str | None:
    """Return the extension of the file that a payload becomes; None when it is not stored."""
    media_type = media_type_of(content_type)
    if media_type not in _UNKNOWN:
        return EXTENSIONS.get(media_type)
    try:
        extension = extension_of(urlsplit(uri).path)
    except ValueError:
        return None
    return extension if extension in STORED else None
