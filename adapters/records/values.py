"""Values as sources write them: it owns careful reading of mistyped fields, and no format.

Every function returns None for what is absent or unusable, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bs4 import BeautifulSoup

BIGINT_MAX = 2**63 - 1
INTEGER_LENGTH_MAX = 26
"""The longest bigint, with a sign and its commas."""
TEXT_LENGTH_MAX = 4_096
# A comma only between groups of three: '3,5' is three and a half to many people.
_INTEGER = re.compile(r"-?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)")


def dig(value: Any, *path: str | int) -> Any:
    """Follow keys and indexes into a nested value; None as soon as something is missing."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part) if isinstance(part, str) else None
        elif isinstance(part, str):
            return None
        else:
            inside = isinstance(value, list) and -len(value) <= part < len(value)
            value = value[part] if inside else None
        if value is None:
            return None
    return value


def first(*values: Any) -> Any:
    """Return the first value that is neither None nor empty text."""
    return next((value for value in values if value is not None and value != ""), None)


def as_text(value: Any, length_max: int = TEXT_LENGTH_MAX) -> str | None:
    """Return clean text, cut to the limit: no NUL, no lone surrogates; numbers as digits."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    else:
        text = str(value)
    if not text.isascii() or "\0" in text:
        text = clean(text)
    return text.strip()[:length_max] or None


def clean(text: str) -> str:
    """Return storable text: NUL and lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text.replace("\0", "\ufffd")


def as_integer(value: Any) -> int | None:
    """Return an integer that fits bigint: from a number or from text such as '1,234'."""
    if isinstance(value, str):
        digits = value.strip()
        if len(digits) > INTEGER_LENGTH_MAX or not _INTEGER.fullmatch(digits):
            return None
        value = int(digits.replace(",", ""))
    elif isinstance(value, float):
        if not value.is_integer() or abs(value) > 2**53:
            return None
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -BIGINT_MAX <= value <= BIGINT_MAX else None


def as_id(value: Any) -> str | None:
    """Return an id as decimal text, from digits or an exact integer; a float has lost some."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**30:
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= 30 else None


def as_count(value: Any) -> int | None:
    """Return a count: an integer that is not negative."""
    number = as_integer(value)
    return number if number is not None and number >= 0 else None


def as_number(value: Any) -> float | None:
    """Return a finite number, from a number or its text."""
    if isinstance(value, str):
        if "_" in value or not value.isascii():
            return None  # Python would take them for digits.
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def as_boolean(value: Any) -> bool | None:
    """Return a boolean, also from 0, 1, 'true' and 'false'."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false", "1", "0"):
        return value.strip().lower() in ("true", "1")
    return None


def as_texts(value: Any, count_max: int = 1_000) -> list[str] | None:
    """Return a list of texts from a list of texts; other members are left out."""
    if not isinstance(value, list):
        return None
    texts = [text for text in map(as_text, value[:count_max]) if text is not None]
    return texts or None


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the members of a list that are objects; nothing for anything else."""
    if isinstance(value, list):
        yield from (member for member in value if isinstance(member, dict))


def text_of_html(value: Any) -> str | None:
    """Return the readable text of an HTML fragment."""
    if not isinstance(value, str) or not value.strip():
        return None
    if "<" not in value and "&" not in value:
        return as_text(value)
    try:
        # Begun with a tag, because a bare address or path would make BeautifulSoup warn.
        soup = BeautifulSoup("<p>" + value[:1_000_000], "html.parser")
        return as_text(soup.get_text(" ", strip=True))
    except (RecursionError, ValueError, AssertionError):
        return as_text(value)
