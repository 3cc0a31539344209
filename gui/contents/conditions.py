"""Conditions and ranges of requests (RFC 9110): what a client has already, and which part it wants.

Entity tags are strong: they stand for bytes. Pure functions of headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_TAG = re.compile(r'(?:W/)?("[^"]*")')
_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,999})\s*-\s*([0-9]{0,999})", re.IGNORECASE)


class Part(NamedTuple):
    """The bytes from `begin` to before `end`."""

    begin: int
    end: int


def is_known(headers: Mapping[str, str], tag: str) -> bool:
    """Tell whether a client has what the tag stands for (If-None-Match): it is answered 304."""
    told = headers.get("if-none-match", "")
    return told.strip() == "*" or tag in _TAG.findall(told)


def part_of(headers: Mapping[str, str], tag: str, size_bytes: int) -> Part | None:
    """Return the part that is wanted; None for all of it. One beyond the end is empty (416).

    What is not understood, several parts at once, and a part of something else (If-Range) are
    answered with all, as the RFC lets a server do.
    """
    found = _RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or headers.get("if-range", tag).strip() != tag:
        return None
    first, last = found.groups()
    if not first:
        if not last:
            return None
        return Part(max(0, size_bytes - int(last)), size_bytes)
    if last and int(last) < int(first):
        return None
    end = min(size_bytes, int(last) + 1) if last else size_bytes
    return Part(int(first), max(end, int(first)))
