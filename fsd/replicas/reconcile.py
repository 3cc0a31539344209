"""The reconciler: it owns making the actual replicas equal the wanted ones, by whole shards.

Background copies beyond the acknowledged ones, rebuild after a loss and healing of bad replicas
are all the same: a sealed shard with too few sound copies is copied from a sound one to a chosen
disk, verified while it is read and read back where it is written, adopted by one rename, and only
then counted. Shards with the fewest copies come first. When nothing is wanted, replicas that are
one too many are given up (see `trim`).
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CancelledError
from fsd.replicas.copy_plan import CopyQueue, Planned
from fsd.replicas.replicate import BACKGROUND, COPIES_AT_ONCE_MAX, Replicator
from fsd.store.job import Job
from fsd.store.store import Store

PERIOD_S = 5.0
REBUILD_AFTER_S = 900.0
RETRY_S = 30.0
REPLAN_S = 5.0
"""So often the copies that wait are planned anew, by what the disks did until then."""
REPLAN_SHARE_MAX = 0.02
"""Of the time: the plan of very many shards takes a second."""


@dataclass(frozen=True, slots=True)
class Want:
    """One shard that needs a copy, and how many sound ones there are."""

    shard: CatalogShard
    copies: int


class Reconciler:
    """One thread that looks every few seconds, and the verbs that do the same at once."""

    def __init__(self, store: Store, replicator: Replicator) -> None:
        self._store = store
        self._replicator = replicator
        self._wake = threading.Event()
        self._stop = threading.Event()
        # Held for a round of copies, or a whole rebuild. Before `Engine.maintenance` and
        # claims of shards.
        self.busy = threading.Lock()
        self._stuck: dict[str, float] = {}
        self.last_error = ""
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begin to look after the replicas."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a copy under way is left as a part file, which a start removes."""
        self._stop.set()
        self._wake.set()

    def poke(self) -> None:
        """Look now instead of at the next period."""
        self._wake.set()

    def wanted(self, *, at_once: bool = False) -> list[Want]:
        """Return the sealed shards with too few sound copies, the poorest first.

        Unless `at_once`, replicas on a disk that has been missing for less than 15 minutes still
        count: it may come back, and a rebuild is long.
        """
        store = self._store
        with store.lock:
            known = store.shards.state.shards.values()
            # Nobody wants what is in a vacated shard: it only waits for its deletion.
            shards = [s for s in known if s.sealed and not s.vacated]
        wants: list[Want] = []
        for shard in shards:
            copies = store.sound_copies(shard.shard_id)
            expected = 0 if at_once else self._expected_back(shard)
            if copies + expected < store.config.copies(shard.class_name):
                wants.append(Want(shard, copies))
        return sorted(wants, key=lambda want: (want.copies, want.shard.length_bytes))

    def rebuild(self, job: Job, prepare: Callable[[Job], None]) -> dict[str, Any]:
        """Copy until every shard has its copies or cannot get them; resumable, cancellable.

        `prepare` runs while no background copy does, so that the job copies, and counts, what
        follows from it.
        """
        # Else the round that runs in the background, which begins no more copies.
        with self._replicator.pace.lifted(), job.holding(self.busy):
            prepare(job)
            self._stuck.clear()
            self._replicator.reconstructor.given_up.clear()
            wants = self.wanted(at_once=True)
            job.expect(len(wants), sum(self._lacking_bytes(want) for want in wants))
            job.phase = "copying"
            copied, stuck = self._copy_all(wants, job)
            stuck += self._report_open(job)
        return {"copied": copied, "stuck": stuck, "incomplete": stuck > 0}

    def _lacking_bytes(self, want: Want) -> int:
        wanted = self._store.config.copies(want.shard.class_name)
        return (wanted - want.copies) * want.shard.length_bytes

    def _report_open(self, job: Job) -> int:
        """Name the shards that nobody writes and that could not be sealed, so not be copied."""
        store = self._store
        with store.lock:
            known, writing = store.shards.state.shards.values(), store.shards.writing
            left = [s.shard_id for s in known if not s.sealed and s.shard_id not in writing]
        for shard_id in left:
            reason = "it cannot be sealed now; drystone health says what it waits for"
            job.report({"shard": shard_id, "reason": reason})
        return len(left)

    def _expected_back(self, shard: CatalogShard) -> int:
        disks = (self._store.disks.disks.get(disk_id) for disk_id in shard.disks)
        now = time.time()
        return sum(
            disk is not None
            and disk.state == "missing"
            and now - disk.since < REBUILD_AFTER_S
            and (shard.shard_id, disk.disk_id) not in self._store.shards.lost
            for disk in disks
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                with self.busy:
                    now = time.monotonic()
                    healer = self._replicator.reconstructor
                    # A shard that was given up is tried again when something has changed.
                    stuck = {
                        shard_id
                        for shard_id, since in self._stuck.items()
                        if now - since < RETRY_S and shard_id not in healer.given_up
                    }
                    # What is there already needs no copy.
                    adopt_found(self._store, self._replicator)
                    wanted = self.wanted()
                    if not wanted:
                        self._stuck, self.last_error = {}, ""
                    wants = [
                        want
                        for want in wanted
                        if want.shard.shard_id not in stuck and not healer.is_hopeless(want.shard)
                    ]
                    self._copy_all(wants, None)
                    if not wants and not self._stop.is_set():
                        trim(self._store, self._replicator)
            except Exception as error:
                # The reconciler must outlive one bad round; health shows what happened.
                self.last_error = f"{type(error).__name__}: {error}"

    def _copy_all(self, wants: list[Want], job: Job | None) -> tuple[int, int]:
        plan = self._replicator.plan([(want.shard, want.copies) for want in wants])
        queue = CopyQueue.of(plan)
        shards = {want.shard.shard_id: want.shard for want in wants}
        # Guards the counts and `due_s`, between the lanes. Innermost.
        lock, pace = threading.Lock(), self._replicator.pace
        copied = stuck = 0
        due_s = time.monotonic() + REPLAN_S

        def replan_when_due() -> None:
            nonlocal due_s
            begun_s = time.monotonic()
            with lock:
                if begun_s < due_s:
                    return
                due_s = float("inf")
            needs = [planned.need for planned in queue.waiting()]
            wanted = [(shards[need.shard_id], need.copies) for need in needs]
            queue.replan(self._replicator.plan(wanted, queue.left()))
            ended_s = time.monotonic()
            due_s = ended_s + max(REPLAN_S, (ended_s - begun_s) / REPLAN_SHARE_MAX)

        def work() -> None:
            nonlocal copied, stuck
            for planned in queue:
                if self._stop.is_set() or (job is None and pace.is_lifted):
                    return
                if job is not None:
                    job.check()
                done = self._fill(shards[planned.need.shard_id], planned, job)
                with lock:
                    copied, stuck = copied + done, stuck + (not done)
                replan_when_due()

        lanes = COPIES_AT_ONCE_MAX if job is not None else pace.copies_max or COPIES_AT_ONCE_MAX
        with ThreadPoolExecutor(lanes, "copy") as workers:
            for future in [workers.submit(work) for _ in range(lanes)]:
                future.result()
        return copied, stuck

    def _fill(self, shard: CatalogShard, planned: Planned, job: Job | None) -> bool:
        """Copy a shard until it has its copies; False when that cannot be now."""
        store = self._store
        target = store.config.copies(shard.class_name)
        lacking = target - planned.need.copies
        try:
            with self._replicator.claim(shard.shard_id, job) as known:
                while known is not None and store.sound_copies(shard.shard_id) < target:
                    self._replicator.copy(known, job, wished=planned)
                    lacking -= 1
        except CancelledError:
            raise
        except DrystoneError as error:
            # Whatever it is, it is this shard's: the others are copied all the same.
            self._stuck[shard.shard_id] = time.monotonic()
            self.last_error = str(error)
            if job is not None:
                job.report({"shard": shard.shard_id, "reason": str(error)})
            return False
        self._stuck.pop(shard.shard_id, None)
        if job is not None:
            job.expect(0, -lacking * shard.length_bytes)  # Somebody else has made these.
            job.advance(1, 0)
        return True


# ---- Trimming ------------------------------------------------------------------------------------
# Surplus and found replicas: it owns which copy is one too many, and which file counts again.
#
# More sound copies than wanted are left when a disk comes back after its shards were copied
# elsewhere, or a move was cut off. A found file is a replica that the catalog does not name (any
# more), of a live shard: it counts again once every byte of it is verified.

TRIMS_PER_ROUND_MAX = 16


@dataclass(frozen=True, slots=True)
class Holder:
    """One replica that can be read: is it sound, and how good is its disk to keep it."""

    disk_id: str
    failure_domain: str
    sound: bool = True
    draining: bool = False
    errors: int = 0
    fill: float = 0.0


def choose_surplus(holders: Sequence[Holder], wanted: int) -> str | None:
    """Return the disk whose replica may go, or None when none is one too many; pure.

    Without it there are `wanted` sound replicas on disks that stay, in as many failure domains as
    now (or as wanted). Damaged ones go first, then those on draining disks, on the disks with the
    most errors, on the fullest.
    """
    order = sorted(holders, key=lambda one: (one.sound, not one.draining, -one.errors, -one.fill))
    apart = min(wanted, len({one.failure_domain for one in holders if _stays(one)}))
    for candidate in order:
        left = [one for one in holders if _stays(one) and one is not candidate]
        if len(left) >= wanted and len({one.failure_domain for one in left}) >= apart:
            return candidate.disk_id
    return None


def _stays(holder: Holder) -> bool:
    return holder.sound and not holder.draining


def trim(store: Store, replicator: Replicator) -> int:
    """Give surplus replicas up, a few at a time; returns how many."""
    with store.lock:
        shards = [shard for shard in store.shards.state.shards.values() if shard.sealed]
    trimmed = 0
    for shard in shards:
        wanted = store.config.copies(shard.class_name)
        if len(shard.disks) <= wanted or trimmed >= TRIMS_PER_ROUND_MAX:
            continue
        chosen = choose_surplus(_holders(store, shard), wanted)
        if chosen is not None:
            # A disk in trouble; the next round looks again.
            with contextlib.suppress(DrystoneError):
                trimmed += replicator.give_up(shard.shard_id, store.disks.disks[chosen])
    return trimmed


def _holders(store: Store, shard: CatalogShard) -> list[Holder]:
    sound = store.sound_replicas(shard.shard_id)
    return [
        Holder(
            disk.disk_id,
            disk.failure_domain,
            disk in sound,
            disk.draining,
            disk.counters.errors,
            1 - disk.free_bytes / max(1, disk.size_bytes),
        )
        for disk in store.disks.readable(list(shard.disks))
    ]


def adopt_found(store: Store, replicator: Replicator) -> int:
    """Verify the files that inventories found, and let sound ones count again; returns how many.

    What is damaged, or belongs to no live shard any more, is set aside as other unknown files are.
    Those of open shards are left to who recovers these (see `waiting_shards`).
    """
    adopted = 0
    for disk in store.disks.online():
        for shard_id in sorted(disk.found):
            with store.lock:
                shard = store.shards.state.shards.get(shard_id)
            if shard is not None and not shard.sealed:
                continue
            with contextlib.suppress(DrystoneError):  # The disk's state says what happened.
                adopted += _adopt_one(store, replicator, disk, shard_id)
            disk.found.discard(shard_id)
    # The index may have been made without them, while no disk gave their shards.
    store.behind |= adopted > 0
    return adopted


def _adopt_one(store: Store, replicator: Replicator, disk: Disk, shard_id: str) -> bool:
    with replicator.claim(shard_id) as shard:
        if shard is not None and disk.disk_id in shard.disks:
            return False  # It was copied here meanwhile.
        result = disk.call("verify", shard_id, priority=BACKGROUND) if shard else None
        if shard is None or result is None or result.problems:
            disk.call("quarantine_shard", shard_id)
            return False
        replicator.adopt(shard, disk)
        return True
