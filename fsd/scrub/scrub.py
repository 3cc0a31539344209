"""Scrubbing: it owns paying the debt of unverified replicas, in the background and as a job.

In the background every readable disk reads one replica at a time, at its share of the rate, while
no job runs (after an hour of jobs one replica a disk goes ahead all the same) and giving way to
every other request of its disk. A damaged replica becomes suspect: the reconciler copies it again
from a sound one, and the new copy is due at once.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.disk_io.reading.verify import VerifyResult
from fsd.disks.disks import Disk
from fsd.documents.watch_models import ScrubStatus
from fsd.format.errors import CancelledError, CorruptError
from fsd.repair.care import FINDINGS_MAX, check_index
from fsd.repair.index_check import check_order, check_rows, drop_damaged_trees, missing_rows
from fsd.repair.index_heal import note_sought, repair_index
from fsd.replicas.replicate import BACKGROUND
from fsd.scrub.scrub_log import METADATA, ROUND, Replica, name_of, note_verified, verified_times
from fsd.scrub.scrub_losses import Damage
from fsd.scrub.scrub_plan import Debt, make_debts
from fsd.store.job import CANCEL_POLL_S, Job, timestamp
from fsd.store.read_errors import note_read_error
from fsd.store.store import Store

DAY_S = 86400.0
TICK_S = 1.0
PLAN_AGAIN_S = 5.0
DEFER_S_MAX = 3600.0
LOSSES_LISTED_MAX = 1000
CLOCK_SLACK_S = 3600.0
RETRY_S = 300.0
RATE_WINDOW_S = 60.0


class Scrubber:
    """One thread that starts and collects verifications; the disks do the work."""

    def __init__(self, store: Store, jobs_run: Callable[[], bool], on_damage: Callable[[], None]):
        self._store = store
        self._jobs_run = jobs_run
        self._on_damage = on_damage
        self._file = store.watch_file
        self.damage = Damage(store)
        self._interval_s = store.config.store.scrub_interval_days * DAY_S
        self._rate = store.config.store.scrub_rate_bytes_per_s
        self._active: dict[str, tuple[Debt, Future[Any]]] = {}
        self._later: dict[Replica, float] = {}
        self._plan: list[Debt] = []
        self._planned_at = float("-inf")
        self._last_start = time.monotonic()
        self._samples: deque[tuple[float, int]] = deque(maxlen=4096)
        self._paid_since_round = False
        # A start is no check: an engine that is started every morning would never make one.
        self._metadata_s = self._last(METADATA) or self._note_metadata()
        self._wrong_entries = self._damaged_rows = (0, 0)
        # Held for a scrub that was asked for: the background pays nothing meanwhile. Outermost.
        self._job = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)

    def start(self) -> None:
        """Begin to pay the debt in the background, unless the rate is 0."""
        if self._rate:
            self._thread.start()

    def stop(self) -> None:
        """End the thread; what is being verified is verified again later."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5 * TICK_S)

    def debts(self, *, suspects: bool = False) -> list[Debt]:
        """Return every replica that can be scrubbed now, in the order of payment.

        Without `suspects`, known to be damaged, which are copied anew and not read once more.
        """
        store = self._store
        with store.lock:
            shards = [s for s in store.shards.state.shards.values() if not s.vacated]
            known = set[tuple[str, str]]() if suspects else store.shards.suspect
            excluded = frozenset(store.shards.lost | known)
        latest_s, times = time.time() + CLOCK_SLACK_S, verified_times(self._file)
        debts = make_debts(shards, times, excluded, self._interval_s, latest_s)
        readable = {disk.disk_id for disk in store.disks.disks.values() if disk.readable}
        return [debt for debt in debts if debt.disk_id in readable]

    def run_now(self, job: Job) -> dict[str, Any]:
        """Verify all that is due, was never scrubbed, or is suspect, every disk at its full speed.

        Of a suspect replica only this tells where it is damaged. Gives way to other requests all
        the same. What was verified before a cancel counts.
        """
        with self._job:
            self._stop_active()
            job.phase = "scrubbing"
            now = time.time()
            with self._store.lock:
                suspect = frozenset(self._store.shards.suspect)
            due = [
                debt
                for debt in self.debts(suspects=True)
                if debt.due_s <= now or not debt.verified_s or debt.replica in suspect
            ]
            job.total_files, job.total_bytes = len(due), sum(debt.length_bytes for debt in due)
            by_disk: dict[str, list[Debt]] = {}
            for debt in due:
                by_disk.setdefault(debt.disk_id, []).append(debt)
            with ThreadPoolExecutor(max(1, len(by_disk)), "scrub") as workers:
                futures = [workers.submit(self._pay, debts, job) for debts in by_disk.values()]
                counts = [future.result() for future in futures]
            self._planned_at = float("-inf")
            self._note_round(self.debts())
            problems = sum(counts) + self._check_the_rest(job)
        losses = self.damage.losses()
        for name in losses:
            job.report({"path": name, "status": "lost", "reason": "no replica gives it"})
        result = {"replicas": job.done_files, "read_bytes": job.done_bytes, "problems": problems}
        return {**result, "losses": len(losses), "incomplete": bool(problems or losses)}

    def _check_the_rest(self, job: Job) -> int:
        """Check catalogs, identities and the index too; returns how many problems there were."""
        job.phase = "checking catalogs and identities"
        problems = heal_metadata(self._store, job)
        self._metadata_s = self._note_metadata()
        job.phase = "checking the index"
        generation = self._store.index.generation
        problems += self._check_rows(job)
        try:
            findings, wrong = check_entries(self._store, job)
        except CorruptError as error:
            job.report({"reason": str(error)})
            self._damaged_rows = generation, self.damaged_rows() + 1
            return problems + 1
        # Into tables that are damaged themselves nothing is written: a reindex repairs all of it.
        if wrong and not self.damaged_rows():
            self._note_wrong(generation, repair_index(self._store, job))
        return problems + findings

    def _check_rows(self, job: Job | None = None) -> int:
        generation = self._store.index.generation
        problems, damaged = check_index_itself(self._store, job)
        self._damaged_rows = generation, damaged
        return problems

    def damaged_rows(self) -> int:
        """Return how much of the index that is in use only a reindex puts right."""
        generation, damaged = self._damaged_rows
        return damaged if generation == self._store.index.generation else 0

    def _last(self, what: Replica) -> int:
        return verified_times(self._file).get(name_of(what), 0)

    def _note_metadata(self) -> int:
        note_verified(self._file, METADATA, int(time.time()))
        return int(time.time())

    def repair_index(self, job: Job) -> dict[str, Any]:
        """Look at every row of the index, since a wrong one was met, and put it right."""
        generation, met = self._store.index.generation, set(self._store.misplaced)
        self._store.misplaced.clear()
        repaired = repair_index(self._store, job)
        # What is lost has no place that could be put right.
        self._note_wrong(generation, max(len(met) - note_sought(self._store, met), repaired))
        return {"repaired": repaired}

    def _note_wrong(self, generation: int, count: int) -> None:
        before = self.wrong_entries()
        self._wrong_entries = generation, before + count

    def wrong_entries(self) -> int:
        """Return how many wrong places were found in the index that is in use, and put right."""
        generation, wrong = self._wrong_entries
        return wrong if generation == self._store.index.generation else 0

    def _pay(self, debts: list[Debt], job: Job) -> int:
        problems = 0
        for debt in debts:
            job.check()
            disk = self._store.disks.disks[debt.disk_id]
            future = disk.request("scrub", debt.shard_id, 0.0, priority=BACKGROUND)
            while not _wait(future, CANCEL_POLL_S):
                try:
                    job.check()
                except CancelledError:
                    disk.request("scrub_stop")
                    raise
            lines = self._collect(debt, future)
            problems += len(lines)
            job.report(*lines)
            job.advance(1, debt.length_bytes)
        return problems

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            try:
                self._tick()
            except Exception as error:
                # The scrub must outlive one bad round; health shows what happened.
                told = about("scrub.failed")
                log = self._store.disks.log
                log.exception("scrub: %s: %s", type(error).__name__, error, extra=told)

    def _tick(self) -> None:
        for disk_id, (debt, future) in list(self._active.items()):
            if future.done():
                del self._active[disk_id]
                self._collect(debt, future)
        patient = time.monotonic() - self._last_start > DEFER_S_MAX
        if self._job.locked() or (self._jobs_run() and not patient):
            return
        self._plan_again()
        # A clock that was ahead once must not put it off.
        if abs(time.time() - self._metadata_s) >= DAY_S:
            self._metadata_s = self._note_metadata()
            heal_metadata(self._store)
            self._check_rows()
        now = time.time()
        for disk in self._store.disks.disks.values():
            if disk.readable and disk.disk_id not in self._active:
                self._begin(disk, now)
        if not self._active:
            self._note_round(self._plan)

    def _plan_again(self) -> None:
        if time.monotonic() < self._planned_at + PLAN_AGAIN_S:
            return
        began = time.monotonic()
        horizon = time.time() + DAY_S
        self._plan = [debt for debt in self.debts() if debt.due_s < horizon]
        # A plan of many shards takes a while: it is then made less often.
        self._planned_at = time.monotonic() + 50 * (time.monotonic() - began)

    def _begin(self, disk: Disk, now: float) -> None:
        monotonic = time.monotonic()
        for debt in self._plan:
            due = debt.due_s <= now and self._later.get(debt.replica, 0.0) < monotonic
            if debt.disk_id == disk.disk_id and due:
                self._plan.remove(debt)
                future = disk.request(
                    "scrub", debt.shard_id, float(self._rate), priority=BACKGROUND
                )
                self._active[disk.disk_id] = (debt, future)
                self._last_start = monotonic
                return

    def _collect(self, debt: Debt, future: "Future[Any]") -> list[dict[str, Any]]:
        """Draw the consequences of one verification; returns its findings as report lines."""
        store = self._store
        disk = store.disks.disks[debt.disk_id]
        where = {"disk": disk.name, "shard": debt.shard_id}
        try:
            result: VerifyResult = future.result()
        except CancelledError:
            return []
        except DrystoneError as error:
            self._later[debt.replica] = time.monotonic() + RETRY_S
            note_read_error(store, disk, debt.shard_id, error)
            return [{**where, "reason": str(error)}]
        self._samples.append((time.monotonic(), result.read_bytes))
        store.disks.note_success(disk, read_bytes=result.read_bytes)
        if not result.problems:
            self._paid_since_round = True
            note_verified(self._file, debt.replica, int(time.time()))
            return []
        # Forgotten before it is healed: the new copy comes first of all.
        note_verified(self._file, debt.replica, 0)
        store.mark_suspect(debt.shard_id, disk)
        disk.health.note("error", time.time())
        store.disks.log.warning(
            "%s: scrubbing shard %s found %d problems",
            disk.name,
            debt.shard_id,
            len(result.problems),
            extra=about("scrub.damage", disk=disk.name, shard=debt.shard_id),
        )
        self.damage.note(debt.replica, result.problems)
        self._on_damage()
        return [
            {**where, "offset": one.offset, "key": one.key, "reason": one.reason}
            for one in result.problems
        ]

    def _stop_active(self) -> None:
        for disk_id, (_, future) in list(self._active.items()):
            self._store.disks.disks[disk_id].request("scrub_stop")
            _wait(future, TICK_S)

    def _note_round(self, debts: list[Debt]) -> None:
        now = time.time()
        if self._paid_since_round and not any(debt.due_s <= now for debt in debts):
            self._paid_since_round = False
            note_verified(self._file, ROUND, int(now))

    def status(self) -> ScrubStatus:
        """Return the debt as it stands."""
        now = time.time()
        debts = self.debts()
        due = [debt for debt in debts if debt.due_s <= now]
        oldest = min(debts, key=lambda debt: debt.proven_s, default=None)
        following = due[0] if due else min(debts, key=lambda debt: debt.due_s, default=None)
        round_s = self._last(ROUND)
        names = {disk.disk_id: disk.name for disk in self._store.disks.disks.values()}
        losses = self.damage.losses()
        return ScrubStatus(
            enabled=self._rate > 0,
            interval_days=self._store.config.store.scrub_interval_days,
            rate_limit_bytes_per_s=self._rate,
            replicas=len(debts),
            never_scrubbed=sum(not debt.verified_s for debt in debts),
            total_bytes=sum(debt.length_bytes for debt in debts),
            due_replicas=len(due),
            overdue_bytes=sum(debt.length_bytes for debt in due),
            oldest_age_s=max(0.0, now - oldest.proven_s) if oldest else 0.0,
            oldest_shard=oldest.shard_id if oldest else None,
            rate_bytes_per_s=self._measured_rate(),
            next_shard=following.shard_id if following else None,
            next_disk=names.get(following.disk_id) if following else None,
            next_due=timestamp(following.due_s) if following else None,
            running=tuple(names[disk_id] for disk_id in list(self._active)),
            last_round_finished=timestamp(round_s) if round_s else None,
            damaged_replicas=len(self.damage.replicas()),
            losses=losses[:LOSSES_LISTED_MAX],
            lost_objects=len(losses),
        )

    def _measured_rate(self) -> float:
        since = time.monotonic() - RATE_WINDOW_S
        return sum(size for moment, size in list(self._samples) if moment >= since) / RATE_WINDOW_S


