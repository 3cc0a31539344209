"""A store that is open, and those who work on it: writers, copiers, jobs, and the locks between.

What deletes, watches and moves works with this; the engine above is one that starts and stops.
"""

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from base.ballast import Ballast
from base.errors import UsageError
from fsd.compile.references import References
from fsd.disks.config import Config
from fsd.disks.disks import Disk, DiskSet
from fsd.ingest.claims import Claims
from fsd.ingest.pack_lane import commits_at_once
from fsd.ingest.shard_writer import ShardWriter
from fsd.process.slots import SlotPool
from fsd.repair.projection import make_trees, project
from fsd.repair.waiting_shards import WaitingShards
from fsd.replicas.gone_disks import give_up_disk
from fsd.replicas.reconcile import Reconciler
from fsd.replicas.replicate import COPY_SLOTS, Replicator
from fsd.store.job import CANCEL_POLL_S, Job, JobRegistry
from fsd.store.ssd import ballast
from fsd.store.ssd.areas import Areas, Thresholds
from fsd.store.store import PART_BYTES_MAX, Store

SLOTS_SPARE = 4
UNKNOWN_TRIES_MAX = 4
UNKNOWN_AGAIN_S = 2.5
"""A disk whose process was ended has a new one by then."""
REINDEX = "reindex"
RECOVER = "recover"


