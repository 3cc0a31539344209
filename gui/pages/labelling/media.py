"""What a labeller reads: the beginnings of texts out of the store.

Files lie in the cache of pictures, which is bounded.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from base.errors import UsageError
from gui.widgets.blocks import clean

if TYPE_CHECKING:
    from gui.reading.desk import Desk

TEXT_SIZE_BYTES_MAX = 5_000_000
TEXT_LENGTH_MAX = 20_000


def text_of(desk: Desk, key: str) -> str:
    """Return the beginning of a text, printable. Raises FsdError and UsageError."""
    path = os.path.join(desk.config.thumbnail_dir, key[:2], f"{key}.text")
    if not os.path.exists(path):
        _fetch(desk, key, path)
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(TEXT_LENGTH_MAX + 1)
    return clean(text[:TEXT_LENGTH_MAX]) + (" …" if len(text) > TEXT_LENGTH_MAX else "")


def _fetch(desk: Desk, key: str, path: str) -> None:
    size_bytes = desk.store.head(key).size_bytes
    if size_bytes > TEXT_SIZE_BYTES_MAX:
        raise UsageError(f"{size_bytes:,} bytes are too many to show in a browser")
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".media-", dir=desk.config.thumbnail_dir) as folder:
        scratch = os.path.join(folder, "media")
        desk.store.read(key, scratch)
        os.replace(scratch, path)
