"""Sounds: it owns their tags and lengths, read by mutagen. Covers inside are not taken out."""

from __future__ import annotations

from typing import Any, BinaryIO

import mutagen

from adapters.records.values import as_integer, as_number, as_text
from adapters.sources.plain_folder.findings import Findings

SOUND_TYPES = ("mp3", "flac", "ogg", "opus", "wav", "aiff", "m4a", "aac", "wmv")
WITH_TAGS = (*SOUND_TYPES, "mp4", "mov", "3gp")
WRITTEN_MAX = 200

# Names of one tag in ID3, Vorbis comments and MP4.
_TAGS = {
    "title": ("TIT2", "title", "\xa9nam", "Title"),
    "artist": ("TPE1", "artist", "\xa9ART", "Author"),
    "album": ("TALB", "album", "\xa9alb", "WM/AlbumTitle"),
    "album_artist": ("TPE2", "albumartist", "aART", "WM/AlbumArtist"),
    "genre": ("TCON", "genre", "\xa9gen", "WM/Genre"),
    "release_date": ("TDRC", "date", "\xa9day", "TYER", "WM/Year"),
    "rights": ("TCOP", "copyright", "cprt", "Copyright"),
    "description": ("COMM:", "description", "comment", "\xa9cmt", "desc"),
}
_NUMBERS = {
    "track": ("TRCK", "tracknumber", "trkn", "WM/TrackNumber"),
    "disc": ("TPOS", "discnumber", "disk"),
}


def read_sound(file: BinaryIO) -> Findings:
    """Return tags and length; empty findings when mutagen cannot make sense of it."""
    found = Findings()
    file.seek(0)
    try:
        sound: Any = mutagen.File(file)
    except Exception:
        # Hostile bytes end in all kinds of errors; such a sound has nothing to tell.
        return found
    if sound is None:
        return found
    info = getattr(sound, "info", None)
    length = as_number(getattr(info, "length", None))
    found.columns |= {
        "codec": as_text(getattr(info, "codec", None)) or type(sound).__name__.lower(),
        "duration_s": length if length and length > 0 else None,
        "sample_rate": as_integer(getattr(info, "sample_rate", None)) or None,
        "channel_count": as_integer(getattr(info, "channels", None)) or None,
        "bit_rate": as_integer(getattr(info, "bitrate", None)) or None,
    }
    tags = _texts(sound.tags)
    if tags:
        found.written["tags"] = tags
    for column, names in _TAGS.items():
        found.columns[column] = _first(tags, names)
    for column, names in _NUMBERS.items():
        # Written as 3, 3/12 or 03.
        text = _first(tags, names) or ""
        found.columns[column] = as_integer(text.partition("/")[0]) or None
    return found


def _first(tags: dict[str, list[str]], names: tuple[str, ...]) -> str | None:
    for name in names:
        for key, texts in tags.items():
            # ID3 comments are called COMM:description:language; programs keep notes in named ones.
            if key == name or key.lower() == name or key.startswith(f"{name}:"):
                return as_text("; ".join(texts))
    return None


def _texts(tags: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if tags is None:
        return found
    try:
        items = list(tags.items())[:WRITTEN_MAX]
    except Exception:
        # Some containers have tags that are no mapping.
        return found
    for key, value in items:
        parts = getattr(value, "text", value)
        parts = parts if isinstance(parts, list) else [parts]
        texts = [text for text in map(_text, parts[:50]) if text]
        if texts and (name := as_text(key, 100)):
            found[name] = texts
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, tuple):
        return "/".join(str(part) for part in value[:2])
    if isinstance(value, bytes | bytearray):
        return None
    return as_text(value if isinstance(value, str | int | float) else _shown(value))


def _shown(value: Any) -> str | None:
    # Time stamps and ASF attributes; pictures and other blobs have no text.
    is_textual = type(value).__name__ in (
        "ID3TimeStamp",
        "ASFUnicodeAttribute",
        "ASFDWordAttribute",
    )
    return str(value) if is_textual else None
