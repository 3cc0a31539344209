"""What a labeller looks at beside pictures: it owns sounds, videos and texts out of the store.

Only what a browser plays, and only under a type of our choice: bytes of strangers are never shown
as a page. Files lie in the cache of pictures, which is bounded.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from base.errors import UsageError
from gui.widgets.blocks import clean

if TYPE_CHECKING:
    from gui.reading.desk import Desk

PLAYED = {
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg",
    "mov": "video/mp4", "mkv": "video/webm",
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg",
    "oga": "audio/ogg", "opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac",
}  # fmt: skip
MEDIA_SIZE_BYTES_MAX = 1_000_000_000
TEXT_SIZE_BYTES_MAX = 5_000_000
TEXT_LENGTH_MAX = 20_000


def media_path(desk: Desk, key: str) -> str:
    """Return the path of an object's bytes, fetched once. Raises FsdError and UsageError."""
    path = os.path.join(desk.config.thumbnail_dir, key[:2], f"{key}.media")
    if not os.path.exists(path):
        _fetch(desk, key, path, MEDIA_SIZE_BYTES_MAX)
    return path


def text_of(desk: Desk, key: str) -> str:
    """Return the beginning of a text, printable. Raises FsdError and UsageError."""
    path = os.path.join(desk.config.thumbnail_dir, key[:2], f"{key}.text")
    if not os.path.exists(path):
        _fetch(desk, key, path, TEXT_SIZE_BYTES_MAX)
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(TEXT_LENGTH_MAX + 1)
    return clean(text[:TEXT_LENGTH_MAX]) + (" …" if len(text) > TEXT_LENGTH_MAX else "")


def _fetch(desk: Desk, key: str, path: str, size_bytes_max: int) -> None:
    size_bytes = desk.store.head(key).size_bytes
    if size_bytes > size_bytes_max:
        raise UsageError(f"{size_bytes:,} bytes are too many to show in a browser")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".media-", dir=desk.config.thumbnail_dir) as folder:
        scratch = os.path.join(folder, "media")
        desk.store.read(key, scratch)
        os.replace(scratch, path)
