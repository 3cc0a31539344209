"""What is going on: it owns the last known state of every part, read once for all browsers.

Each part is read in a thread of its own, again and again: quickly while somebody looks, slowly
else. A part that does not answer keeps its last value, and says since when and why. Pages ask here
and never wait; they are told when something changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from base.errors import DrystoneError
from base.logging.ids import about

IDLE_FACTOR = 10.0
"""So many times slower when nobody looks."""
TELL_INTERVAL_S = 0.25
"""Changes that come together are told once."""
REFRESH_TIMEOUT_S = 45.0
"""So long somebody waits for a part that hangs; a page has to be there within a minute."""

Model = TypeVar("Model")
log = logging.getLogger(__name__)


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
    error: Exception | None = None
    """Why it is down; `reason` is that in words."""
    took_s: float | None = None
    """How long the last reading took."""


@dataclass(slots=True)
class _Line:
    """The readings of one part, one after the other."""

    thread: ThreadPoolExecutor
    due: asyncio.Future[None] | None = None
    """Is done when the next reading, which has not begun, has ended; None when none is due."""
    task: asyncio.Task[None] | None = None
    """Reads for as long as a reading is due."""


class Poller:
    """Reads all parts until it is closed; one for a server."""

    def __init__(self, parts: Sequence[Part], interval_s: float) -> None:
        self._parts = parts
        self._interval_s = interval_s
        # A part that hangs keeps its thread, and only its own.
        self._lines = {
            part.name: _Line(ThreadPoolExecutor(1, f"gui-poll-{part.name}")) for part in parts
        }
        self._readings = {part.name: Reading(part.title, advice=part.advice) for part in parts}
        self._watchers: dict[object, Callable[[], None]] = {}
        self._views: dict[Callable[[Poller], Any], tuple[int, Any]] = {}
        self._asked_times: dict[str, datetime] = {}
        self._version = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._closed = False

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
        """Stop reading, and wake whoever waits for it; a read that hangs is left behind."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for line in self._lines.values():
            if line.task is not None:
                line.task.cancel()
            if line.due is not None and not line.due.done():
                line.due.set_result(None)
            line.thread.shutdown(wait=False, cancel_futures=True)

    def hurry(self) -> None:
        """Read all parts soon; for whoever has just changed something. Nobody waits."""
        self._ask_all()

    async def refresh(self, timeout_s: float = REFRESH_TIMEOUT_S) -> None:
        """Return after a reading of all parts that begins now or later, and knows what was done.

        Returns without it when a part hangs, or when this is closed meanwhile.
        """
        asked = self._ask_all()
        if asked:
            await asyncio.wait(asked, timeout=timeout_s)

    async def fresh(self, names: Iterable[str], age_s: float, timeout_s: float) -> set[str]:
        """Return once the readings of these parts are at most so old: the names of those that
        are not, as they took too long.
        """
        now = datetime.now(UTC)
        asked: dict[str, asyncio.Future[None]] = {}
        for part in self._parts if not self._closed else ():
            known = self._asked_times.get(part.name)
            if part.name in names and (known is None or (now - known).total_seconds() > age_s):
                asked[part.name] = self._ask(part)
        if asked:
            await asyncio.wait(asked.values(), timeout=timeout_s)
        return {name for name, future in asked.items() if not future.done()}

    def _ask_all(self) -> list[asyncio.Future[None]]:
        if self._closed:
            return []
        return [self._ask(part) for part in self._parts if part.slowness <= 1]

    def _ask(self, part: Part) -> asyncio.Future[None]:
        """Ask for a reading that has not begun yet; all who ask until it begins share it.

        Wait for the answer with `asyncio.wait`, which does not cancel it for the others.
        """
        line = self._lines[part.name]
        if line.due is None:
            line.due = asyncio.get_running_loop().create_future()
        if line.task is None:
            line.task = asyncio.create_task(self._serve(part, line))
        return line.due

    async def _serve(self, part: Part, line: _Line) -> None:
        while line.due is not None:
            begun, line.due = line.due, None
            try:
                await self._read(part, line.thread)
            finally:
                begun.set_result(None)
        line.task = None

    async def _follow(self, part: Part) -> None:
        while True:
            await asyncio.wait([self._ask(part)])
            pause_s = self._interval_s * part.slowness
            await asyncio.sleep(pause_s)
            if not self._watchers:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), pause_s * (IDLE_FACTOR - 1))

    async def _read(self, part: Part, thread: ThreadPoolExecutor) -> None:
        before = self._readings[part.name]
        now, began = datetime.now(UTC), time.monotonic()
        try:
            value = await asyncio.get_running_loop().run_in_executor(thread, part.read)
        except Exception as error:
            reason = str(error) or type(error).__name__
            if not isinstance(error, DrystoneError) and before.reason != reason:
                log.exception("%s cannot be read", part.title, extra=about("pages.part_failed"))
            after = Reading(
                part.title, before.value, before.read_time, reason, before.down_since or now,
                part.advice, error, time.monotonic() - began,
            )  # fmt: skip
        else:
            took_s = time.monotonic() - began
            after = Reading(part.title, value, now, advice=part.advice, took_s=took_s)
        self._asked_times[part.name] = now
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
                    log.exception(
                        "a page could not be brought up to date", extra=about("pages.update_failed")
                    )
                await asyncio.sleep(0)
            await asyncio.sleep(TELL_INTERVAL_S)
