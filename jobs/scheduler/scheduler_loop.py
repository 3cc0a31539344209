"""The loop of the scheduler (`drystone scheduler`), which does periodic tasks in turn.

Each task has its interval and its turn: an advisory lock in the database lets one scheduler at a
time do it, so any number of schedulers are safe. A task that fails is logged and tried again;
nothing that it left undone is lost.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from typing import TYPE_CHECKING

from base.errors import DrystoneError
from base.logging.ids import about
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.runs.registry import load_extra_workflows
from jobs.scheduler.periodic_task import PeriodicTask, Watch
from jobs.scheduler.periodic_tasks import all_periodic_tasks
from sql import Database

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig

RETRY_PAUSE_S = 2.0
"""Between two tries of a periodic task that failed, at least."""

_log = logging.getLogger(__name__)


class SchedulerLoop:
    """The loop. `stop` may be called from any thread or signal handler."""

    def __init__(self, config: JobsConfig, config_path: str, tasks: list[PeriodicTask]) -> None:
        self._config, self._config_path = config, config_path
        self._tasks = tasks
        self._stop = threading.Event()

    def stop(self) -> None:
        """End after the periodic task that is being done."""
        self._stop.set()

    def run(self) -> None:
        """Do periodic tasks until stopped; the database and Redis may come and go."""
        while not self._stop.is_set():
            try:
                with Database.open(self._config_path, start=False) as database:
                    self._run(database)
            except DrystoneError as error:
                _log.warning("the database is away: %s", error, extra=about("database.away"))
                self._stop.wait(RETRY_PAUSE_S)

    def _run(self, database: Database) -> None:
        deliverer = Deliverer(connect(self._config), self._config.queues)
        watch = Watch(self._config_path, self._config, database, deliverer)
        while not self._stop.is_set():
            for task in self._tasks:
                if time.monotonic() >= task.due_s and not self._stop.is_set():
                    self._begin(task, watch)
            next_due = min(task.due_s for task in self._tasks)
            self._stop.wait(max(0.0, next_due - time.monotonic()))

    def _begin(self, task: PeriodicTask, watch: Watch) -> None:
        if not task.apart:
            self._do(task, watch)
            return
        task.due_s = math.inf  # Until it is done: never twice at a time.
        threading.Thread(
            target=self._do, args=(task, watch), name=f"task {task.name}", daemon=True
        ).start()

    def _do(self, task: PeriodicTask, watch: Watch) -> None:
        pause_s = task.interval_s
        try:
            if task.shared:
                task.function(watch)
            else:
                with watch.database.runs.sole_turn(task.name, task.turn_s) as mine:
                    if mine:
                        task.function(watch)
        except (DrystoneError, OSError) as error:
            _log.warning(
                "%s: %s",
                task.name,
                error,
                extra=about("scheduler.task_failed", periodic_task=task.name),
            )
            pause_s = max(pause_s, RETRY_PAUSE_S)
        except Exception:
            # One periodic task that is broken must not keep the others from being done.
            _log.exception(
                "%s failed",
                task.name,
                extra=about("scheduler.task_failed", periodic_task=task.name),
            )
            pause_s = max(pause_s, RETRY_PAUSE_S)
        task.due_s = time.monotonic() + pause_s


def keep(config: JobsConfig, config_path: str) -> None:
    """Be a scheduler until SIGTERM."""
    load_extra_workflows(config)
    scheduler = SchedulerLoop(config, config_path, all_periodic_tasks(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: scheduler.stop())
    scheduler.run()
