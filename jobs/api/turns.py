"""Turns at the database for the jobs' API: it owns how many requests of each kind run at once.

Workers have turns of their own: however slowly somebody lists runs, heartbeats get through. All
together they are fewer than the connections of a Database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

Answer = TypeVar("Answer")

PEOPLE_MAX = 3
WORKERS_MAX = 4


class Turns:
    """The turns of one process, for all the sockets that it serves."""

    def __init__(self) -> None:
        # Held by a request while it has its thread; two, so that people never keep workers waiting.
        self._people = CapacityLimiter(PEOPLE_MAX)
        self._workers = CapacityLimiter(WORKERS_MAX)

    async def person(self, work: Callable[[], Answer]) -> Answer:
        """Do what a person or a script asked for, in a thread."""
        return await to_thread.run_sync(work, limiter=self._people)

    async def worker(self, work: Callable[[], Answer]) -> Answer:
        """Do what a worker asked for, in a thread."""
        return await to_thread.run_sync(work, limiter=self._workers)
