"""One shard's way from a disk to another: it owns the pipeline, and never which disks these are.

    source   copy_next:  a piece, verified as it is read          -> slot
    target   copy_write: slot -> written
             copy_prove: at times; synced, read back piece by piece, compared
             copy_finish -> adopt_part (the rename)

While the target writes a piece, or reads many back, the source reads the next ones. Which piece is
next at a disk, of all copies that it takes part in, `copy_scheduler` decides: also a disk that
reads back for long gives others something to write meanwhile.
"""

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any, NamedTuple

from base.errors import DrystoneError
from fsd.disk_io.queue_rule import Kind
from fsd.disks.disks import Disk
from fsd.format.errors import CorruptError, DiskError
from fsd.process.slots import Slot
from fsd.replicas.copy_plan import Room
from fsd.replicas.copy_scheduler import CopyScheduler, CopyStep, Flow, Progress, Turn
from fsd.replicas.pace import CopyPace
from fsd.store.store import Store

PIECE_BYTES_MAX = 24 << 20
"""Of one turn of a disk: so long that the way of the head to it costs little."""
PROVEN_BYTES = 128 << 20
"""Sent before it is synced and read back: that is three more ways of the head."""
SLOTS_PER_COPY_MAX = 6
CHECK_S = 0.5
BACKGROUND = int(Kind.BACKGROUND)
BEFORE_PIECES = int(Kind.BATCH)
"""What a copy begins and ends with is a moment's work, and the rest of it waits for that."""


class TargetError(DiskError):
    """The disk that was to take the copy failed, not the one it was read from."""


class Way(NamedTuple):
    """Where a copy goes from and to, in the flow between these disks, and how far it is."""

    source: Disk
    target: Disk
    flow: Flow
    progress: Progress


class _Piece(NamedTuple):
    """A request that is out, for bytes of the shard in a slot."""

    slot: Slot
    size_bytes: int
    future: "Future[tuple[Any, float]]"


class _Proof(NamedTuple):
    """Bytes that were written, and their turn to be read back."""

    size_bytes: int
    turn: Turn


class _Ready(NamedTuple):
    """Bytes that were read, and their turn to be written."""

    slot: Slot
    offset: int
    size_bytes: int
    turn: Turn


