"""Begins what is done for everything that came in: thumbnails, then the actions of the settings.

One run for all that came at a time, when nothing has come for a while, or when much has come for
long. What a run could not do is not begun again here: a page makes a picture when somebody looks,
and of an action `action: {name: NAME, failed: true}` finds the nodes.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from adapters import EngineUnavailableError
from adapters.actions import contract_named, next_of
from base.errors import DrystoneError, UsageError
from jobs.runs.control import RunControl, dry_run
from sql import BusyError, DatabaseUnavailableError, QueryTimeoutError, Selector

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.core.config import ArrivalAction
    from jobs.scheduler.periodic_task import Watch

LOOK_EVERY_S = 10.0
WAIT_S_MAX = 300.0
"""So long at most does what came first wait for what comes after it."""
PRIORITY = 9
"""People's own runs go first."""
NODES_MAX = 5_000
"""So many a run; the next is begun when it has ended."""
NEW_DAYS = 7
"""What came longer ago is the backlog: it is left to runs that people start."""
_log = logging.getLogger(__name__)


class Arrivals:
    """The periodic task; it remembers up to which node everything was seen to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen = 0
        self._last = 0
        self._waits_since_s = 0.0
        # By action with something to do left, maybe: the last run that was begun for it, or 0.
        self._left: dict[str, int] = {}
        self._lacking: set[str] = set()

    def __call__(self, watch: Watch) -> None:
        """Begin runs when there is something for them, and it is time."""
        last = watch.database.thumbnails.last_node()
        if last > self._seen and self._has_waited(last) and self._begin_thumbnails(watch, last):
            self._seen = last
            for one in watch.config.actions_on_arrival:
                self._left.setdefault(one.action, 0)
        for one in watch.config.actions_on_arrival:
            if one.action in self._left and not self._go_on(watch, one):
                del self._left[one.action]

    def _has_waited(self, last: int) -> bool:
        now_s = self._clock()
        is_first, is_more = self._last <= self._seen, last > self._last
        self._last = last
        if is_first:
            self._waits_since_s = now_s
        return not (is_first or (is_more and now_s - self._waits_since_s < WAIT_S_MAX))

    def _begin_thumbnails(self, watch: Watch, last: int) -> bool:
        """Begin a run where pictures are missing; tell whether all that came is seen to."""
        if not watch.config.thumbnails_on_arrival:
            return True
        if not watch.database.thumbnails.missing(self._seen + 1, last, 1):
            return True
        control = RunControl(watch.config_path, watch.database, watch.config)
        try:
            _, created = control.start("thumbnails", {}, priority=PRIORITY, requested_by="arrival")
        except UsageError:
            return False  # One of a person's is going on, with other parts; looked at again.
        return created  # If not, it was planned before the last came: another is begun after it.

    def _go_on(self, watch: Watch, one: ArrivalAction) -> bool:
        """Begin the next run of an action; tell whether something may be left after it."""
        try:
            if run_id := self._left[one.action]:
                run = watch.database.runs.run(run_id)
                if run.end_time is None:
                    return True
                if run.state not in ("done", "partial"):
                    return False  # Its page says why; it would be the same again.
            loaded = contract_named(watch.config_path, one.action)
            asked = _request(watch, one)
            selector = Selector.model_validate(asked["selector"])
            if not any(next_of(watch.database, selector, loaded, 1, again=False)):
                return False
            if self._is_lacking(watch, one, asked):
                return False
            control = RunControl(watch.config_path, watch.database, watch.config)
            run, _ = control.start("ua_2", asked, priority=PRIORITY, requested_by="arrival")
        except (
            BusyError, DatabaseUnavailableError, EngineUnavailableError, QueryTimeoutError
        ):  # fmt: skip
            return True  # It is asked again; what is down is told elsewhere.
        except DrystoneError as error:
            _log.warning("%s cannot be done for what came in: %s", one.action, error)
            return False
        self._left[one.action] = run.run_id
        return True

    def _is_lacking(self, watch: Watch, one: ArrivalAction, asked: dict[str, Any]) -> bool:
        missing = dry_run(watch.config_path, "ua_2", {**asked, "nodes_max": 1})["missing"]
        if missing and one.action not in self._lacking:
            self._lacking.add(one.action)
            _log.info("%s is not done for what comes in: %s", one.action, missing)
        return bool(missing)


def _request(watch: Watch, one: ArrivalAction) -> dict[str, Any]:
    """Return what is asked of an action: the next of what was brought in lately, tried by none.

    What was made by actions is no arrival. The same all day, so that a run is not begun twice.
    """
    since = datetime.now(UTC).date() - timedelta(days=NEW_DAYS)
    wanted: list[dict[str, Any]] = [
        {"create_time": {"since": f"{since}T00:00:00Z"}},
        {"not": {"metadata": {"is_raw": False}}},
    ]
    if watch.database.actions.is_declared(one.action):
        wanted.append({"not": {"action": {"name": one.action, "failed": True}}})
    selector = {"version": 1, "where": {"all": wanted}}
    return {"action": one.action, "selector": selector, "nodes_max": NODES_MAX,
            "parameters": one.parameters}  # fmt: skip
