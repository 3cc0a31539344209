"""Turns of guests at the database's connections: one who asks much keeps nobody else waiting."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING

from sql.core.errors import BusyError

if TYPE_CHECKING:
    from sql.core.guests import Guest

EACH_MAX = 2
"""So many questions of one account, or of one link, are answered at a time."""
ALL_MAX = 3
"""So many of all guests; the other connections are left to everybody else."""
WAIT_S = 5.0
"""So long a question waits for its turn before whoever asks is told to come again."""


class GuestTurns:
    """The turns of all guests in a process."""

    def __init__(self) -> None:
        # Guards the counts, and is waited for without a connection; innermost.
        self._changed = threading.Condition()
        self._asking: Counter[tuple[int | None, bytes | None]] = Counter()

    @contextlib.contextmanager
    def taken(self, guest: Guest) -> Generator[None]:
        """Hold a turn for the block. Raises BusyError when none comes in time.

        Whoever has one and asks for another may wait in vain.
        """
        who = (guest.user_id, guest.link_hash)
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(who), WAIT_S):
                raise BusyError(
                    "guests are asking as much as they may at a time "
                    f"({EACH_MAX} questions each, {ALL_MAX} all together): ask again in a moment"
                )
            self._asking[who] += 1
        try:
            yield
        finally:
            with self._changed:
                self._asking[who] -= 1
                self._asking += Counter()  # Forgets those who ask nothing.
                self._changed.notify_all()

    def _is_free(self, who: tuple[int | None, bytes | None]) -> bool:
        return self._asking[who] < EACH_MAX and self._asking.total() < ALL_MAX