class ShardCopy:
    """One copy; `between` is told the bytes done and raises when it is to end.

    With a `pace` it reads a piece only when that is due, and holds no memory while it waits.
    """

    def __init__(
        self,
        store: Store,
        shard_id: str,
        way: Way,
        turns: CopyScheduler,
        between: Callable[[int], None],
        pace: CopyPace | None = None,
    ) -> None:
        self._store = store
        self._shard_id = shard_id
        self._source, self._target, self._flow, self._progress = way
        self._progress.restart()
        room = Room(self._target.free_bytes, self._target.size_bytes)
        model = store.models.model(self._target.disk_id)
        self._slowdown = model.slowdown(room.used_share)
        self._turns = turns
        self._between = between
        self._pace = pace
        self._turn: Turn | None = None
        self._slots: list[Slot] = []
        self._reads: deque[_Piece] = deque()
        self._ready: deque[_Ready] = deque()
        self._writes: deque[_Piece] = deque()
        self._proofs: deque[_Proof] = deque()
        self._proving: deque[tuple[int, Future[tuple[Any, float]]]] = deque()
        self._asked = self._sent = self._proofs_asked = self._paced = 0
        self._write_s = 0.0

    def run(self) -> None:
        """Make a replica file on the target, durable and proven; the catalog is the caller's.

        Raises TargetError, or CorruptError or DiskError of the source; nothing is left then.
        """
        try:
            length = self._source.call("copy_begin", self._shard_id, priority=BEFORE_PIECES)
            self._call_target("copy_create", self._shard_id, length)
            self._stream(length)
            self._call_target("copy_finish", self._shard_id)
            # Barrier: the part is whole, synced and read back; the rename makes it a replica file,
            # the catalog entry after it makes it count. A crash between leaves a file that the
            # next start finds uncatalogued, verifies, and lets count.
            self._call_target("adopt_part", self._shard_id)
        except BaseException:
            # A part that nobody goes on with must not keep its space; nobody may write it then.
            wait([future for *_, future in (*self._reads, *self._writes, *self._proving)])
            # Nor may this come late, and take the part of whoever tries again.
            ended = self._source.request("copy_end", self._shard_id, priority=BEFORE_PIECES)
            dropped = self._target.request("copy_drop", self._shard_id, priority=BEFORE_PIECES)
            wait([ended, dropped])
            raise
        finally:
            for slot in list(self._slots):
                self._give_back(slot, 0)
            for turn in (self._turn, *(one.turn for one in (*self._ready, *self._proofs))):
                if turn is not None:
                    self._turns.withdraw(turn)

    def _stream(self, length: int) -> None:
        while self._progress.proven_bytes < length or self._writes:
            if self._turn is None and self._may_read(length):
                self._turn = self._ask(self._source, CopyStep.READ)
            if events := self._events():
                wait(events, CHECK_S, FIRST_COMPLETED)
            elif self._pace is not None:
                time.sleep(min(self._pace.wait_s(), CHECK_S))
            self._between(0)
            if self._turn is not None and self._turn.came.done():
                self._read(self._turn, length)
            if self._reads and self._reads[0].future.done():
                self._take()
            if self._ready and self._ready[0].turn.came.done():
                self._write(length)
            if self._writes and self._writes[0].future.done():
                self._note_written()
            if self._proofs and self._proofs[0].turn.came.done():
                self._prove()
            if self._proving and self._proving[0][1].done():
                self._note_proven()

    def _may_read(self, length: int) -> bool:
        if self._asked >= length or len(self._slots) >= SLOTS_PER_COPY_MAX:
            return False
        return self._pace is None or self._pace.wait_s() == 0.0

    def _events(self) -> "list[Future[Any]]":
        events = [out[0][-1] for out in (self._reads, self._writes, self._proving) if out]
        turns = [self._turn] if self._turn is not None else []
        turns += [waiting[0].turn for waiting in (self._ready, self._proofs) if waiting]
        return [*events, *(turn.came for turn in turns)]

    def _ask(self, disk: Disk, step: CopyStep) -> Turn:
        way = disk.disk_id, self._target.disk_id, self._flow
        return self._turns.ask(Turn(self._shard_id, *way, step))

    def _read(self, turn: Turn, length: int) -> None:
        slot = self._store.pool.acquire()
        self._slots.append(slot)
        self._turn = None
        size = min(PIECE_BYTES_MAX, slot.size_bytes, length - self._asked)
        if self._pace is not None:
            size = self._pace.piece_bytes(size)
            self._pace.take(size)
        future = self._send(turn, self._source, (slot,), "copy_next", slot.number, size)
        self._reads.append(_Piece(slot, size, future))
        self._asked += size

    def _take(self) -> None:
        """Let what was read wait for its turn at the target."""
        slot, size, future = self._reads.popleft()
        (offset, got), seconds = future.result()
        if (offset, got) != (self._progress.read_bytes, size):
            raise CorruptError(f"the shard ends early, at {offset + got}")
        self._progress.read_bytes += size
        self._store.disks.note_success(self._source, read_bytes=size)
        self._turns.note_pace(self._source.disk_id, seconds, size, writes=False)
        self._ready.append(_Ready(slot, offset, size, self._ask(self._target, CopyStep.WRITE)))

    def _write(self, length: int) -> None:
        slot, offset, size, turn = self._ready.popleft()
        arguments = (offset, slot.number, size)
        future = self._send(turn, self._target, (slot,), "copy_write", *arguments)
        self._writes.append(_Piece(slot, size, future))
        self._sent += size
        if self._sent - self._proofs_asked >= PROVEN_BYTES or self._sent == length:
            self._ask_proofs()

    def _ask_proofs(self) -> None:
        """Let all that was sent be read back: the disk does it after what it was sent before."""
        while size := min(PIECE_BYTES_MAX, self._sent - self._proofs_asked):
            self._proofs_asked += size
            self._proofs.append(_Proof(size, self._ask(self._target, CopyStep.PROVE)))

    def _prove(self) -> None:
        size, turn = self._proofs.popleft()
        self._proving.append((size, self._send(turn, self._target, (), "copy_prove", size)))

    def _note_written(self) -> None:
        slot, size, future = self._writes.popleft()
        with blaming_target(self._store, self._target):
            _, seconds = future.result()
        self._write_s += seconds
        self._store.disks.note_success(self._target, written_bytes=size)
        self._progress.written_bytes += size
        self._give_back(slot, size)
        self._between(size)

    def _note_proven(self) -> None:
        size, future = self._proving.popleft()
        with blaming_target(self._store, self._target):
            _, seconds = future.result()
        self._write_s += seconds
        self._store.disks.note_success(self._target, read_bytes=size)
        self._progress.proven_bytes += size
        if self._progress.proven_bytes == self._progress.written_bytes:
            # All that was written was read back: only the two together tell how fast the disk is.
            proven = self._progress.proven_bytes
            size_bytes, self._paced = proven - self._paced, proven
            seconds, self._write_s = self._write_s, 0.0
            size_bytes = round(size_bytes * self._slowdown)
            self._turns.note_pace(self._target.disk_id, seconds, size_bytes, writes=True)

    def _give_back(self, slot: Slot, done_bytes: int) -> None:
        self._slots.remove(slot)
        self._store.pool.release(slot)
        self._turns.finish(self._target.disk_id, self._flow, done_bytes)

    def _send(
        self, turn: Turn, disk: Disk, slots: tuple[Slot, ...], operation: str, *arguments: Any
    ) -> "Future[tuple[Any, float]]":
        """Ask for a piece; the answer comes with the seconds that the disk was at it."""
        arguments = (self._shard_id, *arguments)
        future = disk.request(operation, *arguments, slots=slots, priority=BACKGROUND)
        answered: Future[tuple[Any, float]] = Future()

        def leave(done: "Future[Any]") -> None:
            # At once, whatever this copy is waiting for: others may have the next turn.
            seconds = self._turns.leave(turn)
            if error := done.exception():
                answered.set_exception(error)
            else:
                answered.set_result((done.result(), seconds))

        future.add_done_callback(leave)
        return answered

    def _call_target(self, operation: str, *arguments: Any) -> None:
        with blaming_target(self._store, self._target):
            self._target.call(operation, *arguments, priority=BEFORE_PIECES)


@contextmanager
def blaming_target(store: Store, target: Disk) -> Generator[None]:
    """Draw the consequences of what fails within for the disk that is written: TargetError."""
    try:
        yield
    except DrystoneError as error:
        store.disks.note_error(target, error, writing=True)
        raise TargetError(f"{target.name}: {error}", target.name) from error
