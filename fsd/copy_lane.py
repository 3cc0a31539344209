"""One disk's part of a copy that runs: it owns its queue, its pace, and how long it still has.

A disk's pace is the seconds that it took per second of the plan. It is 1 until a segment has
ended, and grows while one is late. A segment goes to another disk only when that one would be done
with it before its own disk is done with all it has: otherwise moving it would spoil the plan.
"""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from fsd.disks import Disk

PACE_MIN = 0.25
"""A disk far faster than its model is not trusted to stay so."""

Items = list[tuple[int, int, bytes, tuple[bytes, ...]]]


@dataclass(slots=True, eq=False)
class Task:
    """A segment, or the rest of one: its items are fetched from the compiler before it starts.

    `number` is that of its request. It is `asked` for its rest when its disk hangs, `shared` while
    another disk waits for a part of it, and `settled` when it is known what became of all it kept.
    """

    shard_id: str
    cost_s: float
    segment: int = -1
    items: Items | None = None
    tried: set[str] = field(default_factory=set[str])
    reasons: list[str] = field(default_factory=list[str])
    moved: bool = False
    fetch: "Future[Items] | None" = None
    number: int = 0
    asked: bool = False
    shared: bool = False
    settled: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """The tasks of one disk, in the plan's order. Times are seconds of any one clock.

    `coming` is the next one, not in the queue any more, when its items are not here yet.
    `planned_s` is the cost of what it has done, `busy_s` how long it was at it.
    """

    disk: Disk
    queue: deque[Task] = field(default_factory=deque[Task])
    outs: list[Task] = field(default_factory=list[Task])
    coming: Task | None = None
    queued_s: float = 0.0
    planned_s: float = 0.0
    busy_s: float = 0.0
    _since: float = 0.0

    def put(self, task: Task) -> None:
        """Let a task wait."""
        self.queue.append(task)
        self.queued_s += task.cost_s

    def remove(self, task: Task) -> None:
        """Take a task that waits out of the queue."""
        self.queue.remove(task)
        self.queued_s = self.queued_s - task.cost_s if self.queue else 0.0

    def begin(self, task: Task, now_s: float) -> None:
        """Note that a task, no longer in the queue, was sent to the disk."""
        if not self.outs:
            self._since = now_s
        self.outs.append(task)

    def end(self, task: Task, now_s: float, *, done: bool) -> None:
        """Note that the disk has answered."""
        self.outs.remove(task)
        self.busy_s += now_s - self._since
        self._since = now_s
        if done:
            self.planned_s += task.cost_s

    def unsettled(self) -> list[Task]:
        """Return the tasks at the disk of which it is not known yet what becomes of them."""
        return [task for task in self.outs if not task.settled]

    def pace(self, now_s: float) -> float:
        """Return the seconds it takes per second of the plan, what runs now included."""
        if not self.planned_s and not self.outs:
            return 1.0
        pace = self.busy_s / self.planned_s if self.planned_s else 1.0
        if self.outs:
            # At best what runs ends now.
            least_s = self.busy_s + now_s - self._since
            pace = max(pace, least_s / max(self.planned_s + self.outs[0].cost_s, 1e-9))
        return max(pace, PACE_MIN)

    def remaining_s(self, now_s: float) -> float:
        """Return when it will be done with everything it has, in seconds from now."""
        pace = self.pace(now_s)
        out_s = sum(task.cost_s for task in (*self.outs, *([self.coming] if self.coming else ())))
        spent_s = min(now_s - self._since, pace * self.outs[0].cost_s) if self.outs else 0.0
        return pace * (out_s + self.queued_s) - spent_s

    def takes_over_s(self, owner: "Lane", now_s: float) -> float:
        """Return how much less a task of `owner` must cost here to be worth taking over.

        Such a task is done here before the owner is done with all it has. Not above 0: none is.
        """
        return (owner.remaining_s(now_s) - self.remaining_s(now_s)) / self.pace(now_s)
