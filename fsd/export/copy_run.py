"""Running a read plan: it owns the dispatch of segments to disks, and their way around trouble.

All of it happens in the thread of the job. The threads that receive the answers of disks only put
them into a queue: they belong to every reader of that disk, and wait for nobody here. What is in a
segment is asked of the compiler ahead, and a disk whose next segment is not there yet waits alone.

Every disk has a queue and at most two segments out. A disk that would be done sooner than another
takes segments of it that wait, and of which it has a replica (see `copy_lane`): so a disk that is
late, by other load or by its health, keeps nobody. One that hangs is asked to give back
the files it has not begun, which its process does without the disk. At the end one that has more
left than another could do gives that one a part: all end together. When a disk dies or stalls,
its process is dead before its segments go to other replicas. So two processes never write one
file. Records that a replica cannot give are asked of the next one; what no replica gives is listed
by name.
"""

import contextlib
import itertools
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from base.errors import DrystoneError
from fsd.compile.compile_process import SegmentHead
from fsd.disk_io.extract.extract import Kept
from fsd.disks.disks import Disk
from fsd.export.copy_lane import Items, Lane, Task, even_out
from fsd.format.errors import DiskError
from fsd.planning.disk_model import DiskModel
from fsd.process.process import Child
from fsd.store.job import Job
from fsd.store.read_errors import note_failures, note_read_error
from fsd.store.store import Store

IN_FLIGHT_MAX = 2
WAIT_S = 0.5
HANG_S = 2.0
"""A disk that has read nothing for so long gives back what it has not begun."""
SHARED_S_MIN = 0.1
"""A disk that has less left shares it with nobody: opening the shard elsewhere takes a third."""
EVEN_OUT_SHARE = 0.05
"""Of the time, while no disk is idle."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One record that no replica could give."""

    key: str
    paths: tuple[str, ...]
    reason: str


class _Answer(NamedTuple):
    """What a disk answered to a task, or to being asked for its rest, and when."""

    lane: Lane
    task: Task
    future: "Future[Any]"
    now_s: float
    is_rest: bool


def _still_s(disk: Disk, now: float) -> float:
    """For how long a disk that has something to extract has made no step."""
    child = disk.child
    return 0.0 if child is None else child.still_s("extract", now)


