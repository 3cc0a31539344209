"""Brings in what was received: a run of the inbox when a new window lies in it; and says what came
of it: what is described, and dead letters of what failed.

Which folders get a run of their own, and when again, is the inbox's (jobs/runs/workflows).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from adapters import RECEIVED_PREFIX, inbox_root, is_signalled, settle_received
from jobs.runs.control import RunControl
from sql import PRIORITY_HIGH

if TYPE_CHECKING:
    from jobs.scheduler.periodic_task import Watch

LOOK_EVERY_S = 2.0
FORGET_EVERY_S = 3_600.0
KEPT_S = 7 * 86_400.0
INBOX = "inbox"


class Received:
    """The periodic task; it remembers for which windows it had a run begun."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, watch: Watch) -> None:
        """Begin a run of the inbox for windows that were not there before."""
        inbox = inbox_root(watch.config_path)
        names = {name for name in os.listdir(inbox) if name.startswith(RECEIVED_PREFIX)}
        self._seen &= names
        new = {name for name in names - self._seen if is_signalled(os.path.join(inbox, name))}
        if not new:
            return
        control = RunControl(watch.config_path, watch.database, watch.config)
        _, created = control.start(INBOX, {}, priority=PRIORITY_HIGH, requested_by="receive")
        if created:
            # One that was going on may have looked before they came: then it is asked again.
            self._seen |= new


def settle(watch: Watch) -> None:
    """Note what became of requests and of replays."""
    settle_received(watch.config_path, watch.database)


def forget_requests(watch: Watch) -> None:
    """Forget requests that came so long ago that nobody asks for them, and that came in."""
    watch.database.received.forget(KEPT_S)
