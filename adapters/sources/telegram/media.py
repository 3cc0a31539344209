"""Files of Telegram messages: it owns telling paths from excuses and media from attachments."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import reference
from adapters.records.folder import extension_of
from adapters.records.items import MediaFile, NodeReference
from adapters.records.values import as_count, as_number, as_text, first
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import IMAGE_EXTENSIONS, MOVING_EXTENSIONS
from adapters.sources.telegram.parts import PLATFORM

FILE_KEYS = ("photo", "file")
NO_MEDIUM = frozenset({"tgs"})
"""Animated stickers are gzipped JSON."""
SHOWN_EXTENSIONS = IMAGE_EXTENSIONS | MOVING_EXTENSIONS | {"pdf"}


def has_media(raw: dict[str, Any]) -> bool:
    """Tell whether a message has a file, also one that was not exported."""
    return any(isinstance(raw.get(key), str) and raw[key] for key in FILE_KEYS)


def add_media(draft: Draft, raw: dict[str, Any], identity: str) -> None:
    """Tie photo, file and preview of a message."""
    named = [(key, raw[key]) for key in FILE_KEYS if isinstance(raw.get(key), str) and raw[key]]
    for position, (key, path) in enumerate(named):
        file = _file(draft, path)
        suffix = "" if position == 0 else f"/{position}"
        medium: NodeReference | None = file or reference(PLATFORM, "media", f"{identity}{suffix}")
        if medium is None:
            continue
        draft.link(draft.subject, medium, _relationship(raw, key, path), position)
        draft.observe_medium(medium, _meta(raw, key, path))
        draft.link(medium, _file(draft, raw.get("thumbnail")), "thumbnail")
    card = _file(draft, raw.get("contact_vcard"))
    if card is not None:
        draft.link(draft.subject, card, "attachment")


def _file(draft: Draft, path: Any) -> MediaFile | None:
    """Return the file at a path; the text of an excuse in brackets names none."""
    if not isinstance(path, str) or path.startswith("(") or extension_of(path) in NO_MEDIUM:
        return None
    return draft.media.by_path(path, draft.path)


def _relationship(raw: dict[str, Any], key: str, path: str) -> str:
    told = str(raw.get("mime_type"))
    shown = told.startswith(("image/", "video/", "audio/")) or told == "application/pdf"
    known = key == "photo" or shown or raw.get("media_type") is not None
    return "contains" if known or extension_of(path) in SHOWN_EXTENSIONS else "attachment"


def _meta(raw: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    kind = first(as_text(raw.get("media_type")), "photo" if key == "photo" else None)
    name = None if path.startswith("(") else path.rpartition("/")[2]
    return {
        "media_type": kind,
        "mime_type": as_text(raw.get("mime_type")),
        "file_name": first(as_text(raw.get("file_name")), as_text(name)),
        "sticker_emoji": as_text(raw.get("sticker_emoji")),
        "duration_s": as_number(raw.get("duration_seconds")),
        "width": as_count(raw.get("width")),
        "height": as_count(raw.get("height")),
        "performer": as_text(raw.get("performer")),
        "medium_title": as_text(raw.get("title")),
    }
