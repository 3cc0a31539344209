"""The keeper (`drystone scheduler`): it owns the loop of what has to be looked at again and again.

Each duty has its interval and its turn: an advisory lock in the database lets one keeper at a time
do it, so any number of keepers are safe. A duty that fails is logged and tried again; nothing that
it left undone is lost.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from base.errors import DrystoneError
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.runs.local_state import following
from jobs.runs.registry import load_extra_workflows
from sql import Database

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig

DELIVER_EVERY_S = 0.5
RECONCILE_EVERY_S = 3.0
DELIVERED_AGE_S = 5.0
"""A task that was pushed so long ago and is neither in Redis nor claimed is pushed again."""
TAKE_BACK_EVERY_S = 2.0
WAIT_EVERY_S = 1.0
CLEAN_EVERY_S = 30.0
TURN_S = 60.0
RETRY_PAUSE_S = 2.0
"""Between two tries of a duty that failed, at least."""

_log = logging.getLogger("drystone.keeper")


@dataclass(slots=True)
class Watch:
    """What duties work with."""

    config_path: str
    config: JobsConfig
    database: Database
    deliverer: Deliverer


@dataclass(slots=True)
class Duty:
    """Something to look at every `interval_s`. `shared` ones are done by every keeper.

    One that waits for others (a command, a store that hangs) is done `apart`, in a thread: what
    keeps runs going must not wait for it. After `turn_s` another keeper may do it, too: this one
    may be frozen. So every duty is safe beside itself.
    """

    name: str
    interval_s: float
    function: Callable[[Watch], None]
    shared: bool = False
    apart: bool = False
    turn_s: float = TURN_S
    due_s: float = field(default=0.0)


def deliver(watch: Watch) -> None:
    """Push what is due to Redis."""
    watch.deliverer.push_due(watch.database)


def reconcile(watch: Watch) -> None:
    """Push again what Redis lost: it was emptied, or a worker died with a job in its hand."""
    waiting = watch.database.runs.delivered_tasks(watch.config.queues, DELIVERED_AGE_S)
    lost = watch.deliverer.missing(waiting)
    if lost and watch.database.runs.undeliver(lost, DELIVERED_AGE_S):
        _log.warning("%d task(s) were not in Redis; they are delivered again", len(lost))
        deliver(watch)


class TakeBack:
    """Gives tasks to others whose worker is silent; remembers how the two clocks stand.

    Where the clock that beats are written down by, the database's, jumps ahead (it was set, or the
    machine slept) every worker looks silent at once: they get three beats to be heard again, as
    after a start of the database, and of the keeper, which knows not what the clock did before.
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
            _log.warning("the clock went ahead by %.0f s; workers are heard first", jump_s)
            self._begins_s = now_s + patience_s
        self._ahead_s = ahead_s
        if now_s < self._begins_s:
            return
        count = watch.database.runs.take_back(config.lease_s, patience_s, following)
        if count:
            _log.warning("%d task(s) were taken back from silent workers", count)
            deliver(watch)


def let_waiting_go_on(watch: Watch) -> None:
    """Settle the gates, and let what waits for space look again."""
    if watch.database.runs.settle_gates() + watch.database.runs.look_for_space():
        deliver(watch)


def clean(watch: Watch) -> None:
    """Let Redis forget what died."""
    watch.deliverer.clean()


def own_duties() -> list[Duty]:
    """Return the duties that keep runs going."""
    return [
        Duty("deliver", DELIVER_EVERY_S, deliver),
        Duty("reconcile", RECONCILE_EVERY_S, reconcile),
        Duty("take back", TAKE_BACK_EVERY_S, TakeBack()),
        Duty("waiting", WAIT_EVERY_S, let_waiting_go_on),
        Duty("clean", CLEAN_EVERY_S, clean),
    ]


class Keeper:
    """The loop. `stop` may be called from any thread or signal handler."""

    def __init__(self, config: JobsConfig, config_path: str, duties: list[Duty]) -> None:
        self._config, self._config_path = config, config_path
        self._duties = duties
        self._stop = threading.Event()

    def stop(self) -> None:
        """End after the duty that is being done."""
        self._stop.set()

    def run(self) -> None:
        """Do duties until stopped; the database and Redis may come and go."""
        while not self._stop.is_set():
            try:
                with Database.open(self._config_path, start=False) as database:
                    self._run(database)
            except DrystoneError as error:
                _log.warning("the database is away: %s", error)
                self._stop.wait(RETRY_PAUSE_S)

    def _run(self, database: Database) -> None:
        deliverer = Deliverer(connect(self._config), self._config.queues)
        watch = Watch(self._config_path, self._config, database, deliverer)
        while not self._stop.is_set():
            for duty in self._duties:
                if time.monotonic() >= duty.due_s and not self._stop.is_set():
                    self._begin(duty, watch)
            next_due = min(duty.due_s for duty in self._duties)
            self._stop.wait(max(0.0, next_due - time.monotonic()))

    def _begin(self, duty: Duty, watch: Watch) -> None:
        if not duty.apart:
            self._do(duty, watch)
            return
        duty.due_s = math.inf  # Until it is done: never twice at a time.
        threading.Thread(
            target=self._do, args=(duty, watch), name=f"duty {duty.name}", daemon=True
        ).start()

    def _do(self, duty: Duty, watch: Watch) -> None:
        pause_s = duty.interval_s
        try:
            if duty.shared:
                duty.function(watch)
            else:
                with watch.database.runs.sole_turn(duty.name, duty.turn_s) as mine:
                    if mine:
                        duty.function(watch)
        except (DrystoneError, OSError) as error:
            _log.warning("%s: %s", duty.name, error)
            pause_s = max(pause_s, RETRY_PAUSE_S)
        except Exception:
            # One duty that is broken must not keep the others from being done.
            _log.exception("%s failed", duty.name)
            pause_s = max(pause_s, RETRY_PAUSE_S)
        duty.due_s = time.monotonic() + pause_s


def keep(config: JobsConfig, config_path: str) -> None:
    """Be a keeper until SIGTERM."""
    from jobs.scheduler.keeper_duties import all_duties

    load_extra_workflows(config)
    keeper = Keeper(config, config_path, all_duties(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: keeper.stop())
    keeper.run()
