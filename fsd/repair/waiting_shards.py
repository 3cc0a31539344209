"""Open shards that nobody writes: it owns when each is recovered, and what one waits for.

To recover a shard it is read whole on every disk that has it. One that waits for a disk is not read
again before something has changed that it may depend on: its disks, their states, or much time.
"""

import contextlib
import time
from dataclasses import dataclass, field
from shlex import quote

from base.text import count_text
from fsd.documents.models import Notice
from fsd.format.catalog import CatalogShard
from fsd.format.errors import DiskError, NotEnoughDisksError
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


@dataclass(slots=True)
class WaitingShards:
    """The open shards of one store that could not be sealed yet."""

    store: Store
    found: dict[str, Waiting] = field(default_factory=dict[str, Waiting])

    def recover_all(self, *, at_once: bool = False, job: Job | None = None) -> int:
        """Heal and seal every shard that is open in the catalog and that nobody writes now.

        Those that wait are tried when something has changed, or `at_once`. Returns how many were
        sealed; one disk's trouble stops nothing. CancelledError between two when the job is
        cancelled.
        """
        store = self.store
        with store.lock:
            shards = list(store.shards.state.shards.values())
            waiting = [s for s in shards if not s.sealed and s.shard_id not in store.shards.writing]
        known = {shard.shard_id for shard in waiting}
        self.found = {one: what for one, what in self.found.items() if one in known}
        for shard in waiting:
            self._count_found(shard)
        sealed = 0
        for shard in waiting:
            if job is not None:
                job.check()
            sealed += self._recover(shard, at_once)
        return sealed

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
        reason, again_s = "", AGAIN_S
        try:
            if recover_shard(store, shard):
                self.found.pop(shard.shard_id, None)
                return True
        except (DiskError, NotEnoughDisksError) as error:
            reason, again_s = str(error), AGAIN_AFTER_ERROR_S
            if before is None or before.reason != reason:
                store.disks.remember(f"shard {shard.shard_id} waits: {reason}")
        here = {disk.disk_id for disk in store.disks.readable(shard.disks)}
        away = [store.disks.disks.get(disk_id) for disk_id in shard.disks if disk_id not in here]
        names = tuple(sorted(disk.name for disk in away if disk is not None))
        reason = reason if shard.disks else ALL_GONE
        again_at_s = time.monotonic() + again_s
        # As it was before: what changed meanwhile is news.
        self.found[shard.shard_id] = Waiting(shard.shard_id, names, reason, seen, again_at_s)
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
