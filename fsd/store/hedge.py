"""Asking replicas for a piece of a record: it owns whom to ask first, and whom when that is late.

A disk is late when it has answered nothing for HEDGE_SILENT_S while it was asked, or has done none
of its other work for as long. Then the next replica is asked too, and the first verified answer
wins. A disk that answers others is only busy, and asking twice would double its load; so it is
left alone, up to HEDGE_AGE_S. A late disk is asked last: one read finds out that it hangs, and
those after it do not wait. The loser owes nothing (see `blocks`); what becomes of it still counts
for the health of its disk.
"""

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from fsd.disks.disks import Disk
from fsd.format.errors import DiskError
from fsd.store.index import Location
from fsd.store.read_errors import note_read_error
from fsd.store.store import Store

HEDGE_SILENT_S = 0.25
"""Twenty random reads of a sound disk; a read that is hedged is answered within a second."""
HEDGE_AGE_S = 2.0
LOOK_AGAIN_S = 0.01
OPERATION = "read_piece"


class _Asked(NamedTuple):
    disk: Disk
    since_s: float


def rank_replicas(store: Store, shard_id: str, first: Disk | None = None) -> list[Disk]:
    """Return the replicas in the order to ask: not late, healthy, sound, `first`, least asked.

    Of equals a shard always takes the same one, so that all disks are used, and only one of them
    has the shard's file open.
    """
    turn = int(shard_id[:4], 16)
    disks = store.replicas(shard_id)
    sound = store.sound_replicas(shard_id)

    def rank(position: int) -> tuple[object, ...]:
        disk, child = disks[position], disks[position].child
        asked, silent_s, busy = (0, 0.0, 0) if child is None else child.owing(OPERATION)
        late = child is None or max(silent_s, child.stalled_s(monotonic())) > HEDGE_SILENT_S
        place = (position + turn) % len(disks)
        trouble = (late, disk.health.rank, disk not in sound)
        return (*trouble, disk is not first, asked, busy, place)

    return [disks[position] for position in sorted(range(len(disks)), key=rank)]


class PieceRead:
    """One piece on its way; the first replica is asked at once. Used by one thread."""

    def __init__(
        self, store: Store, location: Location, key: bytes, piece: int, first: Disk | None = None
    ) -> None:
        """Raise NoReplicaError when the record's shard is gone."""
        self._store = store
        self._shard_id = store.shard_of(location).shard_id
        self._arguments = (self._shard_id, location.offset, location.length_bytes, key, piece)
        disks = rank_replicas(store, self._shard_id, first)
        self._candidates = deque(disks)
        self.first = disks[0] if disks else None
        self._asked: dict[Future[Any], _Asked] = {}
        self.piece = piece
        self.reasons: list[str] = []
        # With nobody to ask, new processes of the disks may be starting just now.
        self.passing = not self._candidates
        self._ask_next()

    def answer(self) -> bytes | None:
        """Wait for the first answer; None when no replica gives one (`reasons` say why).

        `passing` tells that a disk's process was ended: a new one may do better.
        """
        while self._asked:
            # With nobody left to ask the watchdog ends a disk that hangs, and with it the wait.
            patience_s = max(LOOK_AGAIN_S, self._patience_s()) if self._candidates else None
            done, _ = wait(self._asked, patience_s, FIRST_COMPLETED)
            for future in done:
                disk = self._asked.pop(future).disk
                if (error := future.exception()) is None:
                    return self._win(disk, future.result())
                self._fail(disk, error)
            if not self._asked:
                self._ask_next()
            elif self._candidates and self._patience_s() <= 0:
                self._note_late()
                self._ask_next()
        return None

    def _ask_next(self) -> None:
        if self._candidates:
            disk = self._candidates.popleft()
            # Small objects, and the beginning of large ones, go before the rest of large ones.
            priority = min(self.piece, 1)
            future = disk.request(OPERATION, *self._arguments, priority=priority)
            self._asked[future] = _Asked(disk, monotonic())

    def _patience_s(self) -> float:
        """Return for how long the next replica is not asked yet: until all asked ones are late."""
        return max(map(_patience_s, self._asked.values()))

    def _note_late(self) -> None:
        for asked in self._asked.values():
            asked.disk.counters.late_reads += 1

    def _win(self, disk: Disk, data: bytes) -> bytes:
        self._store.disks.note_success(disk, read_bytes=len(data))
        for future, asked in self._asked.items():
            future.add_done_callback(partial(self._note_loser, asked.disk))
        return data

    def _note_loser(self, disk: Disk, future: "Future[Any]") -> None:
        if (error := future.exception()) is not None:
            note_read_error(self._store, disk, self._shard_id, error)

    def _fail(self, disk: Disk, error: BaseException) -> None:
        self.reasons.append(f"{disk.name}: {error}")
        # No system call said this: the process was ended.
        self.passing |= isinstance(error, DiskError) and error.errno is None
        note_read_error(self._store, disk, self._shard_id, error)


def _patience_s(asked: _Asked) -> float:
    child = asked.disk.child
    silent_s = HEDGE_SILENT_S if child is None else child.owing(OPERATION)[1]
    return min(HEDGE_SILENT_S - silent_s, asked.since_s + HEDGE_AGE_S - monotonic())
