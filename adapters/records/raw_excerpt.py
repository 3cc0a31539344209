"""The excerpt of a raw record for its metadata row: it owns what of it fits into 1,024 bytes."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from adapters.records.values import clean

EXCERPT_BYTES_MAX = 1_024
VALUE_LENGTH_MAX = 200
DEPTH_MAX, FIELDS_MAX, MEMBERS_MAX = 5, 2_000, 3
"""How deep and how far into a long record is looked."""
_MARK = "_shortened"


def raw_excerpt(record: Any) -> str | None:
    """Return a record as JSON of at most 1,024 bytes, or None when there is none.

    A record that is too long keeps its scalar fields in their order, then parts of its objects and
    lists, long texts cut, as many as fit, and says `"_shortened": true`. The complete record is an
    object in the store.
    """
    if not isinstance(record, dict):
        return None
    whole = _dump(record) if len(record) <= 200 else None
    if whole is not None and len(whole.encode()) <= EXCERPT_BYTES_MAX:
        return whole
    room = EXCERPT_BYTES_MAX - len(_dump({_MARK: True}))
    kept, _ = _fields_that_fit(record, room, DEPTH_MAX)
    return _dump({**kept, _MARK: True})


def _fields_that_fit(record: dict[str, Any], room: int, depth: int) -> tuple[dict[str, Any], int]:
    """Return what fits of an object, and the bytes that are left."""
    kept: dict[str, Any] = {}
    fields = list(islice(record.items(), FIELDS_MAX))
    for is_nested in (False, True):
        for name, value in fields:
            if value is None or isinstance(value, dict | list) is not is_nested:
                continue
            if is_nested:
                frame = len(_dump({name: {}}).encode()) + 1
                part = _part_that_fits(value, room - frame, depth) if room > frame else None
            else:
                part = value[:VALUE_LENGTH_MAX] if isinstance(value, str) else value
            size = 0 if part is None else len(_dump({name: part}).encode()) + 1
            if part is not None and size <= room:
                kept[name] = part
                room -= size
    return kept, room


def _part_that_fits(value: Any, room: int, depth: int) -> Any:
    """Return what fits of an object, or of the first members of a list; None for nothing."""
    if depth == 0:
        return None
    if isinstance(value, dict):
        return _fields_that_fit(value, room, depth - 1)[0] or None
    kept: dict[str, Any] = {}
    numbered = {str(number): member for number, member in enumerate(value[:MEMBERS_MAX])}
    kept, _ = _fields_that_fit(numbered, room, depth - 1)
    return [*kept.values()] or None


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return clean(text)
