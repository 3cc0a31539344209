"""Open shards that nobody writes: it owns when each is recovered, and what one waits for.

To recover a shard it is read whole on every disk that has it. One that waits for a disk is not read
again before something has changed that it may depend on: its disks, their states, or much time.

A start does not wait for that where there is much to read. The index is told of a group after it is
durable, and before it is acknowledged. So nothing is unknown of a shard that ends where the index
says, but for a footer or a torn group. What else lies behind was acknowledged only if the index is
older than the shard: until it is read, nothing is called missing (see `Store.refuse_unfinished`).
"""

import contextlib
import time
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from shlex import quote

from base.errors import DrystoneError
from base.logging.ids import about
from base.text import count_text
from fsd.documents.models import Notice
from fsd.format.catalog import CatalogShard
from fsd.format.errors import DiskError, NotEnoughDisksError
from fsd.format.record import SHARD_HEADER_BYTES
from fsd.repair.recover import recover_shard
from fsd.store.job import Job
from fsd.store.store import Store

AGAIN_S = 6 * 3600.0
"""A sector that could not be read may be readable later; nothing else changes by itself."""
AGAIN_AFTER_ERROR_S = 30.0
NAMED_MAX = 3
ALL_GONE = "all disks that had it were declared gone"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a shard waits for, when it is tried again, and what its disks were when it was tried."""

    shard_id: str
    names: tuple[str, ...]
    reason: str
    seen: object
    again_at_s: float
    failed: bool = False


@dataclass(slots=True)
class WaitingShards:
    """The open shards of one store that could not be sealed yet."""

    store: Store
    found: dict[str, Waiting] = field(default_factory=dict[str, Waiting])

    @property
    def is_postponed(self) -> bool:
        """Return whether the start left some to a job: who wants all sealed has them read first."""
        return bool(self.store.shards.unread)

    def postpone(self, above_bytes: int) -> None:
        """Leave them all unread when there is more than this to read."""
        if self.unread_bytes() > above_bytes:
            with self.store.lock:
                self.store.shards.unread = {shard.shard_id for shard in self._left()}

    def _left(self) -> list[CatalogShard]:
        store = self.store
        with store.lock:
            shards = list(store.shards.state.shards.values())
            return [s for s in shards if not s.sealed and s.shard_id not in store.shards.writing]

    def unread_bytes(self) -> int:
        """Return how much there is to read, on all disks that are here."""
        left = {shard.shard_id for shard in self._left()}
        here = [disk for disk in self.store.disks.disks.values() if disk.readable]
        sizes = (disk.left_bytes.items() for disk in here)
        return sum(size for some in sizes for shard_id, size in some if shard_id in left)

    def unknown(self) -> set[str]:
        """Return the shards in which there may be more than the index knows of."""
        known: dict[str, int] = {}
        with self.store.index.read() as reader:
            for shard in self._left():
                number = reader.shard_number(shard.shard_id)
                row = None if number is None else reader.shard(number)
                is_placed = row is not None and row.placed_bytes == row.length_bytes
                known[shard.shard_id] = row.length_bytes if row is not None and is_placed else 0
        asked = [
            (shard_id, disk.request("holds_more", shard_id, end) if end else None)
            for disk in self.store.disks.disks.values()
            for shard_id, size in (disk.left_bytes if disk.readable else {}).items()
            if (end := known.get(shard_id)) is not None and size > max(end, SHARD_HEADER_BYTES)
        ]
        return {shard_id for shard_id, answer in asked if answer is None or _may_be(answer)}

    def recover_all(
        self,
        *,
        only: Collection[str] | None = None,
        at_once: bool = False,
        job: Job | None = None,
    ) -> int:
        """Heal and seal every shard that is open in the catalog and that nobody writes now.

        Those that wait are tried when something has changed, or `at_once`. Returns how many were
        sealed; one disk's trouble stops nothing. CancelledError between two when the job is
        cancelled.
        """
        waiting = self._left()
        known = {shard.shard_id for shard in waiting}
        self.found = {one: what for one, what in self.found.items() if one in known}
        with self.store.lock:
            self.store.shards.unread &= known
        if only is not None:
            waiting = [shard for shard in waiting if shard.shard_id in only]
        for shard in waiting:
            self._count_found(shard)
        sealed = 0
        for shard in waiting:
            if job is not None:
                job.check()
            sealed += self._recover(shard, at_once)
            with self.store.lock:
                self.store.shards.unread.discard(shard.shard_id)
        return sealed

    def in_doubt(self) -> set[str]:
        """Return the shards that may be read whole in a moment: their last try proves nothing.

        An error may pass, and a disk that came or went meanwhile was not asked for all it has.
        """
        return {
            shard.shard_id
            for shard in self._left()
            if (one := self.found.get(shard.shard_id)) is not None
            and (one.failed or one.seen != self._look(shard))
        }

    def _count_found(self, shard: CatalogShard) -> None:
        """Let files that inventories found count again: the recovery reads all that is in them."""
        store = self.store
        for disk in store.disks.online():
            if shard.shard_id in disk.found:
                entry = {"shard": shard.shard_id, "disk": disk.disk_id}
                with contextlib.suppress(DiskError):  # Then the next round does it.
                    store.catalog.append(("replica_add", entry))
                    disk.found.discard(shard.shard_id)
                    with store.lock:
                        store.shards.lost.discard((shard.shard_id, disk.disk_id))

    def _recover(self, shard: CatalogShard, at_once: bool) -> bool:
        store, seen = self.store, self._look(shard)
        before = self.found.get(shard.shard_id)
        due = before is None or before.seen != seen or time.monotonic() >= before.again_at_s
        if not (due or at_once):
            return False
        reason, again_s, failed = "", AGAIN_S, False
        try:
            if recover_shard(store, shard):
                self.found.pop(shard.shard_id, None)
                return True
        except (DiskError, NotEnoughDisksError) as error:
            reason, again_s, failed = str(error), AGAIN_AFTER_ERROR_S, True
            if before is None or before.reason != reason:
                told = about("shard.waits", shard=shard.shard_id)
                store.disks.log.warning("shard %s waits: %s", shard.shard_id, reason, extra=told)
        here = {disk.disk_id for disk in store.disks.readable(shard.disks)}
        away = [store.disks.disks.get(disk_id) for disk_id in shard.disks if disk_id not in here]
        names = tuple(sorted(disk.name for disk in away if disk is not None))
        reason = reason if shard.disks else ALL_GONE
        again_at_s = time.monotonic() + again_s
        # As it was before: what changed meanwhile is news.
        found = Waiting(shard.shard_id, names, reason, seen, again_at_s, failed)
        self.found[shard.shard_id] = found
        return False

    def _look(self, shard: CatalogShard) -> object:
        disks = [self.store.disks.disks.get(disk_id) for disk_id in shard.disks]
        return [(disk.disk_id, disk.session, disk.state) for disk in disks if disk is not None]

    def notices(self) -> list[Notice]:
        """Return what a person should know, and do."""
        found = list(self.found.values())
        if not found:
            return []
        names = sorted({name for one in found for name in one.names})
        reasons = sorted({one.reason for one in found if one.reason and not one.names})
        what = f"{count_text(len(found), 'open shard')} cannot be sealed yet, nor copied till then"
        for_what = [f"they wait for {', '.join(names)}"] if names else []
        listed = [one.shard_id for one in found[:NAMED_MAX]]
        more = [f"and {len(found) - NAMED_MAX} more"] if len(found) > NAMED_MAX else []
        told = [what, *for_what, *reasons[:NAMED_MAX], ", ".join([*listed, *more])]
        back = " or ".join(f"drystone rebuild --disk {quote(name)}" for name in names)
        return [
            Notice(
                code="open-shards",
                severity="critical",
                message="; ".join(told),
                advice=f"bring {', '.join(names)} back: what was acknowledged last may be whole "
                f"there alone. If it is dead: {back} seals them without it, and names what is lost"
                if names
                else _advice(reasons),
            )
        ]


def _may_be(answer: "Future[bool]") -> bool:
    try:
        return answer.result()
    except DrystoneError:
        return True  # Nobody knows; the recovery finds out what is wrong there.


def _advice(reasons: list[str]) -> str:
    if reasons == [ALL_GONE]:
        return (
            "one that is not dead comes back with drystone disk add PATH, and what it has counts "
            "again. Else put the files again from their source; nothing waits for these shards"
        )
    return (
        "drystone health names the errors; the engine tries again by itself, and drystone rebuild "
        "at once"
    )
