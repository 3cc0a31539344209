"""How blocks of a record reach the mount: it owns the choice of replicas, hedges and retries.

It never touches a disk (`child` talks to the process that does) and never serves bytes that
a child did not verify. Callbacks run inside the trio loop and contain no await, so a fetch changes
its state at one place at a time; a reader waits for `done` and must use `data` before its next
await, because the slot below may be given to another read then.
"""

import errno
import logging
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import trio

from base.logging.ids import about
from fsd.mount.reading.child import ReadChild
from fsd.mount.reading.life import Ticket

HEDGE_SILENT_S = 0.25
HEDGE_AGE_S = 2.0
AGE_S_MAX = 30.0
STRANDED_S_MAX = 3.0
ATTEMPTS_MAX = 2
WATCH_INTERVAL_S = 0.1
KEPT_BYTES_MAX = 256 << 20

_log = logging.getLogger(__name__)


class Replica(NamedTuple):
    """One copy of a shard: whose disk, at which path, and whether the disk is in good state."""

    disk_id: str
    path: str
    healthy: bool


class Place(NamedTuple):
    """Where the record of an object lies, on all its replicas."""

    key: bytes
    shard_id: bytes
    record_offset: int
    length_bytes: int
    replicas: tuple[Replica, ...]


@dataclass(slots=True)
class _Attempt:
    child: ReadChild
    path: str
    number: int = 1


class Fetch:
    """Some blocks of a record on their way; then the bytes, or the error of the last replica."""

    __slots__ = (
        "block_count",
        "candidates",
        "data",
        "done",
        "error_number",
        "failed",
        "fetcher",
        "first_block",
        "pending",
        "place",
        "started_s",
        "stranded",
        "stranded_s",
        "ticket",
        "waiter",
    )

    def __init__(self, fetcher: "Fetcher", place: Place, first_block: int, block_count: int):
        self.fetcher = fetcher
        self.place = place
        self.first_block = first_block
        self.block_count = block_count
        self.candidates = deque(_Attempt(*replica) for replica in fetcher.order(place))
        self.stranded: list[_Attempt] = []
        self.pending: dict[Ticket, _Attempt] = {}
        self.done = False
        self.failed = False
        self.data: bytes | memoryview | None = None
        self.error_number = 0
        self.ticket: Ticket | None = None
        self.waiter: trio.Event | None = None
        self.started_s = time.monotonic()
        self.stranded_s = 0.0

    def issue(self) -> None:
        """Ask the next replica that can be asked; without any the fetch is stranded or failed."""
        while self.candidates:
            attempt = self.candidates.popleft()
            ticket = self._ticket(attempt)
            self.pending[ticket] = attempt
            if attempt.child.submit(ticket):
                self.stranded_s = 0.0
                return
            del self.pending[ticket]
            self.stranded.append(attempt)
        if not self.pending:
            if self.stranded:
                self.stranded_s = self.stranded_s or time.monotonic()
                self.fetcher.strand(self)
            else:
                self._finish(None)

    def _ticket(self, attempt: _Attempt) -> Ticket:
        place = self.place
        return Ticket(
            self,
            attempt.child,
            attempt.path,
            place.shard_id,
            place.key,
            place.record_offset,
            place.length_bytes,
            self.first_block,
            self.block_count,
        )

    def deliver(self, ticket: Ticket, data: bytes | memoryview) -> None:
        """Take verified bytes; the first replica wins, a later one is not delivered."""
        self.pending.pop(ticket, None)
        self.ticket = ticket
        self._finish(data)

    def refuse(self, ticket: Ticket, error_number: int) -> None:
        """Take a failure and go on with the next replica; a dead child is asked once more."""
        attempt = self.pending.pop(ticket, None)
        self.fetcher.note_failure(self, ticket, error_number)
        if self.done or attempt is None:
            return
        self.error_number = error_number
        if error_number == errno.EPIPE and attempt.number < ATTEMPTS_MAX:
            self.stranded.append(_Attempt(attempt.child, attempt.path, attempt.number + 1))
        self.issue()

    def hedge(self, ticket: Ticket) -> None:
        """Ask another replica too, because this one is late."""
        ticket.hedged = True
        ticket.child.suspect = True
        if self.candidates and not self.done:
            self.fetcher.counters["hedges"] += 1
            self.issue()

    def revive(self, now_s: float) -> None:
        """Try stranded replicas again; fail when that took too long."""
        if now_s - self.stranded_s > STRANDED_S_MAX:
            self._finish(None)
            return
        self.candidates.extend(self.stranded)
        self.stranded.clear()
        self.issue()

    def give_up(self) -> None:
        """Fail: no replica answered within the time limit."""
        if not self.done:
            self.error_number = errno.ETIMEDOUT
            self._finish(None)

    def _finish(self, data: bytes | memoryview | None) -> None:
        self.data = data
        self.failed = data is None
        self.done = True
        self.fetcher.finished(self)
        if self.waiter is not None:
            self.waiter.set()

    async def wait(self) -> None:
        """Wait until `done`; it takes at most AGE_S_MAX, whatever the disks do."""
        if not self.done:
            if self.waiter is None:
                self.waiter = trio.Event()
            await self.waiter.wait()

    def drop(self) -> None:
        """Give up the bytes; a reader that still wants them fetches anew."""
        self.data = None
        self.fetcher.forget(self)
        if self.ticket is not None:
            self.ticket.free()

    def close(self) -> None:
        """Give up the bytes, or the wish for them, because the reader is done."""
        child = self.ticket.child if self.ticket is not None else None
        if not self.done:
            # What still arrives is discarded, its slot freed; who still waits begins anew.
            self._finish(None)
            self.failed = False
        self.drop()
        if child is not None:
            child.send_waiting()


