"""The excerpt of a raw record for its metadata row: it owns what of it fits into 1,024 bytes."""

from __future__ import annotations

import json
from typing import Any

from adapters.records.values import clean

EXCERPT_BYTES_MAX = 1_024
VALUE_LENGTH_MAX = 200
_MARK = "_shortened"


def raw_excerpt(record: Any) -> str | None:
    """Return a record as JSON of at most 1,024 bytes, or None when there is none.

    A record that is too long keeps its scalar fields in their order, long texts cut, as many as
    fit, and says `"_shortened": true`. The complete record is an object in the store.
    """
    if not isinstance(record, dict):
        return None
    whole = _dump(record) if len(record) <= 200 else None
    if whole is not None and len(whole.encode()) <= EXCERPT_BYTES_MAX:
        return whole
    kept: dict[str, Any] = {}
    room = EXCERPT_BYTES_MAX - len(_dump({_MARK: True}))
    for name, value in record.items():
        if isinstance(value, dict | list) or value is None:
            continue
        if isinstance(value, str) and len(value) > VALUE_LENGTH_MAX:
            value = value[:VALUE_LENGTH_MAX]
        size = len(_dump({name: value}).encode()) + 1
        if size <= room:
            kept[name] = value
            room -= size
    return _dump({**kept, _MARK: True})


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return clean(text)
