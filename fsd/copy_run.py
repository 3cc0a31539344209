"""Running a read plan: it owns the dispatch of segments to disks, and their way around trouble.

Every disk has a queue and at most two segments out. A disk that runs dry takes over a segment of
a busier one that shares its replica, where it would be done sooner (see `copy_lane`): so a disk
that is late, by other load or by its health, keeps nobody. When a disk dies or stalls, its process
is dead before its segments go to other replicas, so two processes never write one file. Records
that a replica cannot give are asked of the next one; what no replica gives is listed by name.
"""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from fsd.compile_process import SegmentHead
from fsd.copy_lane import Items, Lane, Task
from fsd.disk_model import DiskModel
from fsd.disks import Disk
from fsd.errors import DiskError, FsdError
from fsd.extract import Failure
from fsd.job import Job
from fsd.process import Child
from fsd.read_errors import note_failures, note_read_error
from fsd.store import Store

IN_FLIGHT_MAX = 2
WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One record that no replica could give."""

    key: str
    paths: tuple[str, ...]
    reason: str


class CopyRun:
    """Extracts planned segments below a target folder; one use."""

    def __init__(self, store: Store, compiler: Child, target: str, job: Job) -> None:
        self._store = store
        self._compiler = compiler
        self._target = target
        self._job = job
        self._lanes: dict[str, Lane] = {}
        self._changed = threading.Condition()
        self._open = 0
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
            with self._changed:
                try:
                    self._dispatch()
                except BaseException as error:
                    # What is in flight still writes below the target: it is waited for.
                    self._fault = self._fault or error
                if self._open == 0 or (self._fault and not any(self._outs())):
                    break
                self._changed.wait(WAIT_S)
            try:
                self._job.check()
            except FsdError as error:
                self._fault = self._fault or error
        if self._fault is not None:
            raise self._fault

    def _outs(self) -> list[int]:
        return [len(lane.outs) for lane in self._lanes.values()]

    def _enqueue(self, task: Task, disk: Disk) -> None:
        self._lanes.setdefault(disk.disk_id, Lane(disk)).put(task)
        self._open += 1

    def _dispatch(self) -> None:
        if self._fault is not None:
            return
        for lane in list(self._lanes.values()):
            if not lane.disk.readable:
                self._move_away(lane)
            while lane.disk.readable and len(lane.outs) < IN_FLIGHT_MAX:
                task = self._next(lane)
                if task is None:
                    break
                self._send(lane, task)

    def _next(self, lane: Lane) -> Task | None:
        if lane.queue:
            task = lane.queue[0]
            lane.remove(task)
            return task
        now = time.monotonic()
        others = [other for other in self._lanes.values() if other.queue]
        for busier in sorted(others, key=lambda other: -other.remaining_s(now)):
            slower = self._slower(lane.disk, busier.disk)
            limit_s = lane.takes_over_s(busier, now) / slower
            for task in reversed(busier.queue) if limit_s > 0 else ():
                if task.cost_s < limit_s and self._may_read(task, lane.disk):
                    busier.remove(task)
                    task.cost_s *= slower
                    return task
        return None

    def _model(self, disk: Disk) -> DiskModel:
        return self._store.models.model(disk.disk_id)

    def _slower(self, disk: Disk, than: Disk) -> float:
        """How many times as long a disk takes for what another was to read."""
        planned, real = self._model(than), self._model(disk)
        return planned.bandwidth_bytes_per_s / real.bandwidth_bytes_per_s

    def _may_read(self, task: Task, disk: Disk) -> bool:
        return disk.disk_id not in task.tried and disk in self._store.replicas(task.shard_id)

    def _move_away(self, lane: Lane) -> None:
        for task in list(lane.queue):
            lane.remove(task)
            self._open -= 1
            task.tried.add(lane.disk.disk_id)
            task.reasons.append(f"{lane.disk.name}: {lane.disk.reason}")
            self._retry(task)

    def _send(self, lane: Lane, task: Task) -> None:
        if task.items is None:
            task.items = self._compiler.call("segment", task.segment)
        lane.begin(task, time.monotonic())
        holes = self._model(lane.disk).hole_bytes_max()
        future = lane.disk.request("extract", task.shard_id, task.items, self._target, holes)
        future.add_done_callback(lambda done: self._done(lane, task, done))

    def _done(self, lane: Lane, task: Task, future: "Future[Any]") -> None:
        with self._changed:
            lane.end(task, time.monotonic(), done=future.exception() is None)
            self._open -= 1
            try:
                self._settle(lane, task, future)
            except BaseException as error:
                # This runs as a future's callback, where an exception would vanish.
                self._fault = self._fault or error
            self._changed.notify_all()

    def _settle(self, lane: Lane, task: Task, future: "Future[Any]") -> None:
        error = future.exception()
        if error is None:
            self._take(lane, task, *future.result())
        elif isinstance(error, DiskError):
            note_read_error(self._store, lane.disk, task.shard_id, error)
            # The process that had the segment is dead, or stuck in the kernel and never runs
            # another instruction of ours, before anybody else writes the same files.
            self._store.disks.wait_buried(lane.disk)
            task.tried.add(lane.disk.disk_id)
            task.reasons.append(f"{lane.disk.name}: {error}")
            self._retry(task)
        else:
            raise error

    def _take(self, lane: Lane, task: Task, files: int, size: int, failures: list[Failure]) -> None:
        self.files += files
        self.size_bytes += size
        self._job.advance(files, size)
        self._store.disks.note_success(lane.disk, read_bytes=size)
        if not failures:
            return
        note_failures(self._store, lane.disk, task.shard_id, failures)
        assert task.items is not None
        rest = [task.items[failure.position] for failure in failures]
        reasons = [*task.reasons, f"{lane.disk.name}: {failures[0].reason}"]
        tried = task.tried | {lane.disk.disk_id}
        self._retry(Task(task.shard_id, task.cost_s, task.segment, rest, tried, reasons))

    def _retry(self, task: Task) -> None:
        candidates = [
            disk for disk in self._store.replicas(task.shard_id) if disk.disk_id not in task.tried
        ]
        if candidates:
            loads = {lane.disk.disk_id: lane.queued_s for lane in self._lanes.values()}
            self._enqueue(task, min(candidates, key=lambda disk: loads.get(disk.disk_id, 0.0)))
            return
        if task.items is None:
            task.items = self._compiler.call("segment", task.segment)
        if not task.moved:
            task.items = self._follow(task, task.items or [])
        reason = "; ".join(task.reasons) or "no replica is online"
        for _, _, key, paths in task.items or ():
            names = tuple(path.decode("utf-8", "surrogateescape") for path in paths)
            self.unreadable.append(Unreadable(key.hex(), names, reason))

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