class CopyRun:
    """Extracts planned segments below a target folder; one use."""

    def __init__(self, store: Store, compiler: Child, target: str, job: Job) -> None:
        self._store = store
        self._compiler = compiler
        self._target = target
        self._job = job
        self._lanes: dict[str, Lane] = {}
        # What disks answered, and None when a segment has come from the compiler.
        self._answers: SimpleQueue[_Answer | None] = SimpleQueue()
        self._open = 0
        self._even_until_s = 0.0
        self._fault: BaseException | None = None
        self.files = 0
        self.size_bytes = 0
        self.unreadable: list[Unreadable] = []
        # By disk id: seconds that the plan gives what it did, and seconds that it was at it.
        self.disk_seconds: dict[str, tuple[float, float]] = {}

    def run(self, heads: list[SegmentHead], numbers: list[int], disks: list[Disk]) -> None:
        """Extract the segments `numbers` of `heads`; `disks` are in the plan's order.

        Raises QuotaError when the SSD fills up, FsdError when it cannot be written, and
        CancelledError; whatever is in flight is waited for first.
        """
        self._lanes = {disk.disk_id: Lane(disk) for disk in disks}
        try:
            self._run(heads, numbers, disks)
        finally:
            for lane in self._lanes.values():
                self._note(lane)

    def _note(self, lane: Lane) -> None:
        planned_s, busy_s = self.disk_seconds.get(lane.disk.disk_id, (0.0, 0.0))
        seconds = (planned_s + lane.planned_s, busy_s + lane.busy_s)
        self.disk_seconds[lane.disk.disk_id] = seconds

    def _run(self, heads: list[SegmentHead], numbers: list[int], disks: list[Disk]) -> None:
        for number in numbers:
            head = heads[number]
            shard_id = self._store.shards.ids[head.shard_number]
            self._enqueue(Task(shard_id, head.cost_s, number), disks[head.disk])
        while True:
            try:
                self._dispatch()
            except BaseException as error:
                # What is in flight still writes below the target: it is waited for.
                self._fault = self._fault or error
            if self._open == 0 or (self._fault and not self._writing()):
                break
            self._wait()
        if self._fault is not None:
            raise self._fault

    def _wait(self) -> None:
        """Wait for something to happen, and settle all that has."""
        with contextlib.suppress(Empty):
            answer = self._answers.get(timeout=WAIT_S)
            while True:
                if answer is not None:
                    self._note_answer(answer)
                answer = self._answers.get_nowait()
        try:
            self._job.check()
        except DrystoneError as error:
            self._fault = self._fault or error

    def _note_answer(self, answer: _Answer) -> None:
        lane, task, future, now_s, is_rest = answer
        try:
            if is_rest:
                self._note_rest(lane, task, future)
                return
            lane.end(task, now_s, done=future.exception() is None)
            if not task.settled:
                self._settle(lane, task, future)
        except BaseException as error:
            self._fault = self._fault or error

    def _writing(self) -> bool:
        """Return whether anything in flight may still write below the target."""
        return any(not task.settled for lane in self._lanes.values() for task in lane.outs)

    def _ask_for_rests(self) -> None:
        """Ask disks that hang to give back what they have not begun, and others can read."""
        now = time.monotonic()
        for lane in self._lanes.values():
            if not lane.outs or _still_s(lane.disk, now) < HANG_S:
                continue
            for task in lane.outs:
                if not task.asked and not task.settled and self._elsewhere(lane, task, now):
                    task.asked = True
                    self._request(lane, task, True, "give_back", task.number)

    def _share_the_end(self) -> None:
        """Ask for a part of what the others still have, for each disk that has nothing left."""
        now = time.monotonic()
        for idle in list(self._lanes.values()):
            if not idle.idle or not idle.disk.readable:
                continue
            busy = [lane for lane in self._lanes.values() if lane.outs and not lane.queue]
            for lane in sorted(busy, key=lambda other: -other.remaining_s(now)):
                tasks, left_s = lane.unsettled(), lane.remaining_s(now)
                if left_s < SHARED_S_MIN or any(out.asked or out.shared for out in tasks):
                    continue
                # One that waits behind another comes as a whole, one that runs is halved.
                part_s = tasks[-1].cost_s if len(tasks) > 1 else left_s / 2
                here_s = part_s * self._slower(idle.disk, lane.disk) + SHARED_S_MIN / 2
                task = tasks[-1] if tasks else None
                if task and here_s < left_s and self._may_read(task, idle.disk):
                    task.shared = True
                    self._request(lane, task, True, "give_back", task.number, True)
                    break

    def _elsewhere(self, lane: Lane, task: Task, now: float) -> list[Disk]:
        replicas = self._store.replicas(task.shard_id)
        others = [d for d in replicas if d is not lane.disk and d.disk_id not in task.tried]
        return [disk for disk in others if _still_s(disk, now) < HANG_S]

    def _note_rest(self, lane: Lane, task: Task, future: "Future[Any]") -> None:
        # Without an answer the process is dead or dying: the request itself will tell.
        kept = None if future.exception() else future.result()
        if kept is None or task.settled:
            return
        kept = Kept(*kept)
        task.shared = False  # It may be asked again; where there was too little, nothing came.
        self._move_rest(lane, task, kept.end)
        if kept.whole:
            self._take(lane, task, kept)

    def _move_rest(self, lane: Lane, task: Task, end: int) -> None:
        """Let another disk do what this one has not begun and, as it said, never will."""
        items = task.items or []
        rest = items[end:]
        if not rest:
            return
        cost_s = task.cost_s * len(rest) / len(items)
        task.items, task.cost_s = items[:end], task.cost_s - cost_s
        made = Task(task.shard_id, cost_s, -1, rest, set(task.tried), list(task.reasons))
        made.moved = task.moved
        others = self._elsewhere(lane, task, time.monotonic()) or [lane.disk]
        self._enqueue(made, min(others, key=self._left_s))

    def _enqueue(self, task: Task, disk: Disk) -> None:
        self._lanes.setdefault(disk.disk_id, Lane(disk)).put(task)
        self._open += 1

    def _dispatch(self) -> None:
        if self._fault is not None:
            return
        self._ask_for_rests()
        for lane in list(self._lanes.values()):
            if not lane.disk.readable:
                self._move_away(lane)
        self._even_out()
        for lane in self._lanes.values():
            while lane.disk.readable and len(lane.outs) < IN_FLIGHT_MAX:
                task = lane.coming or lane.next()
                lane.coming = task if task and not self._has_items(task) else None
                if task is None or lane.coming:
                    break
                self._send(lane, task)
            if lane.queue:
                self._has_items(lane.queue[0])  # It is asked for now, and here when it is wanted.
        self._share_the_end()

    def _even_out(self) -> None:
        """Move segments that wait where they are done sooner; a long queue takes a while."""
        now = time.monotonic()
        if now < self._even_until_s and not any(lane.idle for lane in self._lanes.values()):
            return
        even_out(self._lanes.values(), now, self._may_read, self._slower)
        self._even_until_s = now + (time.monotonic() - now) / EVEN_OUT_SHARE

    def _has_items(self, task: Task) -> bool:
        """Return whether it is known what is in a task; asks for it when nobody has yet.

        Raises what the compiler failed with.
        """
        if task.items is None and task.fetch is None:
            task.fetch = self._compiler.request("segment", task.segment)
            task.fetch.add_done_callback(lambda _: self._answers.put(None))
        if task.items is None and task.fetch is not None and task.fetch.done():
            task.items, task.fetch = task.fetch.result(), None
        return task.items is not None

    def _items_of(self, task: Task) -> Items:
        while not self._has_items(task):
            assert task.fetch is not None
            wait([task.fetch], WAIT_S)
            self._job.check()
        return task.items or []

    def _model(self, disk: Disk) -> DiskModel:
        return self._store.models.model(disk.disk_id)

    def _slower(self, disk: Disk, than: Disk) -> float:
        """How many times as long a disk takes for what another was to read."""
        planned, real = self._model(than), self._model(disk)
        return planned.bandwidth_bytes_per_s / real.bandwidth_bytes_per_s

    def _may_read(self, task: Task, disk: Disk) -> bool:
        return disk.disk_id not in task.tried and disk in self._store.replicas(task.shard_id)

    def _move_away(self, lane: Lane) -> None:
        if lane.coming is not None:
            lane.put(lane.coming)
            lane.coming = None
        for task in list(lane.queue):
            lane.remove(task)
            self._open -= 1
            task.tried.add(lane.disk.disk_id)
            task.reasons.append(f"{lane.disk.name}: {lane.disk.reason}")
            self._retry(task)

    def _send(self, lane: Lane, task: Task) -> None:
        lane.begin(task, time.monotonic())
        task.number = next(_numbers)
        holes = self._model(lane.disk).hole_bytes_max()
        arguments = (task.number, task.shard_id, task.items, self._target, holes)
        self._request(lane, task, False, "extract", *arguments)

    def _request(self, lane: Lane, task: Task, is_rest: bool, *words: Any) -> None:
        def note(done: "Future[Any]") -> None:
            self._answers.put(_Answer(lane, task, done, time.monotonic(), is_rest))

        lane.disk.request(*words).add_done_callback(note)

    def _settle(self, lane: Lane, task: Task, future: "Future[Any]") -> None:
        error = future.exception()
        if error is None:
            kept = Kept(*future.result())
            self._move_rest(lane, task, kept.end)
            self._take(lane, task, kept)
        elif isinstance(error, DiskError):
            self._open -= 1
            note_read_error(self._store, lane.disk, task.shard_id, error)
            # The process that had the segment is dead, or stuck in the kernel and never runs
            # another instruction of ours, before anybody else writes the same files.
            self._store.disks.wait_buried(lane.disk)
            task.settled = True
            tried = task.tried | {lane.disk.disk_id}
            again = replace(task, asked=False, shared=False, settled=False, tried=tried)
            again.reasons = [*task.reasons, f"{lane.disk.name}: {error}"]
            self._retry(again)
        else:
            self._open -= 1
            task.settled = True
            raise error

    def _take(self, lane: Lane, task: Task, kept: Kept) -> None:
        task.settled = True
        self._open -= 1
        self.files += kept.files
        self.size_bytes += kept.size_bytes
        self._job.advance(kept.files, kept.size_bytes)
        self._store.disks.note_success(lane.disk, read_bytes=kept.size_bytes)
        if not kept.failures:
            return
        note_failures(self._store, lane.disk, task.shard_id, kept.failures)
        assert task.items is not None
        rest = [task.items[failure.position] for failure in kept.failures]
        reasons = [*task.reasons, f"{lane.disk.name}: {kept.failures[0].reason}"]
        tried = task.tried | {lane.disk.disk_id}
        self._retry(Task(task.shard_id, task.cost_s, task.segment, rest, tried, reasons))

    def _retry(self, task: Task) -> None:
        candidates = [
            disk for disk in self._store.replicas(task.shard_id) if disk.disk_id not in task.tried
        ]
        if candidates:
            self._enqueue(task, min(candidates, key=self._left_s))
            return
        items = self._items_of(task)
        if not task.moved:
            items = self._follow(task, items)
        reason = "; ".join(task.reasons) or "no replica is online"
        for _, _, key, paths in items:
            names = tuple(path.decode("utf-8", "surrogateescape") for path in paths)
            self.unreadable.append(Unreadable(key.hex(), names, reason))

    def _left_s(self, disk: Disk) -> float:
        lane = self._lanes.get(disk.disk_id)
        return 0.0 if lane is None else lane.remaining_s(time.monotonic())

    def _follow(self, task: Task, items: Items) -> Items:
        """Ask for records that were compacted meanwhile where they lie now; returns the others."""
        store = self._store
        moved: dict[str, Items] = {}
        left: Items = []
        with store.index.read() as reader:
            for item in items:
                location = reader.locate(item[2])
                shard_id = store.shards.ids.get(location.shard_number) if location else None
                if location is None or shard_id is None or shard_id == task.shard_id:
                    left.append(item)
                else:
                    again = (location.offset, location.length_bytes, *item[2:])
                    moved.setdefault(shard_id, []).append(again)
        for shard_id, some in moved.items():
            reasons = [*task.reasons, f"shard {task.shard_id} was compacted"]
            self._retry(Task(shard_id, task.cost_s, -1, sorted(some), set(), reasons, moved=True))
        return left
