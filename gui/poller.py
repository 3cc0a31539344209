"""What is going on: it owns the last known state of every part, read once for all browsers.

Each part is read in a thread, again and again: quickly while somebody looks, slowly else. A part
that does not answer keeps its last value, and says since when and why. Pages ask here and never
wait; they are told when something changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

IDLE_FACTOR = 10.0
"""So many times slower when nobody looks."""
TELL_INTERVAL_S = 0.25
"""Changes that come together are told once."""

Model = TypeVar("Model")
log = logging.getLogger("drystone.gui")


@dataclass(frozen=True, slots=True)
class Part:
    """Something to read: `slowness` times less often than the others."""

    name: str
    title: str
    read: Callable[[], Any]
    slowness: float = 1.0
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The last that is known of a part; `value` is None before the first time."""

    title: str
    value: Any = None
    read_time: datetime | None = None
    reason: str = ""
    down_since: datetime | None = None
    advice: str = ""


class Poller:
    """Reads all parts until it is closed; one for a server."""

    def __init__(self, parts: Sequence[Part], interval_s: float) -> None:
        self._parts = parts
        self._interval_s = interval_s
        # A part that hangs keeps its thread, and only its own.
        self._threads = ThreadPoolExecutor(max(1, len(parts)), "gui-poll")
        self._readings = {part.name: Reading(part.title, advice=part.advice) for part in parts}
        self._watchers: dict[object, Callable[[], None]] = {}
        self._views: dict[Callable[[Poller], Any], tuple[int, Any]] = {}
        self._version = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()

    # ---- What pages ask --------------------------------------------------------------------------

    def reading(self, name: str) -> Reading:
        """Return what is known of a part."""
        return self._readings[name]

    def value(self, name: str) -> Any:
        """Return the last value of a part; None before the first one."""
        return self._readings[name].value

    def down(self) -> tuple[Reading, ...]:
        """Return the parts that do not answer now."""
        return tuple(one for one in self._readings.values() if one.down_since is not None)

    def view(self, compute: Callable[[Poller], Model]) -> Model:
        """Return what is computed from the readings: once per change, whoever asks."""
        version, model = self._views.get(compute, (-1, None))
        if version != self._version:
            model = compute(self)
            self._views[compute] = (self._version, model)
        return model  # pyright: ignore[reportReturnType]

    def watch(self, key: object, tell: Callable[[], None]) -> None:
        """Call `tell` in the event loop after every change, until `unwatch`."""
        self._watchers[key] = tell
        self._wanted.set()

    def unwatch(self, key: object) -> None:
        """Tell this one no more."""
        self._watchers.pop(key, None)
        if not self._watchers:
            self._wanted.clear()

    # ---- Its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read, in the running event loop."""
        self._tasks = [asyncio.create_task(self._follow(part)) for part in self._parts]
        self._tasks.append(asyncio.create_task(self._tell()))

    def close(self) -> None:
        """Stop reading; a read that hangs is left behind."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def refresh(self) -> None:
        """Read all parts now; for whoever has just changed something."""
        await asyncio.gather(*(self._read(part) for part in self._parts if part.slowness <= 1))

    async def _follow(self, part: Part) -> None:
        while True:
            await self._read(part)
            pause_s = self._interval_s * part.slowness
            await asyncio.sleep(pause_s)
            if not self._watchers:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), pause_s * (IDLE_FACTOR - 1))

    async def _read(self, part: Part) -> None:
        before = self._readings[part.name]
        now = datetime.now(UTC)
        try:
            value = await asyncio.get_running_loop().run_in_executor(self._threads, part.read)
        except Exception as error:
            reason = str(error) or type(error).__name__
            if not hasattr(error, "exit_code") and before.reason != reason:
                log.exception("%s cannot be read", part.title)
            after = Reading(
                part.title, before.value, before.read_time, reason, before.down_since or now,
                part.advice,
            )  # fmt: skip
        else:
            after = Reading(part.title, value, now, advice=part.advice)
        self._readings[part.name] = after
        if (after.value, after.reason) != (before.value, before.reason) or not before.read_time:
            self._version += 1
            self._changed.set()

    async def _tell(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for key, tell in list(self._watchers.items()):
                if key not in self._watchers:
                    continue
                try:
                    tell()
                except Exception:
                    # One page that cannot show something must not stop the others.
                    log.exception("a page could not be brought up to date")
                await asyncio.sleep(0)
            await asyncio.sleep(TELL_INTERVAL_S)
