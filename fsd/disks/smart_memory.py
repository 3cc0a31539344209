"""What disks said of themselves before: it owns one small JSON file on the SSD, and no judgement.

    {"format": 1, "disks": {DISK ID: [[SECOND, REALLOCATED SECTORS], ...]}}

A disk has an entry for each time that its count had changed, the oldest first. Without it a restart
would take what has just grown for what the disk always had. It is written atomically; when it is
lost or damaged, counting begins anew, and on a full SSD it lives in memory.
"""

import contextlib
import json
import os
import threading
from typing import Any

from base.files import parse_json, write_durably
from fsd.disks.smart import NUMBER_MAX, SmartReading

FORMAT = 1
GROWTH_S = 30 * 86_400.0
"""A count is compared with the one of so long ago: what stopped growing is no trend any more."""
CHANGES_MAX = 64
"""Of each disk; of more the oldest but one go, so that the growth of the month stays seen."""

Changes = list[tuple[int, int]]


class SmartMemory:
    """The counts of all disks, by disk id. Safe to use from several threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Guards the counts and the file, which is written with it held. Innermost.
        self._lock = threading.Lock()
        self._known: dict[str, Changes] = {}
        with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
            self._known = unpack_changes(file.read())

    def note(self, disk_id: str, reading: SmartReading, now_s: float) -> None:
        """Remember what a disk says now, durable when it returns (if the SSD has room)."""
        count = reading.reallocated_sectors
        if count is None or count < 0:
            return
        with self._lock:
            known = self._known.get(disk_id, [])
            if known and known[-1][1] == count:
                return
            # A count that fell is of another device, or begins anew.
            before = known if known and known[-1][1] < count else []
            self._known[disk_id] = _shorten([*before, (int(now_s), count)], now_s)
            self._write()

    def earlier(self, disk_id: str, now_s: float) -> SmartReading | None:
        """Return what a disk said a month ago, or first; None when it never said anything."""
        with self._lock:
            known = _shorten(self._known.get(disk_id, []), now_s)
        return SmartReading(reallocated_sectors=known[0][1]) if known else None

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            write_durably(self._path, pack_changes(self._known))


def _shorten(changes: Changes, now_s: float) -> Changes:
    """Leave out what was superseded a month ago already."""
    old = sum(at_s <= now_s - GROWTH_S for at_s, _ in changes)
    kept = changes[max(0, old - 1) :]
    return kept if len(kept) <= CHANGES_MAX else [kept[0], *kept[1 - CHANGES_MAX :]]


def pack_changes(known: dict[str, Changes]) -> bytes:
    """Return the file's bytes."""
    return json.dumps({"format": FORMAT, "disks": known}).encode()


def unpack_changes(data: bytes) -> dict[str, Changes]:
    """Return what a file says; ValueError when it cannot be used."""
    try:
        document = parse_json(data)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']} is not known")
        return {disk_id: _parse(rows) for disk_id, rows in document["disks"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _parse(rows: list[Any]) -> Changes:
    changes = [(at_s, count) for at_s, count in rows]
    for number in (number for change in changes for number in change):
        if not isinstance(number, int) or not 0 <= number <= NUMBER_MAX:
            raise ValueError(f"{number!r} is no time and no count")
    return changes
