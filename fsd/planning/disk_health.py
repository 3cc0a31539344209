"""How well a disk is: it owns the judgement over its troubles, as pure state.

ok       nothing that lasts
suspect  several troubles in a while: avoided for new replicas, read last
failing  many errors or stalls: to be drained or replaced

Troubles are counted over two windows, ten minutes and a day. A state gets worse at once when a
limit is reached, and better by one step only when the counts are below half of every limit that
leads into it and nothing at all happened for the quiet time. So it cannot flap: between two steps
to the better lies the quiet time, and one isolated error changes nothing and is forgotten in a day.

error    the disk could not read or write, or gave other bytes than were written
stall    it hung until its process was killed
slow     one system call on it took more than two seconds; this alone never makes it failing
"""

import errno
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from base.text import count_text
from fsd.format.errors import CorruptError
from fsd.planning.placement import DiskSpace

TroubleKind = Literal["error", "stall", "slow"]
HealthState = Literal["ok", "suspect", "failing"]

SHORT_S = 600.0
LONG_S = 86_400.0
SLOW_S = 2.0
"""One system call that takes longer is slow: a sound disk retries nothing for so long."""
QUIET_S = 1800.0
EVENTS_MAX = 256
"""Of each kind; more than any limit, so that forgetting the oldest changes no judgement."""
KINDS: tuple[TroubleKind, ...] = ("error", "stall", "slow")
MEDIUM_ERRNOS = frozenset({errno.EIO, errno.EREMOTEIO, errno.ENODATA, errno.ENXIO, errno.ETIMEDOUT})
INNOCENT_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT})
"""What a write may fail with on a sound disk."""
STATES: tuple[HealthState, ...] = ("ok", "suspect", "failing")

# (state, kind, window, count that leads into the state)
LIMITS: tuple[tuple[HealthState, TroubleKind, float, int], ...] = (
    ("failing", "error", SHORT_S, 16),
    ("failing", "error", LONG_S, 48),
    ("failing", "stall", SHORT_S, 3),
    ("failing", "stall", LONG_S, 6),
    ("suspect", "error", SHORT_S, 3),
    ("suspect", "error", LONG_S, 10),
    ("suspect", "stall", SHORT_S, 2),
    ("suspect", "stall", LONG_S, 3),
    ("suspect", "slow", SHORT_S, 6),
    ("suspect", "slow", LONG_S, 40),
)


@dataclass(slots=True)
class DiskHealth:
    """One disk's troubles and its state. Times are seconds, in order, from any one clock."""

    state: HealthState = "ok"
    reason: str = ""
    changed_s: float = 0.0
    _last_s: float = float("-inf")
    _events: dict[TroubleKind, deque[float]] = field(
        default_factory=lambda: {kind: deque(maxlen=EVENTS_MAX) for kind in KINDS}
    )

    @property
    def rank(self) -> int:
        """Return 0 ok, 1 suspect, 2 failing: what is read first, and what is written at all."""
        return STATES.index(self.state)

    def note(self, kind: TroubleKind, now_s: float) -> None:
        """Count one trouble; the state may get worse by it, never better."""
        self._set_back(now_s)
        # A clock that was set back must not bring the past into disorder.
        self._last_s = now_s = max(now_s, self._last_s)
        self._events[kind].append(now_s)
        for state, reason in self._reached(now_s, 1.0):
            if STATES.index(state) > self.rank:
                self.state, self.changed_s = state, now_s
            if state == self.state:
                self.reason = reason
                return

    def settle(self, now_s: float) -> None:
        """Let time pass: the state may get better by one step, never worse."""
        self._set_back(now_s)
        if self.state == "ok" or now_s - max(self._last_s, self.changed_s) < QUIET_S:
            return
        reached = self._reached(now_s, 0.5)
        if any(STATES.index(state) >= self.rank for state, _ in reached):
            return
        self.state, self.changed_s = STATES[self.rank - 1], now_s
        self.reason = "" if self.state == "ok" else f"better than it was ({self.reason})"

    def _set_back(self, now_s: float) -> None:
        """Take what a clock that was far ahead saw as seen now, or it would never be forgotten."""
        if self._last_s - now_s > LONG_S or self.changed_s - now_s > LONG_S:
            for kind, moments in self._events.items():
                self._events[kind] = deque((min(m, now_s) for m in moments), maxlen=EVENTS_MAX)
            self._last_s, self.changed_s = min(self._last_s, now_s), min(self.changed_s, now_s)

    def dump(self) -> dict[str, Any]:
        """Return it as plain JSON, for `load`."""
        events = {kind: list(moments) for kind, moments in self._events.items()}
        changed = {"state": self.state, "reason": self.reason, "changed_s": self.changed_s}
        return {**changed, "events": events}

    def load(self, document: dict[str, Any]) -> None:
        """Take up what `dump` returned; an unknown state is refused with a ValueError."""
        state = STATES[STATES.index(document["state"])]
        for kind in KINDS:
            moments = sorted(float(moment) for moment in document["events"].get(kind, []))
            self._events[kind].extend(moments)
            self._last_s = max([self._last_s, *moments])
        self.state, self.reason = state, str(document["reason"])
        self.changed_s = float(document["changed_s"])

    def count(self, kind: TroubleKind, window_s: float, now_s: float) -> int:
        """Return how many troubles of a kind lie in the window that ends now."""
        return sum(moment > now_s - window_s for moment in self._events[kind])

    def _reached(self, now_s: float, share: float) -> list[tuple[HealthState, str]]:
        """Return the states whose limits, or a share of them, are reached, the worst first."""
        found: list[tuple[HealthState, str]] = []
        for state, kind, window_s, limit in LIMITS:
            count = self.count(kind, window_s, now_s)
            if count >= max(1, limit * share):
                noun = {"error": "error", "stall": "stall", "slow": "slow request"}[kind]
                found.append((state, f"{count_text(count, noun)} in {_window_text(window_s)}"))
        return found


def _window_text(window_s: float) -> str:
    return f"{window_s / 60:.0f} minutes" if window_s < 3600 else f"{window_s / 3600:.0f} hours"


def note_failure(health: DiskHealth, error: BaseException, *, writing: bool = False) -> None:
    """Count a failed request if it speaks against the disk.

    A full or read-only filesystem does not, nor does a process that was ended. A stall is counted
    by who ends the process, once, however many requests it fails.
    """
    number = getattr(error, "errno", None)
    refused = writing and number is not None and number not in INNOCENT_ERRNOS
    if isinstance(error, CorruptError) or number in MEDIUM_ERRNOS or refused:
        health.note("error", time.time())


def choose_steady(
    spaces: Sequence[DiskSpace],
    steady: Collection[str],
    copies: int,
    room_bytes: int,
    *,
    allow_same_domain: bool = False,
) -> list[DiskSpace]:
    """Return the spaces with all but the steady disks ineligible, where those suffice.

    They do when at least `copies` independent ones have room for a shard; until then a copy on a
    suspect disk is better than none.
    """
    good = [
        space
        for space in spaces
        if space.eligible and space.disk_id in steady and space.free_bytes >= room_bytes
    ]
    domains = {s.disk_id if allow_same_domain else s.failure_domain for s in good}
    if len(domains) < copies:
        return list(spaces)
    return [replace(s, eligible=s.eligible and s.disk_id in steady) for s in spaces]
