"""The reconciler: it owns making the actual replicas equal the wanted ones, by whole shards.

Background copies beyond the acknowledged ones, rebuild after a loss and healing of bad replicas
are all the same: a sealed shard with too few sound copies is copied from a sound one to a chosen
disk, verified while it is read and read back where it is written, adopted by one rename, and only
then counted. Shards with the fewest copies come first. When nothing is wanted, replicas that are
one too many are given up (see `trim`).
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from base.errors import DrystoneError
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CancelledError
from fsd.replicas.copy_plan import CopyQueue, Planned
from fsd.replicas.replicate import COPIES_AT_ONCE_MAX, Replicator
from fsd.replicas.trim import adopt_found, trim
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
        self._busy = threading.Lock()
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
        with self._replicator.pace.lifted(), job.holding(self._busy):
            prepare(job)
            self._stuck.clear()
            self._replicator.mender.given_up.clear()
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
                with self._busy:
                    now = time.monotonic()
                    mender = self._replicator.mender
                    # A shard that was given up is tried again when something has changed.
                    stuck = {
                        shard_id
                        for shard_id, since in self._stuck.items()
                        if now - since < RETRY_S and shard_id not in mender.given_up
                    }
                    # What is there already needs no copy.
                    adopt_found(self._store, self._replicator)
                    wanted = self.wanted()
                    if not wanted:
                        self._stuck, self.last_error = {}, ""
                    wants = [
                        want
                        for want in wanted
                        if want.shard.shard_id not in stuck and not mender.is_hopeless(want.shard)
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