def _wait(future: "Future[Any]", timeout_s: float) -> bool:
    """Return whether the future was done in time; its outcome is the caller's business."""
    finished = threading.Event()
    future.add_done_callback(lambda _future: finished.set())
    return finished.wait(timeout_s)


# ---- Metadata ------------------------------------------------------------------------------------
# What a disk holds besides shards: it owns checking catalog, identity and epoch, and healing them.
#
# The engine knows every entry of the catalog, and each disk has its identity twice: whatever cannot
# be read on a disk is written there again. The index has no copy: what is wrong in it is counted,
# and whoever asked has its rows put right from the footers. Listings (tree files) are made again
# from what they list.


def heal_metadata(store: Store, job: Job | None = None) -> int:
    """Check the small files of every disk; returns how many problems there were.

    A disk that takes no writes lacks what was written since, as it should: it is left out.
    """
    problems = 0
    for disk in list(store.disks.disks.values()):
        for reason in _problems(store, disk) if disk.state == "online" else ():
            problems += 1
            told = about("disk.metadata_rewritten", disk=disk.name)
            store.disks.log.warning("%s: %s", disk.name, reason, extra=told)
            if job is not None:
                job.report({"disk": disk.name, "reason": reason})
    return problems


def _problems(store: Store, disk: Disk) -> list[str]:
    try:
        lost = store.catalog.heal(disk)
        reasons: list[str] = disk.call("heal_metadata", store.disks.epoch)
    except (DrystoneError, OSError) as error:
        store.disks.note_error(disk, error)
        return [str(error)]
    if lost:
        reasons.append(f"{lost} entries of its catalog could not be read")
    return [f"{reason}; written again" for reason in reasons]


def check_index_itself(store: Store, job: Job | None = None) -> tuple[int, int]:
    """Check rows and listings of the index; returns (problems, those that only a reindex repairs).

    With a job all objects are walked over too, which takes seconds for ten million.
    """
    step = job.check if job is not None else lambda: None
    damage = [*check_rows(store.index), *missing_rows(store)]
    damage += check_order(store.index, step) if job is not None else []
    trees = drop_damaged_trees(store, step)
    for reason in (*damage, *trees):
        store.disks.log.warning("%s", reason, extra=about("index.damaged"))
        if job is not None:
            job.report({"reason": reason})
    return len(damage) + len(trees), len(damage)


def check_entries(store: Store, job: Job) -> tuple[int, int]:
    """Compare the index with the footers of all shards; returns (problems, wrong entries).

    A shard that nobody can read now is a problem, and says nothing of the index.
    """
    findings = wrong = 0

    def find(what: str, **where: Any) -> None:
        nonlocal findings, wrong
        findings += 1
        wrong += "key" in where
        if findings <= FINDINGS_MAX:
            job.report({"reason": what, **where})

    check_index(store, find, job)
    return findings, wrong
