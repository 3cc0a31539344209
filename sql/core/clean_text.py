"""Text as PostgreSQL takes it."""

from __future__ import annotations

TEXT_SIZE_MAX = 8_000


def clean_text(text: str, size_max: int = TEXT_SIZE_MAX) -> str:
    """Return a text that PostgreSQL takes: no NUL, no lone surrogates, not endless."""
    if len(text) > size_max:
        text = text[: size_max - 4] + " ..."
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
