"""Periodic tasks for schedules and alerts, and what these keep open between two times."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from base.config import read_config
from base.errors import ConfigError
from base.logging.ids import about
from jobs.core.alert_config import load_alerts_config
from jobs.core.config import load_jobs_config
from jobs.notify.deliver import Deliverer
from jobs.scheduler.alert_watch import StoreWatch
from jobs.scheduler.periodic_task import PeriodicTask
from jobs.scheduler.schedules import add_built_in, fire_due, request_at

if TYPE_CHECKING:
    from jobs.scheduler.periodic_task import Watch
    from sql import Database

SCHEDULES_EVERY_S = 1.0
TELL_EVERY_S = 1.0
LOOK_EVERY_S = 5.0
"""How often it is looked whether the configured interval is over."""
LOOK_TURN_S = 600.0
"""A store of hanging disks takes its time to answer."""

_log = logging.getLogger(__name__)


class _Alerts:
    """The deliverer and the watch over the store, for as long as the scheduler has one database.

    drystone.toml is read again whenever it changed, before events are planned: a channel that was
    added is told of what happens from then on. A file that is wrong changes nothing, and is logged.
    """

    def __init__(self) -> None:
        self._database: Database | None = None
        self._opened: tuple[Deliverer, StoreWatch] | None = None
        self._every_s = 0.0
        self._next_look_s = 0.0
        self._read_as: tuple[int, ...] = ()
        # Guards all above but when to look next: `look` is done in a thread of its own.
        self._lock = threading.Lock()

    def tell(self, watch: Watch) -> None:
        """Bring events to those who want to be told."""
        self._open(watch)[0].tick()

    def look(self, watch: Watch) -> None:
        """Turn what is wrong with the store and the backups into events."""
        store = self._open(watch)[1]
        if self._every_s and time.monotonic() >= self._next_look_s:
            self._next_look_s = time.monotonic() + self._every_s
            store.look()

    def _open(self, watch: Watch) -> tuple[Deliverer, StoreWatch]:
        with self._lock:
            return self._opened_for(watch)

    def _opened_for(self, watch: Watch) -> tuple[Deliverer, StoreWatch]:
        if self._opened is not None and self._database is watch.database:
            self._read_again(watch.config_path, *self._opened)
            return self._opened
        read_as = _form_of(watch.config_path)
        config = load_alerts_config(watch.config_path)
        if self._opened is not None:
            self._opened[0].close()
        store_id = read_config(watch.config_path).store_id
        deliverer = Deliverer(config, watch.database, store_id, watch.config.webhooks)
        self._opened = deliverer, StoreWatch(watch.config_path, config, watch.database)
        self._database, self._every_s = watch.database, config.store_every_s
        self._read_as = read_as
        return self._opened

    def _read_again(self, path: str, deliverer: Deliverer, store: StoreWatch) -> None:
        read_as = _form_of(path)
        if read_as == self._read_as:
            return
        self._read_as = read_as  # Also of a file that is wrong: that is said once.
        try:
            config = load_alerts_config(path)
            webhooks = load_jobs_config(path).webhooks
        except ConfigError as error:
            _log.warning(
                "the channels stay as they were: %s", error, extra=about("alerts.not_read")
            )
            return
        deliverer.use(config, webhooks)
        store.use(config)
        if config.store_every_s != self._every_s:
            self._every_s, self._next_look_s = config.store_every_s, 0.0
        _log.info(
            "[jobs.alerts] was read again: %d channel(s)",
            len(config.channel),
            extra=about("alerts.read"),
        )


def schedule_and_alert_tasks() -> list[PeriodicTask]:
    """Return the tasks; they read [jobs.alerts] when they are first done and when it changed."""
    alerts = _Alerts()
    return [
        # It takes a turn of its own, and adds Drystone's own schedules where they are missing.
        PeriodicTask("schedules", SCHEDULES_EVERY_S, _Schedules().fire, shared=True),
        # Deliveries are taken one by one: any number of schedulers may bring them.
        PeriodicTask("alerts", TELL_EVERY_S, alerts.tell, shared=True),
        PeriodicTask("store", LOOK_EVERY_S, alerts.look, apart=True, turn_s=LOOK_TURN_S),
    ]


class _Schedules:
    def __init__(self) -> None:
        self._has_built_in = False

    def fire(self, watch: Watch) -> None:
        """Fire what is due."""
        if not self._has_built_in:
            add_built_in(watch.database)
            self._has_built_in = True
        fire_due(watch.database, request_at(watch.config_path))


def _form_of(path: str) -> tuple[int, ...]:
    """Return what is another once the file was written or replaced; empty while it is away."""
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return ()
