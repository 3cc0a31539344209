"""What came in, counted by day, source, type and account.

Days that have passed are counted once (`count_days`, by the scheduler) and kept; whoever asks
counts what came since, which takes seconds for a million nodes. What was told is remembered for a
while, longer where it took long.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from sql.core.repository import Repository
from sql.core.statements import statements
from sql.core.transactions import Transactions

CLOSED_AFTER_S = 6 * 3600.0
"""So long after a day's end nothing is written any more that began on it."""
KEPT_S = 10.0
COST_FACTOR = 20.0
REMEMBERED_MAX = 64
NONE = "none"
"""What has no bytes, no source, or was brought by nobody: it was made by an action, say."""

_SQL = statements("statistics")


class Wanted(NamedTuple):
    """Which arrivals: from the day `since` to before `until` (UTC), of a source, type, account."""

    since: date
    until: date
    source: str | None = None
    type: str | None = None
    account: str | None = None


class Arrived(NamedTuple):
    """How much came on a day, or of a source, type or account; `part` says which."""

    part: Literal["day", "source", "type", "account", "total"]
    day: date | None
    name: str
    nodes: int
    files: int
    size_bytes: int


# Guards what is remembered of each database, never held while one counts. Innermost.
_lock = threading.Lock()
_known: WeakKeyDictionary[Transactions, dict[Wanted, tuple[float, tuple[Arrived, ...]]]]
_known = WeakKeyDictionary()


class StatisticsBook(Repository):
    """Counts of what came in; get it as `Database.statistics`."""

    def arrived(self, wanted: Wanted) -> tuple[Arrived, ...]:
        """Return the parts: days in their order, all others by size, the largest first."""
        began_s = time.monotonic()
        with _lock:
            known = _known.setdefault(self._database, {})
            until_s, found = known.get(wanted, (0.0, ()))
        if began_s < until_s:
            return found
        found = tuple(self._all(Arrived, _SQL["arrived"], wanted._asdict()))
        now_s = time.monotonic()
        with _lock:
            known.pop(wanted, None)
            while len(known) >= REMEMBERED_MAX:
                known.pop(next(iter(known)))
            known[wanted] = (now_s + max(KEPT_S, COST_FACTOR * (now_s - began_s)), found)
        return found

    def count_days(self, for_s: float, now: datetime | None = None) -> int:
        """Count days that have passed, each in a transaction; stop after so long.

        Returns how many. What a crash leaves is counted by the next one.
        """
        before = ((now or datetime.now(UTC)) - timedelta(seconds=CLOSED_AFTER_S)).date()
        end_s, count = time.monotonic() + for_s, 0
        while self._count_day(before):
            count += 1
            if time.monotonic() > end_s:
                break
        return count

    def _count_day(self, before: date) -> bool:
        with self._database.connection() as connection:
            connection.execute(_SQL["counted"])
            row = connection.execute(_SQL["uncounted"], {"before": before}).fetchone()
            if row is None:
                return False
            connection.execute(_SQL["count_day"], {"day": row[0]})
            connection.execute(_SQL["day_is_counted"], {"day": row[0]})
        return True
