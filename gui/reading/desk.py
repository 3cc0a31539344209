"""What every page and route works with: it owns the connections to store and database.

One per server. Whatever blocks is called through `Desk.work`, which has threads of its own: a
database that hangs takes none of those that the rest of the server needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from fsd import Client, load_config
from gui.access.sessions import Sessions
from gui.core.config import GuiConfig
from gui.reading.facet_counts import FacetCounts
from gui.reading.label_desk import LabelDesk
from gui.reading.polled import polled_parts
from gui.reading.poller import Poller
from gui.reading.thumbnails import Thumbnails
from sql import Database

if TYPE_CHECKING:
    from jobs import RunControl, RunSession

THREADS_MAX = 16
CLOSE_TIMEOUT_S = 2.0

P = ParamSpec("P")
Result = TypeVar("Result")


class Desk:
    """The store, its database, and what is known of them; close it at the end."""

    def __init__(self, config: GuiConfig) -> None:
        self.config = config
        self.store_config = load_config(config.config_path)
        self.store = Client(self.store_config.socket_path)
        self.sessions = Sessions(config, self.database)
        self.facets = FacetCounts(self.database)
        self.labels = LabelDesk(self.database, self.control)
        self.thumbnails = Thumbnails(
            self.store,
            config.thumbnail_dir,
            config.thumbnail_cache_bytes,
            config.thumbnail_workers,
            lambda key: self.database().thumbnails.of_key(key),
        )
        parts = polled_parts(self.store, self.database, config.config_path)
        self.poller = Poller(parts, config.poll_interval_s)
        self._threads = ThreadPoolExecutor(THREADS_MAX, "gui-work")
        # Guards the two below, also while they are opened, which may wait for the database.
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._session: RunSession | None = None

    def database(self) -> Database:
        """Return the database, opened when it is first needed; blocks.

        Raises DatabaseUnavailableError and the other SqlErrors.
        """
        with self._lock:
            if self._database is None:
                self._database = Database.open(self.config.config_path, start=False)
            return self._database

    def session(self) -> RunSession:
        """Return the place of work of the scheduler's operations; blocks."""
        from jobs import RunSession

        with self._lock:
            if self._session is None:
                self._session = RunSession(self.config.config_path, self.database)
            return self._session

    def control(self) -> RunControl:
        """Return what starts and changes runs; blocks."""
        return self.session().control

    async def work(
        self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run what blocks in a thread and return its result."""
        call: Callable[[], Any] = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Close everything; nothing is waited for that hangs."""
        self.poller.close()
        self.thumbnails.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        # Somebody may hold it while the database is waited for; that process ends without it, too.
        if self._lock.acquire(timeout=CLOSE_TIMEOUT_S):
            try:
                with contextlib.suppress(Exception):
                    if self._database is not None:
                        self._database.close()
            finally:
                self._lock.release()
