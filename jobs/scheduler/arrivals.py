"""Begins what is done for everything that came in: a run that makes the missing thumbnails.

One run for all that came at a time, when nothing has come for a while, or when much has come for
long. What a run could not make is not begun again here: the store could not give it, and a page
makes it when somebody looks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from base.errors import UsageError
from jobs.runs.control import RunControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.scheduler.periodic_task import Watch

LOOK_EVERY_S = 10.0
WAIT_S_MAX = 300.0
"""So long at most does what came first wait for what comes after it."""
PRIORITY = 9
"""People's own runs go first."""


class Arrivals:
    """The periodic task; it remembers up to which node everything was seen to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen = 0
        self._last = 0
        self._waits_since_s = 0.0

    def __call__(self, watch: Watch) -> None:
        """Begin a run when there is something for it, and it is time."""
        last = watch.database.thumbnails.last_node()
        if last <= self._seen:
            return
        now_s = self._clock()
        is_first, is_more = self._last <= self._seen, last > self._last
        self._last = last
        if is_first:
            self._waits_since_s = now_s
        if is_first or (is_more and now_s - self._waits_since_s < WAIT_S_MAX):
            return
        if watch.database.thumbnails.missing(self._seen + 1, last, 1):
            control = RunControl(watch.config_path, watch.database, watch.config)
            try:
                _, created = control.start(
                    "thumbnails", {}, priority=PRIORITY, requested_by="arrival"
                )
            except UsageError:
                return  # One of a person's is going on, with other parts; this is looked at again.
            if not created:
                return  # It was planned before the last came: another one is begun after it.
        self._seen = last