class Fetcher:
    """All read children, and the watchdog over what they were asked."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.children: dict[str, ReadChild] = {}
        self.counters: Counter[str] = Counter()
        self._nursery = nursery
        self._active: set[Fetch] = set()
        self._stranded: set[Fetch] = set()
        self._kept: OrderedDict[Fetch, int] = OrderedDict()
        self._kept_bytes = 0

    def child(self, disk_id: str) -> ReadChild:
        """Return the disk's read child, made on first use."""
        child = self.children.get(disk_id)
        if child is None:
            child = self.children[disk_id] = ReadChild(disk_id, self._nursery)
        return child

    def start_children(self, disk_ids: Iterable[str]) -> None:
        """Start children ahead of the first read (a start takes about 0.1 s)."""
        for disk_id in disk_ids:
            self.child(disk_id).start()

    def start_soon(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        """Run a coroutine that no reader waits for."""
        self._nursery.start_soon(call, *arguments)

    def fetch(self, place: Place, first_block: int, block_count: int) -> Fetch:
        """Begin to read blocks of a record; returns at once."""
        fetch = Fetch(self, place, first_block, block_count)
        self._active.add(fetch)
        fetch.issue()
        return fetch

    def order(self, place: Place) -> list[tuple[ReadChild, str]]:
        """Return the replicas in the order to ask: healthy, answering, least loaded.

        Equals are ordered by the key, so that many objects use all disks and one object one disk.
        """
        turn = place.key[0]
        count = len(place.replicas)
        ranked: list[tuple[bool, bool, int, int, ReadChild, str]] = []
        for position, replica in enumerate(place.replicas):
            child = self.child(replica.disk_id)
            rank = (position + turn) % count
            load = child.load
            ranked.append((not replica.healthy, child.suspect, load, rank, child, replica.path))
        ranked.sort(key=lambda entry: entry[:4])
        return [entry[4:] for entry in ranked]

    def note_failure(self, fetch: Fetch, ticket: Ticket, error_number: int) -> None:
        """Count and log what a replica could not deliver: served from another, but never silent."""
        name = errno.errorcode.get(error_number, str(error_number))
        self.counters[f"replica_{name}"] += 1
        if error_number != errno.EPIPE:
            _log.warning(
                "%s reading %s at %d from %s",
                "checksum mismatch" if error_number == errno.EBADMSG else name,
                fetch.place.key.hex(),
                ticket.record_offset,
                ticket.path,
                extra=about("replica.unread", key=fetch.place.key.hex(), path=ticket.path),
            )

    def strand(self, fetch: Fetch) -> None:
        """Remember a fetch whose replicas cannot be asked right now."""
        self._stranded.add(fetch)

    def finished(self, fetch: Fetch) -> None:
        """Note the end of a fetch; keep its bytes within the limit on unread bytes."""
        self._active.discard(fetch)
        self._stranded.discard(fetch)
        if isinstance(fetch.data, bytes):
            self._kept[fetch] = len(fetch.data)
            self._kept_bytes += len(fetch.data)
            while self._kept_bytes > KEPT_BYTES_MAX:
                next(iter(self._kept)).drop()

    def forget(self, fetch: Fetch) -> None:
        """Note that a fetch gave up its bytes."""
        self._kept_bytes -= self._kept.pop(fetch, 0)

    async def watch(self) -> None:
        """Hedge late reads, kill silent children, revive stranded reads; runs for ever."""
        while True:
            await trio.sleep(WATCH_INTERVAL_S)
            try:
                self._look(time.monotonic())
            except Exception:
                # The mount must outlive a mistake in here; reads go on, this look is lost.
                self.counters["handler_errors"] += 1
                _log.exception(
                    "the watch over the read children failed", extra=about("mount.watch_failed")
                )

    def _look(self, now_s: float) -> None:
        for child in list(self.children.values()):
            child.check(now_s)
            self._hedge_late(child, now_s)
        for fetch in list(self._stranded):
            self._stranded.discard(fetch)
            fetch.revive(now_s)
        for fetch in [late for late in self._active if now_s - late.started_s > AGE_S_MAX]:
            fetch.give_up()

    def _hedge_late(self, child: ReadChild, now_s: float) -> None:
        # A child that answers others but not this one may be retrying one bad sector; one that is
        # merely busy must not be hedged, or a full queue would double itself.
        for ticket in child.tickets():
            age_s = now_s - ticket.asked_s
            silent = age_s > HEDGE_SILENT_S and child.silence_s(ticket, now_s) > HEDGE_SILENT_S
            if (silent or age_s > HEDGE_AGE_S) and not ticket.hedged:
                ticket.customer.hedge(ticket)

    def stop(self) -> None:
        """End all children."""
        for child in self.children.values():
            child.stop()
