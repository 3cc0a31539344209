"""A breaker in front of what may be away: while it does not answer, others are told so at once.

    closed     all pass
    open       nobody does, for a moment after it failed again and again, or while all who ask hang
    half_open  one passes: when that is answered all do, else it is open again

Of the libraries for this, pybreaker holds a lock for as long as a call lasts, and none sees calls
that hang: those of a frozen process neither fail nor end, and take every thread there is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from typing import Literal

FAILURES_MAX = 3
PAUSE_S = 1.0
"""Between two tries while it is open."""
HANGING_MAX = 8
HANG_S = 30.0
"""So many calls that are so old, and no answer to any other since, are a failure."""

BreakerState = Literal["closed", "open", "half_open"]


class Breaker:
    """The breaker of one thing, for all threads of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Guards the rest, for moments; innermost.
        self._lock = threading.Lock()
        self._calls: dict[object, float] = {}
        self._failures = 0
        self._answered_s = self._tried_s = clock()

    @property
    def state(self) -> BreakerState:
        """What happens to whoever asks now."""
        with self._lock:
            return self._state()

    @contextlib.contextmanager
    def passing(
        self, away: Callable[[], Exception], is_failure: Callable[[Exception], bool]
    ) -> Generator[None]:
        """Let a call pass, or raise what `away` returns; other errors than failures are answers."""
        call = object()
        with self._lock:
            if self._state() == "open":
                raise away()
            self._calls[call] = self._tried_s = self._clock()
        has_answered = True
        try:
            yield
        except Exception as error:
            has_answered = not is_failure(error)
            raise
        finally:
            with self._lock:
                del self._calls[call]
                self._failures = 0 if has_answered else self._failures + 1
                if has_answered:
                    self._answered_s = self._clock()

    def _state(self) -> BreakerState:
        now_s = self._clock()
        hanging = sum(now_s - began_s > HANG_S for began_s in self._calls.values())
        hangs = hanging >= HANGING_MAX and now_s - self._answered_s > HANG_S
        if self._failures < FAILURES_MAX and not hangs:
            return "closed"
        # One that hangs is no answer either, and takes a thread each time.
        pause_s = HANG_S if hangs else PAUSE_S
        return "open" if now_s - self._tried_s < pause_s else "half_open"
