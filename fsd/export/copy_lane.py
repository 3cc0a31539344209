"""One disk's part of a copy that runs: it owns its queue, its pace, and how long it still has.

A disk's pace is the seconds that it took per second of the plan. It is 1 until a segment has
ended, and grows while one is late. As soon as two disks would not end together, by their paces,
one gives the other segments that wait (`even_out`): at the end none may be left that both have.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice

from fsd.disks.disks import Disk

PACE_MIN = 0.25
"""A disk far faster than its model is not trusted to stay so."""
GAIN_S_MIN = 0.05
"""A segment that goes elsewhere costs two more seeks."""
LOOKED_AT_MAX = 16
"""Of a queue, from its end, of what the other disk can read."""
MOVES_MAX = 64

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

    @property
    def idle(self) -> bool:
        """Return whether it has nothing to do."""
        return not self.outs and not self.queue and self.coming is None

    def put_in_turn(self, task: Task) -> None:
        """Let a task wait that was another disk's, where the head comes by."""
        later = (n for n, other in enumerate(self.queue) if other.segment > task.segment)
        self.queue.insert(next(later, len(self.queue)), task)
        self.queued_s += task.cost_s

    def next(self) -> Task | None:
        """Take what comes first out of the queue; None when it is empty."""
        task = self.queue[0] if self.queue else None
        if task is not None:
            self.remove(task)
        return task

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


def even_out(
    lanes: Collection[Lane],
    now_s: float,
    may_read: Callable[[Task, Disk], bool],
    slower: Callable[[Disk, Disk], float],
) -> None:
    """Move tasks that wait to disks that would be done sooner, so that all end together.

    A move makes the later one of two disks end sooner; the disk that ends last gives first.
    `slower` says how many times as long the first disk takes for what was planned for the second.
    """
    for _ in range(MOVES_MAX):
        left = sorted(((lane.remaining_s(now_s), lane) for lane in lanes), key=lambda one: -one[0])
        owners = (one for one in left if one[1].queue)
        moves = (_best_move(*one, left, now_s, may_read, slower) for one in owners)
        move = next((one for one in moves if one is not None), None)
        if move is None:
            return
        owner, task, taker = move
        owner.remove(task)
        task.cost_s *= slower(taker.disk, owner.disk)
        taker.put_in_turn(task)


def _best_move(
    owner_s: float,
    owner: Lane,
    left: Sequence[tuple[float, Lane]],
    now_s: float,
    may_read: Callable[[Task, Disk], bool],
    slower: Callable[[Disk, Disk], float],
) -> tuple[Lane, Task, Lane] | None:
    best, latest_s = None, owner_s - GAIN_S_MIN
    for taker_s, taker in left:
        if taker_s >= latest_s:
            continue
        pace = slower(taker.disk, owner.disk) * taker.pace(now_s)
        readable = (task for task in reversed(owner.queue) if may_read(task, taker.disk))
        for task in islice(readable, LOOKED_AT_MAX):
            rest_s = owner_s - task.cost_s * owner.pace(now_s)
            after_s = max(taker_s + task.cost_s * pace, rest_s)
            if after_s < latest_s:
                latest_s, best = after_s, (owner, task, taker)
    return best
