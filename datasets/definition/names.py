"""How people name versions: it owns `NAME`, `NAME@3`, manifest keys, pins."""

from __future__ import annotations

import re

from base.errors import UsageError

_NAME = re.compile(r"([a-z0-9][a-z0-9_-]{0,62})(?:@([1-9][0-9]{0,8}))?")
_KEY = re.compile(r"[0-9a-f]{64}")


def parse_name(text: str) -> tuple[str, int | None]:
    """Return name and version; the version is None for the newest."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!a} names no dataset: write NAME or NAME@VERSION, such as pets@3")
    return match[1], int(match[2]) if match[2] else None


def is_key(text: str) -> bool:
    """Tell whether a text is a key of the store: 64 hexadecimal digits."""
    return _KEY.fullmatch(text.lower()) is not None


def pin_name(name: str, manifest_key: str) -> str:
    """Return the name under which the store keeps the manifest of a version, and all it names."""
    return f"dataset-{name}-{manifest_key[:16]}"
