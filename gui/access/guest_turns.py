"""Turns of guests at the server's threads: those who wait for the database leave others some.

Which guest a request is of is known where it comes in, and told to whatever is done for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar
from weakref import WeakValueDictionary

from sql import BusyError

EACH_MAX = 4
"""So many threads work for one account, or one link, at a time."""
ALL_MAX = 8
"""So many for all guests."""
WAIT_S = 5.0
"""So long a question waits for a thread before whoever asks is told to come again."""

_asking: ContextVar[str] = ContextVar("guest", default="")


@contextlib.contextmanager
def asked_by(guest: str) -> Generator[None]:
    """Say that what is done in the block is for a guest, by any name that tells it from others."""
    mark = _asking.set(guest)
    try:
        yield
    finally:
        _asking.reset(mark)


class GuestTurns:
    """The turns of all guests; one event loop's alone."""

    def __init__(self) -> None:
        # Held while a thread works for a guest; waited for in the loop, after the guest's own.
        self._all = asyncio.Semaphore(ALL_MAX)
        self._each: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncGenerator[None]:
        """Hold a turn for the block, where it is for a guest. Raises BusyError when none comes."""
        guest = _asking.get()
        if not guest:
            yield
            return
        own = self._each.get(guest)
        if own is None:
            # Before `_all`: whoever asks much waits for its own first.
            own = self._each[guest] = asyncio.Semaphore(EACH_MAX)
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_S):
                    await stack.enter_async_context(own)
                    await stack.enter_async_context(self._all)
            except TimeoutError:
                raise BusyError(
                    "guests are asking as much as they may at a time: ask again in a moment"
                ) from None
            yield