class EngineCore:
    """One open store with all that works on it; nothing of it runs before the engine starts."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.started_s = time.time()
        self.notes: list[str] = []
        # Of each lane one that is packed, and those that the disks write.
        groups = 1 + commits_at_once(config.store.group_size_bytes)
        slots = groups * config.store.packer_processes + COPY_SLOTS + SLOTS_SPARE
        pool = SlotPool(slots, config.store.group_size_bytes + PART_BYTES_MAX)
        self.store = Store(config, pool, DiskSet(config, pool))
        self.areas = Areas(
            Path(config.ssd),
            config.quota.by_area(),
            Thresholds(
                config.quota.warn_fill, config.quota.refuse_fill, config.quota.emergency_fill
            ),
        )
        self.shard_writer = ShardWriter(self.store)
        self.claims = Claims(self.store)
        self.replicator = Replicator(self.store)
        self.reconciler = Reconciler(self.store, self.replicator)
        self.open_shards = WaitingShards(self.store)
        self.references = References(self.store)
        self.jobs = JobRegistry(os.path.join(config.run_dir, "jobs"))
        self.joining = threading.Lock()  # Held while a disk joins, which writes drystone.toml.
        # Guards `_subjects`: of two jobs that exclude one another one begins. Before the
        # registry's.
        self._starting = threading.Lock()
        self._subjects: dict[str, Job] = {}
        # Held by whatever recovers, projects or replaces the index: one of them at a time.
        self.maintenance = threading.RLock()
        # Held (after it) by a purge's decision, a round of a compaction, a drop: one at a time.
        self.moving = threading.Lock()
        self.changed = threading.Event()
        # Told the name of each barrier of a purge or compaction; the crash tests end here.
        self.on_barrier: Callable[[str], None] = lambda _name: None

    def start_job(
        self,
        kind: str,
        description: str,
        work: Callable[[Job], dict[str, Any]],
        subject: str = "",
        *,
        needs_index: bool = True,
    ) -> Job:
        """Start a job; one batch or target has one writer, and a reindex is alone.

        What does as well with an index that lacks something may make room for the rest.
        """
        with self._starting:
            busy = self.jobs.running()
            if kind == REINDEX and busy:
                raise UsageError(f"{len(busy)} jobs are running; reindex when they are done")
            self.refuse_while_reindexed()
            writer = self._subjects.get(subject)
            if subject and writer is not None and writer in busy:
                raise UsageError(
                    f"job {writer.job_id} is at work on {subject}; wait for it "
                    f"(drystone job wait {writer.job_id})"
                )
            self._subjects = {name: job for name, job in self._subjects.items() if job in busy}

            def run(job: Job) -> dict[str, Any]:
                if needs_index:
                    self._wait_for_index(job)
                return work(job)

            self._subjects[subject] = job = self.jobs.start(kind, description, run)
            return job

    def refuse_while_reindexed(self) -> None:
        """Raise UsageError while the index is made anew: who waits for that waits too long."""
        if any(job.kind == REINDEX for job in self.jobs.running()):
            raise UsageError("the store is being reindexed; try again when that is done")

    def wake(self) -> None:
        """Let housekeeping look now."""
        self.changed.set()

    def seal_and_project(self, job: Job | None = None) -> None:
        """Seal what nobody writes, and index it; CancelledError when the job waits in vain."""
        with self.maintenance if job is None else job.holding(self.maintenance):
            self.shard_writer.seal_idle()
            self.fill_index(job)
            with self.catching_up():
                self.open_shards.recover_all(at_once=True, job=job)
                project(self.store)

    def seal_all(self, job: Job | None = None) -> None:
        """Seal what nobody writes: only then a footer says what must be in it."""
        if self.open_shards.is_postponed:
            self.seal_and_project(job)
        self.shard_writer.seal_idle()

    def fill_index(self, job: Job | None = None) -> None:
        """Let the index know all that it lacks; `maintenance` is held."""
        if self.store.is_unfinished:
            with self.catching_up():
                self._recover_unknown(job)
                project(self.store)
                self.store.index_filled()

    def _recover_unknown(self, job: Job | None) -> None:
        """Read the shards that may hold more than the index knows.

        One of which a passing error or a disk that just came back kept something is read again, a
        few times: then it waits as others do, for days perhaps, and the store does not.
        """
        unknown = self.open_shards.unknown()
        for again in reversed(range(UNKNOWN_TRIES_MAX)):
            self.open_shards.recover_all(only=unknown, at_once=True, job=job)
            unknown &= self.open_shards.in_doubt()
            if not unknown or not again:
                return
            time.sleep(UNKNOWN_AGAIN_S)

    def recover_left(self) -> None:
        """Start recovering the open shards that the start left, those first that the index lacks.

        Between the two others may have the lock: they wait for the index, not for all of it.
        """

        def work(job: Job) -> dict[str, Any]:
            self._wait_for_index(job)
            self.seal_and_project(job)
            return {}

        self.start_job(RECOVER, "shards that were open", work, needs_index=False)

    def _wait_for_index(self, job: Job) -> None:
        """Let the index be filled before a job goes by it, by whoever comes to it first."""
        while self.store.is_unfinished:
            job.check()
            if self.maintenance.acquire(timeout=CANCEL_POLL_S):
                try:
                    self.fill_index(job)
                finally:
                    self.maintenance.release()

    def rebuild_lost(self, disk: Disk | None, kind: str) -> Job:
        """Start making the copies whole without a disk, which is declared gone."""

        def prepare(job: Job) -> None:
            with job.holding(self.maintenance):
                if disk is not None and disk.state != "gone":
                    give_up_disk(self.store, disk, job)
                self.seal_and_project()

        name = disk.name if disk is not None else ""
        return self.start_job(kind, name, lambda job: self.reconciler.rebuild(job, prepare))

    @contextmanager
    def catching_up(self) -> Generator[None]:
        """Let housekeeping go on with what fails within: shards may be sealed, purges settled."""
        try:
            yield
        except BaseException:
            self.store.behind = True
            raise

    def make_listings(self) -> None:
        """Make what the mount shows; again when there is room, which is warned of till then."""
        problems = make_trees(self.store)
        if problems and self.ballast().is_given_up():
            self.store.behind = True
        else:
            self.notes += problems

    def ballast(self) -> Ballast:
        """Return what is held back for the index on its SSD."""
        return ballast.of_index(self.config.index_root, self.store.index.size_bytes())
