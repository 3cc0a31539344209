"""Turns at the database's connections: it owns how many requests of each kind are served at once.

Each kind has its own turns, which are together no
more than the connections: whoever reads slowly, or waits for a lock, keeps only its own kind
waiting, and there is always a connection for health and for the next intent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from anyio import to_thread

from sql.core.connections import CONNECTIONS_MAX
from sql.core.errors import DatabaseUnavailableError

Answer = TypeVar("Answer")

QUERIES_MAX = CONNECTIONS_MAX - 5
"""Whoever reads slowly leaves the rest of the public port its connections."""
TURN_WAIT_S = 15.0
"""So long a request waits for its turn before it is told to come again."""


class Turn:
    """At most so many requests of one kind at a time; each has one thread and one connection."""

    def __init__(self, what: str, count: int, wait_s: float = TURN_WAIT_S) -> None:
        self._what = what
        self._count = count
        self._wait_s = wait_s
        # Held by a request while it has its thread and connection; waits in the event loop.
        self._free = asyncio.Semaphore(count)

    async def take(self) -> None:
        """Wait for a turn. Raises DatabaseUnavailableError when none comes in time."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"{self._count} {self._what} are being served, which is the limit; read answers to "
                "their end or close them, and try again"
            ) from None

    def give_back(self) -> None:
        """Let the next one have the turn."""
        self._free.release()

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Hold a turn for the block."""
        await self.take()
        try:
            yield
        finally:
            self.give_back()

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Do the work in a thread when its turn has come."""
        async with self.taken():
            return await to_thread.run_sync(work)


class Turns:
    """The turns of each kind of request."""

    def __init__(self, queries_max: int = QUERIES_MAX, wait_s: float = TURN_WAIT_S) -> None:
        self.queries = Turn("queries", queries_max, wait_s)
        # Intents wait for one lock of the database anyway, and parsing them for one interpreter.
        self.intents = Turn("intents", 1, wait_s)
        self.actions = Turn("requests about actions", 1, wait_s)
        self.health = Turn("requests for health", 1, wait_s)
