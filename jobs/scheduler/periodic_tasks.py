"""The list of what the scheduler does periodically; longer tasks have modules of their own."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from base.logging.ids import about
from jobs.runs.local_state import following
from jobs.scheduler.advance import LOOK_EVERY_S, Advance
from jobs.scheduler.alert_tasks import schedule_and_alert_tasks
from jobs.scheduler.arrivals import LOOK_EVERY_S as ARRIVALS_EVERY_S
from jobs.scheduler.arrivals import Arrivals
from jobs.scheduler.gpu_wake import watch_gpu
from jobs.scheduler.periodic_task import TURN_S, PeriodicTask, Watch
from jobs.scheduler.received import FORGET_EVERY_S as FORGET_REQUESTS_EVERY_S
from jobs.scheduler.received import LOOK_EVERY_S as RECEIVED_EVERY_S
from jobs.scheduler.received import Received, forget_requests, settle
from jobs.scheduler.supervise import revive

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig

DELIVER_EVERY_S = 0.5
RECONCILE_EVERY_S = 3.0
DELIVERED_AGE_S = 5.0
"""A task that was pushed so long ago and is neither in Redis nor claimed is pushed again."""
TAKE_BACK_EVERY_S = 2.0
WAIT_EVERY_S = 1.0
CLEAN_EVERY_S = 30.0
GPU_EVERY_S = 5.0
REVIVE_EVERY_S = 5.0
READ_WORDS_EVERY_S = 10.0
"""Writers read on themselves; this is for what was written before, or by one who was killed."""
READ_RIGHTS_EVERY_S = 5.0
FORGET_EVENTS_EVERY_S = 600.0
FORGET_CHANGES_EVERY_S = 3_600.0
FORGET_CHANGES_FOR_S = 20.0
COUNT_ARRIVALS_EVERY_S = 600.0
COUNT_ARRIVALS_FOR_S = 20.0
ADVANCE_TURN_S = 600.0
COMMANDS_MAX = 1
"""Of a GPU machine, in one look at it."""

_log = logging.getLogger(__name__)


def deliver(watch: Watch) -> None:
    """Push what is due to Redis."""
    watch.deliverer.push_due(watch.database)


def read_words(watch: Watch) -> None:
    """Make findable by words what nobody has read on."""
    watch.database.read_words()


def read_rights(watch: Watch) -> None:
    """Note what grants reach, where it was too much for those who granted or wrote."""
    watch.database.read_rights()


def forget_events(watch: Watch) -> None:
    """Throw away what happened so long ago that the feed does not keep it."""
    watch.database.events.forget(watch.config.events_kept_days * 86_400)


def forget_changes(watch: Watch) -> None:
    """Delete what is in the audit log for longer than it is kept."""
    kept_days = watch.config.audit_kept_days
    count = watch.database.audit.forget(kept_days * 86_400, FORGET_CHANGES_FOR_S)
    if count:
        told = about("audit.forgotten", entries=count)
        _log.info(
            "%d entries of the audit log were older than %g days", count, kept_days, extra=told
        )


def count_arrivals(watch: Watch) -> None:
    """Count what came in on the days that have passed."""
    watch.database.statistics.count_days(COUNT_ARRIVALS_FOR_S)


def reconcile(watch: Watch) -> None:
    """Push again what Redis lost: it was emptied, or a worker died with a job in its hand.

    And offer what waits to those who are kept free for the high lane, and began after that.
    """
    waiting = watch.database.runs.delivered_tasks(watch.config.queues, DELIVERED_AGE_S)
    watch.deliverer.offer(waiting)
    lost = watch.deliverer.missing(waiting)
    if lost and watch.database.runs.undeliver(lost, DELIVERED_AGE_S):
        _log.warning(
            "%d task(s) were not in Redis; they are delivered again",
            len(lost),
            extra=about("task.redelivered"),
        )
        deliver(watch)


class TakeBack:
    """Gives tasks to others whose worker is silent; remembers how the two clocks stand.

    Where the clock that beats are written down by, the database's, jumps ahead (it was set, or the
    machine slept) every worker looks silent at once: they get three beats to be heard again, as
    after a start of the database, and of the scheduler, which knows not what the clock did before.
    """

    def __init__(
        self,
        wall: Callable[[Watch], float] = lambda watch: watch.database.runs.clock_s(),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._ahead_s = math.inf
        self._begins_s = math.inf

    def __call__(self, watch: Watch) -> None:
        """Take back what is to be taken back."""
        config = watch.config
        patience_s = 3 * config.heartbeat_s
        now_s = self._steady()
        ahead_s = self._wall(watch) - now_s
        if self._begins_s == math.inf:
            self._begins_s = now_s + patience_s
        elif ahead_s - self._ahead_s > config.lease_s / 2:
            jump_s = ahead_s - self._ahead_s
            _log.warning(
                "the clock went ahead by %.0f s; workers are heard first",
                jump_s,
                extra=about("clock.jumped"),
            )
            self._begins_s = now_s + patience_s
        self._ahead_s = ahead_s
        if now_s < self._begins_s:
            return
        count = watch.database.runs.take_back(config.lease_s, patience_s, following)
        if count:
            _log.warning(
                "%d task(s) were taken back from silent workers",
                count,
                extra=about("task.taken_back"),
            )
            deliver(watch)


def let_waiting_go_on(watch: Watch) -> None:
    """Settle the gates, and let what waits for space look again."""
    if watch.database.runs.settle_gates() + watch.database.runs.look_for_space():
        deliver(watch)


def clean(watch: Watch) -> None:
    """Let Redis forget what died."""
    watch.deliverer.clean()


def run_keeping_tasks() -> list[PeriodicTask]:
    """Return the periodic tasks that keep runs going."""
    return [
        PeriodicTask("deliver", DELIVER_EVERY_S, deliver),
        PeriodicTask("reconcile", RECONCILE_EVERY_S, reconcile),
        PeriodicTask("take back", TAKE_BACK_EVERY_S, TakeBack()),
        PeriodicTask("waiting", WAIT_EVERY_S, let_waiting_go_on),
        PeriodicTask("clean", CLEAN_EVERY_S, clean),
    ]


def all_periodic_tasks(config: JobsConfig) -> list[PeriodicTask]:
    """Return all periodic tasks of a scheduler with this configuration."""
    tasks = [
        *run_keeping_tasks(),
        PeriodicTask("words", READ_WORDS_EVERY_S, read_words, apart=True),
        PeriodicTask("rights", READ_RIGHTS_EVERY_S, read_rights, apart=True),
        PeriodicTask("statistics", COUNT_ARRIVALS_EVERY_S, count_arrivals, apart=True),
        PeriodicTask("audit log", FORGET_CHANGES_EVERY_S, forget_changes, apart=True),
        PeriodicTask("events", FORGET_EVENTS_EVERY_S, forget_events, apart=True),
    ]
    # Shared: each scheduler looks after its own machine, the database or not.
    tasks += [PeriodicTask("revive", REVIVE_EVERY_S, revive, shared=True, apart=True)]
    tasks += schedule_and_alert_tasks()
    tasks.append(PeriodicTask("received", RECEIVED_EVERY_S, Received(), apart=True))
    tasks.append(PeriodicTask("dead letters", RECEIVED_EVERY_S, settle, apart=True))
    tasks.append(PeriodicTask("requests", FORGET_REQUESTS_EVERY_S, forget_requests, apart=True))
    if config.thumbnails_on_arrival or config.actions_on_arrival:
        tasks.append(PeriodicTask("arrivals", ARRIVALS_EVERY_S, Arrivals(), apart=True))
    tasks.append(
        PeriodicTask("pipelines", LOOK_EVERY_S, Advance(), apart=True, turn_s=ADVANCE_TURN_S)
    )
    if config.gpu.wake_command:
        turn_s = COMMANDS_MAX * config.gpu.command_timeout_s + TURN_S
        tasks.append(PeriodicTask("gpu", GPU_EVERY_S, watch_gpu, apart=True, turn_s=turn_s))
    return tasks
