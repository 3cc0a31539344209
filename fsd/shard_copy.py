"""One shard's way from a disk to another: it owns the pipeline, and never which disks these are.

    source   copy_next:  a piece, verified as it is read          -> slot
    target   copy_write: slot -> written; at times synced, read back, compared
             copy_finish -> adopt_part (the rename)

While the target writes a piece, or reads many back, the source reads the next ones: as far as there
are slots. Each disk does what it is asked for copies in the order it is asked, piece by piece, so
that of the several copies that it takes part in one is always ready.
"""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from typing import Any, NamedTuple

from fsd.disks import Disk
from fsd.errors import CorruptError, DiskError, FsdError
from fsd.queue_rule import Kind
from fsd.slots import Slot
from fsd.store import Store

PIECE_BYTES_MAX = 24 << 20
"""Of one turn of a disk: so long that the way of the head to it costs little. All copies together
hold twice that in memory each."""
PROVEN_BYTES = 64 << 20
"""Written before it is synced and read back: that is three more ways of the head."""
SLOTS_PER_COPY = 2
CHECK_S = 0.5
BACKGROUND = int(Kind.BACKGROUND)
BEFORE_PIECES = int(Kind.BATCH)
"""What a copy begins and ends with is a moment's work, and the rest of it waits for that."""


class TargetError(DiskError):
    """The disk that was to take the copy failed, not the one it was read from."""


class _Piece(NamedTuple):
    """A request that is out, for bytes of the shard in a slot."""

    slot: Slot
    size_bytes: int
    future: "Future[Any]"


class ShardCopy:
    """One copy; `between` is told the bytes done and raises when it is to end."""

    def __init__(
        self,
        store: Store,
        shard_id: str,
        source: Disk,
        target: Disk,
        between: Callable[[int], None],
    ) -> None:
        self._store = store
        self._shard_id = shard_id
        self._source = source
        self._target = target
        self._between = between
        self._free: list[Slot] = []
        self._reads: deque[_Piece] = deque()
        self._writes: deque[_Piece] = deque()
        self._asked = self._taken = self._written = self._unproven = 0

    def run(self) -> None:
        """Make a replica file on the target, durable and proven; the catalog is the caller's.

        Raises TargetError, or CorruptError or DiskError of the source; nothing is left then.
        """
        slots: list[Slot] = []
        try:
            slots += (self._store.pool.acquire() for _ in range(SLOTS_PER_COPY))
            self._free = list(slots)
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
            wait([piece.future for piece in (*self._reads, *self._writes)])
            # Nor may this come late, and take the part of whoever tries again.
            ended = self._source.request("copy_end", self._shard_id, priority=BEFORE_PIECES)
            dropped = self._target.request("copy_drop", self._shard_id, priority=BEFORE_PIECES)
            wait([ended, dropped])
            raise
        finally:
            for slot in slots:
                self._store.pool.release(slot)

    def _stream(self, length: int) -> None:
        while self._written < length:
            while self._free and self._asked < length:
                self._ask(length)
            heads = [pieces[0].future for pieces in (self._reads, self._writes) if pieces]
            wait(heads, CHECK_S, FIRST_COMPLETED)
            self._between(0)
            if self._writes and self._writes[0].future.done():
                self._note_written()
            if self._reads and self._reads[0].future.done():
                self._hand_over(length)

    def _ask(self, length: int) -> None:
        slot = self._free.pop()
        size = min(PIECE_BYTES_MAX, slot.size_bytes, length - self._asked)
        arguments = (self._shard_id, slot.number, size)
        future = self._source.request("copy_next", *arguments, slots=(slot,), priority=BACKGROUND)
        self._reads.append(_Piece(slot, size, future))
        self._asked += size

    def _hand_over(self, length: int) -> None:
        """Let the target write what the source has read."""
        slot, size, future = self._reads.popleft()
        offset, got = future.result()
        if (offset, got) != (self._taken, size):
            raise CorruptError(f"the shard ends early, at {offset + got}")
        self._taken += size
        self._unproven += size
        prove = self._unproven >= PROVEN_BYTES or self._taken == length
        self._unproven = 0 if prove else self._unproven
        self._store.disks.note_success(self._source, read_bytes=size)
        arguments = (self._shard_id, offset, slot.number, size, prove)
        written = self._target.request("copy_write", *arguments, slots=(slot,), priority=BACKGROUND)
        self._writes.append(_Piece(slot, size, written))

    def _note_written(self) -> None:
        slot, size, future = self._writes.popleft()
        with blaming_target(self._store, self._target):
            future.result()
        self._store.disks.note_success(self._target, written_bytes=size, read_bytes=size)
        self._free.append(slot)
        self._written += size
        self._between(size)

    def _call_target(self, operation: str, *arguments: Any) -> None:
        with blaming_target(self._store, self._target):
            self._target.call(operation, *arguments, priority=BEFORE_PIECES)


@contextmanager
def blaming_target(store: Store, target: Disk) -> Generator[None]:
    """Draw the consequences of what fails within for the disk that is written: TargetError."""
    try:
        yield
    except FsdError as error:
        store.disks.note_error(target, error, writing=True)
        raise TargetError(f"{target.name}: {error}", target.name) from error
