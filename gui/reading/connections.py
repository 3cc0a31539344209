"""What a server of a store works with: its connections to engine and database, and its threads.

One per process. Whatever blocks is called through `work`, which has threads of its own: a database
that hangs takes none of those that the rest of the server needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from base.logging.ids import bind_for_good, current, ids_of_headers
from base.network.breaker import Breaker
from fsd import Client, load_config, store_operations
from gui.access.guest_turns import GuestTurns
from gui.access.sessions import REMEMBERED_S, Sessions
from gui.core.config import GuiConfig
from gui.reading.operations import database_operations, people_operations
from sql import AuditWitness, Database, DatabaseUnavailableError

if TYPE_CHECKING:
    from base.operations.operation import Operation
    from jobs import JobsConfig, RunControl, RunSession

THREADS_MAX = 16
CLOSE_TIMEOUT_S = 2.0
OPEN_TIMEOUT_S = 2.0

P = ParamSpec("P")
Result = TypeVar("Result")


class Connections:
    """The store and its database; close it at the end."""

    def __init__(self, config: GuiConfig, remembered_s: float = REMEMBERED_S) -> None:
        self.config = config
        self.store_config = load_config(config.config_path)
        self.breakers = {name: Breaker() for name in ("engine", "database", "redis")}
        self.store = Client(self.store_config.socket_path)
        self.store.breaker = self.breakers["engine"]
        self.sessions = Sessions(config, self.database, remembered_s)
        self.witness = AuditWitness(config.run_dir, self.database)
        self._threads = ThreadPoolExecutor(THREADS_MAX, "gui-work")
        self._guest_turns = GuestTurns()
        # Guards the two below, also while they are opened, which may wait for the database.
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._session: RunSession | None = None
        self.received: Any = None
        """What receives for the store, in the process of the public port."""

    def database(self) -> Database:
        """Return the database, opened when it is first needed; blocks.

        Raises DatabaseUnavailableError and the other SqlErrors: also while another thread waits
        for a server that replays its log.
        """
        if (opened := self._database) is not None:
            return opened
        if not self._lock.acquire(timeout=OPEN_TIMEOUT_S):
            raise DatabaseUnavailableError("the database is not open yet; ask again in a moment")
        try:
            if self._database is None:
                self._database = Database.open(self.config.config_path, start=False)
                self._database.guard(self.breakers["database"])
            return self._database
        finally:
            self._lock.release()

    def session(self) -> RunSession:
        """Return the place of work of the scheduler's operations; blocks."""
        from jobs import RunSession

        with self._lock:
            if self._session is None:
                self._session = RunSession(
                    self.config.config_path, self.database, breaker=self.breakers["redis"]
                )
                self._session.received = self.received
            return self._session

    @property
    def jobs_config(self) -> JobsConfig:
        """The settings of the scheduler. Raises ConfigError."""
        return self.session().config

    def operation(self, name: str) -> Operation[Any, Any, Any]:
        """Return an operation by its name."""
        found = store_operations().get(name) or database_operations().get(name)
        return found or people_operations()[name]

    def place(self, one: Operation[Any, Any, Any]) -> Any:
        """Return the place of work of an operation; blocks."""
        if one.name in ("ingest.purge", "ingest.purge_plan"):
            from adapters import PurgePlace

            return PurgePlace(self.config.config_path)
        return self.store if one.name in store_operations() else self.session()

    def control(self) -> RunControl:
        """Return what starts and changes runs; blocks."""
        return self.session().control

    async def work(
        self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run what blocks in a thread and return its result.

        Guests have few of the threads: BusyError when one of them comes to none.

        What somebody does on a page comes over a websocket: it gets an id as a request has one.
        """
        context = contextvars.copy_context()
        if "request_id" not in current():
            context.run(lambda: bind_for_good(**ids_of_headers("", "")))
        call: Callable[[], Any] = functools.partial(context.run, function, *args, **kwargs)
        async with self._guest_turns.taken():
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self) -> None:
        """Close everything; nothing is waited for that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        # Somebody may hold it while the database is waited for; that process ends without it, too.
        if self._lock.acquire(timeout=CLOSE_TIMEOUT_S):
            try:
                with contextlib.suppress(Exception):
                    if self._database is not None:
                        self._database.close()
            finally:
                self._lock.release()
