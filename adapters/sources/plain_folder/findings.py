"""What readers of files find: it owns the shape that their results have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_text

_EXIF_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?")
_OFFSET = re.compile(r"([+-]\d\d):?(\d\d)$|(Z)$")

_TAKEN = ("taken_time", "taken_offset")


@dataclass(slots=True)
class Findings:
    """Columns of the file table, the times, and everything as it was written."""

    columns: dict[str, Any] = field(default_factory=dict[str, Any])
    taken: datetime | None = None
    changed: datetime | None = None
    written: dict[str, Any] = field(default_factory=dict[str, Any])

    def fill(self, other: Findings) -> None:
        """Take from another reader what is still unknown."""
        for name, value in other.columns.items():
            if name not in _TAKEN and value is not None and self.columns.get(name) is None:
                self.columns[name] = value
        if other.taken is not None and (self.taken is None or self._is_same_with_zone(other)):
            self.taken = other.taken
            self.columns |= {name: other.columns.get(name) for name in _TAKEN}
        self.changed = self.changed or other.changed
        self.written.update(other.written)

    def _is_same_with_zone(self, other: Findings) -> bool:
        """Tell whether another reader knows the zone of our time, and agrees about the clock."""
        offset = other.columns.get("taken_offset")
        if self.taken is None or other.taken is None or not offset:
            return False
        if self.columns.get("taken_offset") is not None:
            return False
        minutes = int(offset[1:3]) * 60 + int(offset[4:6])
        clock = other.taken + timedelta(minutes=-minutes if offset[0] == "-" else minutes)
        return clock == self.taken


def moment(text: Any, offset: Any = None) -> tuple[datetime | None, str | None]:
    """Return a camera's time and its zone; without one the local time as if it were UTC."""
    written = (as_text(text) or "").strip()
    match = _EXIF_TIME.match(written)
    if match is None or match[1] == "0000":
        return None, None
    year, month, day, hour, minute, second = (part or "00" for part in match.groups())
    zone = _OFFSET.search(written[match.end() :]) or _OFFSET.search((as_text(offset) or "").strip())
    shown = None if zone is None else "+00:00" if zone[3] else f"{zone[1]}:{zone[2]}"
    time = parse_time(f"{year}-{month}-{day}T{hour}:{minute}:{second}{shown or ''}")
    return time, shown if time else None


def first_text(values: Mapping[str, Any], *names: str) -> str | None:
    """Return the first text under one of the names; of a list its members, joined."""
    for name in names:
        value = values.get(name)
        if isinstance(value, list):
            value = "; ".join(str(member) for member in value[:20])
        if text := as_text(value):
            return text
    return None
