"""Room in the inbox for what is received: its quota, or where it has none the SSD.

What lies in it is measured now and then, and what is written since is counted: an upload that never
ends stops at the limit, not at the end of the SSD.
"""

from __future__ import annotations

import os
import shutil
import threading
import time

from adapters.records.errors import SpaceError

FULL_SHARE = 0.9
"""From there on nothing is accepted, so that what is in can be worked off."""
MEASURE_EVERY_S = 10.0
_BLOCK_BYTES = 512


class Room:
    """How full the inbox is; any thread may ask."""

    def __init__(self, inbox: str, ssd: str, quota_bytes: int) -> None:
        self._inbox, self._ssd, self._quota_bytes = inbox, ssd, quota_bytes
        # Guards what was measured, and is held while it is; innermost.
        self._lock = threading.Lock()
        self._used_bytes, self._measured_s = 0, 0.0

    def check(self, size_bytes: int = 0) -> None:
        """Raise SpaceError where so much more is too much."""
        usage = shutil.disk_usage(self._ssd)
        self._compare("the SSD", usage.used + size_bytes, usage.total)
        if self._quota_bytes:
            self._compare("the inbox (3A)", self._used() + size_bytes, self._quota_bytes)

    def take(self, size_bytes: int) -> None:
        """Count what is about to be written; SpaceError where there is no room for it."""
        self.check(size_bytes)
        with self._lock:
            self._used_bytes += size_bytes

    def _compare(self, what: str, used_bytes: int, total_bytes: int) -> None:
        if used_bytes >= FULL_SHARE * total_bytes:
            raise SpaceError(
                f"{what} would be {used_bytes / total_bytes:.0%} full; nothing was taken: send it "
                "again when what is in the inbox is worked off"
            )

    def _used(self) -> int:
        with self._lock:
            if not self._measured_s or time.monotonic() - self._measured_s > MEASURE_EVERY_S:
                self._used_bytes = _allocated_bytes(self._inbox)
                self._measured_s = time.monotonic()
            return self._used_bytes


def _allocated_bytes(folder: str) -> int:
    """Return what the files below a folder take up, hard links once."""
    blocks, linked = 0, set[int]()
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue
            if status.st_nlink == 1 or status.st_ino not in linked:
                blocks += status.st_blocks
                linked.add(status.st_ino)
    return blocks * _BLOCK_BYTES
