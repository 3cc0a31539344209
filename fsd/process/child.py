"""The child's half of a process pair: it owns the request loop, never a request's meaning.

A child serves requests that arrive as (request id, operation, arguments) on an inherited socket
and answers (request id, ok, value). Every operation belongs to a lane; a lane is one thread, so
operations of a lane run one after the other and lanes run beside each other. Each lane counts its
steps in a shared page: the engine sees from there that a lane is alive, without asking it.
"""

import contextlib
import heapq
import mmap
import os
import queue
import struct
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from base.errors import DrystoneError
from fsd.format.errors import DiskError, FsdError
from fsd.process.slots import map_slots

LANES_MAX = 16
_COUNTER = struct.Struct("<Q")

Operation = Callable[..., Any]


def _nothing() -> None:
    """Do nothing."""


class Lane:
    """One thread and its queue; `step` tells the engine that it lives.

    `priority` is that of the request that runs now or ran last. `on_arrive` is called for each
    request before it waits in the queue, `on_answer` when it has run.
    """

    def __init__(self, number: int, page: mmap.mmap) -> None:
        self.number = number
        self.queue: queue.PriorityQueue[tuple[int, int, Any]] = queue.PriorityQueue()
        self.busy = False
        self.priority = 0
        self.on_arrive: Callable[[], None] = _nothing
        self.on_answer: Callable[[], None] = _nothing
        self._page = page
        self._count = 0

    def peek(self) -> tuple[int, str, Any] | None:
        """Return what comes next, unless a more urgent arrives: its id, operation and arguments."""
        with self.queue.mutex:
            waiting = self.queue.queue
            return waiting[0][2] if waiting else None

    def take(self, request_id: int) -> bool:
        """Take what `peek` showed for whoever runs now, who answers it.

        False, with nothing taken, when a more urgent request has arrived since.
        """
        with self.queue.mutex:
            if self.queue.queue[0][2][0] != request_id:
                return False
            heapq.heappop(self.queue.queue)
            return True

    def step(self) -> None:
        """Count one step (one system call that may take long)."""
        self._count += 1
        _COUNTER.pack_into(self._page, 8 * self.number, self._count)


def read_steps(page: mmap.mmap, lane: int) -> int:
    """Return a lane's step counter as the engine sees it."""
    return int(_COUNTER.unpack_from(page, 8 * lane)[0])


class ChildServer:
    """Serves operations until the engine closes the socket."""

    def __init__(self, connection: Connection, page: mmap.mmap, lane_count: int) -> None:
        self.connection = connection
        self.lanes = [Lane(number, page) for number in range(lane_count)]
        # Held for one answer: lanes must not mix theirs. Innermost.
        self._send = threading.Lock()
        self._order = 0

    def serve(self, operations: Mapping[str, tuple[int, Operation]]) -> None:
        """Run the loop; `operations` maps a name to its lane and its function."""
        for lane in self.lanes:
            threading.Thread(target=self.work, args=(lane, operations), daemon=True).start()
        while True:
            try:
                request_id, name, arguments, priority = self.connection.recv()
            except (EOFError, OSError):
                # The engine is gone. Nothing half-written matters: it was never acknowledged.
                os._exit(0)
            self._order += 1
            lane = self.lanes[operations[name][0]]
            lane.on_arrive()
            lane.queue.put((priority, self._order, (request_id, name, arguments)))

    def work(self, lane: Lane, operations: Mapping[str, tuple[int, Operation]]) -> None:
        """Do what one lane is asked for, one after the other, until the process ends."""
        while True:
            lane.priority, _, (request_id, name, arguments) = lane.queue.get()
            lane.step()
            lane.busy = True
            try:
                answer = (request_id, True, operations[name][1](*arguments))
            except Exception as error:
                answer = (request_id, False, _told(name, error))
            lane.step()
            lane.busy = False
            self._answer(lane, answer)

    def answer(self, lane: Lane, name: str, request_id: int, error: Exception | None) -> None:
        """Answer a request that another one of its lane has taken along."""
        told = None if error is None else _told(name, error)
        self._answer(lane, (request_id, told is None, told))

    def _answer(self, lane: Lane, answer: tuple[int, bool, Any]) -> None:
        lane.on_answer()
        with self._send, contextlib.suppress(OSError):
            self.connection.send(answer)


def _told(name: str, error: Exception) -> DrystoneError:
    """Return an operation's error as the engine hears of it."""
    if isinstance(error, OSError):
        return DiskError(str(error), errno=error.errno)
    if isinstance(error, DrystoneError):
        return error
    # Anything else is a fault of ours: the engine must hear of it, the child lives on.
    return FsdError(f"{name}: {type(error).__name__}: {error}")


def start_child(lane_count: int, fds: list[int]) -> tuple[ChildServer, list[memoryview]]:
    """Map what a child was given; returns its server and the slots.

    `fds` are the page of its steps, its socket, and what the slots lie in.
    """
    page_fd, socket_fd, *slot_fds = fds
    page = mmap.mmap(page_fd, 8 * LANES_MAX)
    return ChildServer(Connection(socket_fd), page, lane_count), map_slots(slot_fds)
