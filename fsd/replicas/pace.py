"""The rate limit of background copies: spreads their bytes over time, all of them together.

Only copies that the store makes by itself keep to it. While somebody waits for a rebuild it is
lifted, and those that go on end as fast as they can.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from fsd.disks.config import MIB

PACED_COPIES_MAX = 2
"""At once, where there is a limit: they hold their lanes for long, and others want some too."""
PIECE_S = 1.0
"""A piece is at most what may be copied in this time, so that no disk is taken for long."""


class CopyPace:
    """How fast background copies may go; a rate of 0 is no limit. Any thread may call it."""

    def __init__(self, rate_bytes_per_s: int) -> None:
        self._rate = rate_bytes_per_s
        # Guards the two below; nothing else is locked while it is held.
        self._lock = threading.Lock()
        self._due_s = 0.0
        self._lifted = 0

    @property
    def copies_max(self) -> int | None:
        """How many copies may go on at once; None for as many as there are lanes."""
        return PACED_COPIES_MAX if self._rate else None

    @property
    def is_lifted(self) -> bool:
        """Whether somebody waits for what background copies do, or hold."""
        with self._lock:
            return self._lifted > 0

    @contextmanager
    def lifted(self) -> Generator[None]:
        """Let background copies go as fast as they can, and begin no more of them."""
        with self._lock:
            self._lifted += 1
        try:
            yield
        finally:
            with self._lock:
                self._lifted -= 1

    def wait_s(self) -> float:
        """Return how long the next piece has to wait; 0 when it may be read."""
        with self._lock:
            if not self._rate or self._lifted:
                return 0.0
            return max(0.0, self._due_s - time.monotonic())

    def piece_bytes(self, size_bytes: int) -> int:
        """Return how much of so much may be read in one piece, in whole MiB or to the end."""
        with self._lock:
            if not self._rate or self._lifted:
                return size_bytes
            return min(size_bytes, max(MIB, int(PIECE_S * self._rate) // MIB * MIB))

    def take(self, size_bytes: int) -> None:
        """Note that so much is read: what comes after it waits as long as the rate wants."""
        with self._lock:
            if self._rate:
                self._due_s = max(self._due_s, time.monotonic()) + size_bytes / self._rate
