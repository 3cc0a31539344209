"""The engine: it owns the open store's life (start, verbs as jobs, stop), not how verbs work."""

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from base.ballast import Ballast
from base.errors import DrystoneError, UsageError
from fsd.compile.references import References
from fsd.delete.compact_drop import Dropper
from fsd.delete.purge_check import settle_purges
from fsd.disks.config import Config
from fsd.disks.disks import Disk, DiskSet
from fsd.documents.models import (
    BatchWriteRequest,
    MaterialiseAnswer,
    MaterialiseRequest,
    RebuildRequest,
    VerifyRequest,
)
from fsd.engine.area_access import give_access
from fsd.engine.disk_join import add_new_disks, join_disk
from fsd.engine.drain import MOVING_KINDS, give_up_disk, resume_drains
from fsd.engine.index_start import bring_index_up
from fsd.engine.reindex import REINDEX, reindex
from fsd.export.materialise import RELEASE, Materialise
from fsd.format.catalog import CatalogState
from fsd.format.errors import DiskError, DiskRefusedError, FsdError, QuotaError
from fsd.ingest.claims import Claims
from fsd.ingest.shard_writer import ShardWriter
from fsd.ingest.write import BatchWrite, check_folder
from fsd.process.engine_lock import lock_engine, remove_scratch
from fsd.process.slots import SlotPool
from fsd.repair.care import fsck, verify
from fsd.repair.projection import (
    MANIFESTS_BATCH,
    make_trees,
    project,
    unfinished_start,
    write_disk_rows,
)
from fsd.repair.waiting_shards import WaitingShards
from fsd.replicas.departure import check_no_loss
from fsd.replicas.gone_disks import follow_catalog
from fsd.replicas.inventory import take_inventory, take_inventory_or_lose
from fsd.replicas.reconcile import Reconciler
from fsd.replicas.replicate import COPY_SLOTS, Replicator
from fsd.store import ballast
from fsd.store.areas import Areas, Thresholds
from fsd.store.job import Job, JobRegistry
from fsd.store.purge_place import is_given
from fsd.store.store import PART_BYTES_MAX, Store
from fsd.watch.watch import CALIBRATE, Watch

ACCEPT_TIMEOUT_S = 3600.0
SLOTS_SPARE = 4
HOUSEKEEPING_S = 5.0
MEASURE_EVERY = 12
NEEDS_NO_INDEX = frozenset({REINDEX, CALIBRATE, RELEASE})
"""Jobs that do as well with an index that lacks something, and may make room for the rest."""


class Engine:
    """One running store. `start` returns when it is whole and may be asked."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.started_s = time.time()
        self.notes: list[str] = []
        if not os.path.isdir(config.ssd):
            # Not made here: an SSD that is not mounted would begin a new index on another disk.
            raise UsageError(
                f"the SSD folder {config.ssd} does not exist; mount it, or make an empty folder "
                "there if it is lost: the index is then made anew from the disks"
            )
        for folder in (config.run_dir, config.status_dir):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        self._lock_fd = lock_engine(os.path.join(config.run_dir, "engine.lock"))
        remove_scratch(config.run_dir)
        slots = 2 * config.store.packer_processes + COPY_SLOTS + SLOTS_SPARE
        pool = SlotPool(slots, config.store.group_size_bytes + PART_BYTES_MAX)
        self.store = Store(config, pool, DiskSet(config, pool))
        self.areas = Areas(
            Path(config.ssd),
            config.quota.by_area(),
            Thresholds(
                config.quota.warn_fill, config.quota.refuse_fill, config.quota.emergency_fill
            ),
        )
        self.notes += give_access(config)
        self.shard_writer = ShardWriter(self.store)
        self.claims = Claims(self.store)
        self.replicator = Replicator(self.store)
        self.reconciler = Reconciler(self.store, self.replicator)
        self.open_shards = WaitingShards(self.store)
        self.references = References(self.store)
        self.dropper = Dropper(self)
        self.jobs = JobRegistry(os.path.join(config.run_dir, "jobs"))
        self.watch = Watch(self)
        # Held while a manifest is stored: two who need the same one store it once. Before all that
        # a put takes.
        self._manifests = threading.Lock()
        self.joining = threading.Lock()  # Held while a disk joins, which writes drystone.toml.
        # Guards `_subjects`: of two jobs that exclude one another one begins. Before the
        # registry's.
        self._starting = threading.Lock()
        self._subjects: dict[str, Job] = {}
        # Held by whatever recovers, projects or replaces the index: one of them at a time.
        self.maintenance = threading.RLock()
        # Held (after it) by a purge's decision, a round of a compaction, a drop: one at a time.
        self.moving = threading.Lock()
        self._drains_wait = False  # For the index to follow.
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self.on_housekeeping = lambda: None
        # Told the name of each barrier of a purge or compaction; the crash tests end here.
        self.on_barrier: Callable[[str], None] = lambda _name: None

    def start(self) -> None:
        """Attach the disks, read the catalog, recover open shards, bring the index up to date."""
        store = self.store
        store.disks.start()
        if len([d for d in store.disks.disks.values() if d.readable]) == 0:
            reasons = "; ".join(f"{d.name}: {d.reason}" for d in store.disks.disks.values())
            self.stop()
            raise DiskError(f"no disk of this store can be used ({reasons})")
        store.shards.state = CatalogState.of(store.catalog.load())
        follow_catalog(store)
        add_new_disks(store)
        for disk in store.disks.disks.values():
            if disk.readable:
                take_inventory_or_lose(store, disk)
        settle_purges(store)
        with unfinished_start(store) as suspicious:
            bring_index_up(self, suspicious=suspicious)
        self._ballast().keep()
        store.disks.on_return = self._welcome_back
        store.disks.on_change = lambda _disk: self._changed.set()
        store.disks.start_watching()
        self.reconciler.start()
        self.watch.start()
        self._drains_wait = drains_wait = store.is_unfinished
        threading.Thread(target=self._keep_house, name="housekeeping", daemon=True).start()
        if not drains_wait:
            resume_drains(self)

    def stop(self) -> None:
        """Finish or stop what runs, seal open shards, end all processes. Safe to skip (kill -9)."""
        self._stopping.set()
        self._changed.set()
        self.reconciler.stop()
        self.watch.stop()
        self.replicator.stop()
        for job in self.jobs.running():
            job.cancel()
        for job in self.jobs.running():
            job.finished.wait(timeout=30)
        try:
            self.shard_writer.seal_idle()
        except DrystoneError as error:
            self.notes.append(f"sealing at the stop: {error}")
        self.store.disks.stop()
        index = self.store.set_index(None)
        if index is not None:
            index.close()
        os.close(self._lock_fd)

    # Verbs

    def batch_write(self, request: BatchWriteRequest) -> Job:
        """Start storing a folder as a batch."""
        check_folder(request.folder)
        return self.start_job(
            "put",
            # Answers are JSON, which cannot carry a name that is not UTF-8.
            f"{request.batch} from {os.fsencode(request.folder).decode(errors='backslashreplace')}",
            lambda job: self._write(request, job),
            subject=f"batch {request.batch}",
        )

    def materialise(self, kind: str, request: MaterialiseRequest) -> MaterialiseAnswer:
        """Start a stage or an export; returns when it is accepted, raises when it is refused."""
        made: list[Materialise] = []

        def work(job: Job) -> dict[str, Any]:
            arguments = (self.store, self.areas, self._store_manifest, kind, request, job)
            made.append(Materialise(*arguments, self.references))
            return made[0].run()

        name = f"{request.target_id}/{request.layout_id}"
        job = self.start_job(kind, name, work, subject=f"{kind}/{name}")
        job.ready.wait(ACCEPT_TIMEOUT_S)
        if not made or made[0].answer is None:
            raise _error_of(job)
        return made[0].answer

    def verify(self, request: VerifyRequest) -> Job:
        """Start verifying; bad replicas are healed by the reconciler afterwards."""

        def work(job: Job) -> dict[str, Any]:
            self.shard_writer.seal_idle()
            result = verify(self.store, request, job)
            self.reconciler.poke()
            return result

        return self.start_job("verify", request.batch or "", work)

    def rebuild(self, request: RebuildRequest) -> Job:
        """Start making the copies whole; a named disk is declared gone first."""
        disk = None if (name := request.disk) is None else self.store.disks.by_name(name)
        if disk is not None:
            check_no_loss(self.store, disk)
        return self.rebuild_lost(disk, "rebuild")

    def rebuild_lost(self, disk: Disk | None, kind: str) -> Job:
        """Start making the copies whole without a disk, which is declared gone."""

        def prepare(job: Job) -> None:
            with job.holding(self.maintenance):
                if disk is not None and disk.state != "gone":
                    give_up_disk(self.store, disk, job)
                self.seal_and_project()

        name = disk.name if disk is not None else ""
        return self.start_job(kind, name, lambda job: self.reconciler.rebuild(job, prepare))

    def seal_and_project(self, job: Job | None = None) -> None:
        """Seal what nobody writes, and index it; CancelledError when the job waits in vain."""
        with self.maintenance if job is None else job.holding(self.maintenance):
            self.shard_writer.seal_idle()
            with self._catching_up():
                self.open_shards.recover_all(at_once=True)
                project(self.store)
                self.store.index_filled()

    def fsck(self) -> Job:
        """Start comparing catalog, disks and index."""

        def work(job: Job) -> dict[str, Any]:
            self.shard_writer.seal_idle()
            return fsck(self.store, job)

        return self.start_job("fsck", "", work)

    def reindex(self) -> Job:
        """Start making a new index from the shards; no other job may run meanwhile.

        Cancelled, the one before is in use again.
        """

        def work(job: Job) -> dict[str, Any]:
            with job.holding(self.maintenance):
                return reindex(self, job)

        return self.start_job(REINDEX, "", work)

    def add_disk(self, path: str, name: str | None) -> Disk:
        """Take a folder as a disk, in drystone.toml and in the running store."""
        return join_disk(self, path, name)

    # Inner life

    def wake(self) -> None:
        """Let housekeeping look now."""
        self._changed.set()

    def refuse_while_reindexed(self) -> None:
        """Raise UsageError while the index is made anew: who waits for that waits too long."""
        if any(job.kind == REINDEX for job in self.jobs.running()):
            raise UsageError("the store is being reindexed; try again when that is done")

    def start_job(
        self, kind: str, description: str, work: Callable[[Job], dict[str, Any]], subject: str = ""
    ) -> Job:
        """Start a job; one batch or target has one writer, and a reindex is alone."""
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
                if self.store.is_unfinished and kind not in NEEDS_NO_INDEX:
                    self.seal_and_project(job)
                return work(job)

            self._subjects[subject] = job = self.jobs.start(kind, description, run)
            return job

    def _write(self, request: BatchWriteRequest, job: Job) -> dict[str, Any]:
        batch = BatchWrite(self.store, self.shard_writer, self.claims, request, job)
        try:
            return batch.run()
        except BaseException:
            self.store.behind = True  # What was acknowledged of it is listed all the same.
            raise
        finally:
            self._changed.set()

    def _store_manifest(self, path: str, sha256: str) -> None:
        """Make a manifest an object that a hidden batch refers to; anew when no disk gives it."""
        with self._manifests:
            if is_given(self.store, bytes.fromhex(sha256)):
                return
            request = BatchWriteRequest(
                folder=os.path.dirname(path),
                batch=MANIFESTS_BATCH,
                class_name="generated",
                files=(os.path.basename(path),),
            )
            job = Job("manifest", sha256, os.path.join(self.config.run_dir, "jobs"))
            batch = BatchWrite(
                self.store, self.shard_writer, self.claims, request, job, alias=sha256
            )
            result = batch.run()
            job.discard()
            if result["failed"]:
                raise DiskError("the manifest could not be stored; see `drystone health`")

    def _welcome_back(self, disk: Disk, writable: bool) -> None:
        self.store.catalog.catch_up(disk)
        # It may know that another disk is gone by now, or the others that it is.
        follow_catalog(self.store)
        if disk.state == "gone":
            raise DiskRefusedError(f"{disk.name} was declared gone", disk.name)
        take_inventory(self.store, disk, writable=writable)
        self.store.sought.clear()
        self.store.behind = True
        self._changed.set()

    def _catch_up_index(self) -> None:
        # Before it begins: a disk that returns meanwhile says so once more.
        behind, self.store.behind = self.store.behind, False
        with self._catching_up():
            if self.open_shards.recover_all() or settle_purges(self.store) or behind:
                project(self.store)
                self.store.index_filled()
                self.make_listings()

    @contextmanager
    def _catching_up(self) -> Generator[None]:
        """Let housekeeping go on with what fails within: shards may be sealed, purges settled."""
        try:
            yield
        except BaseException:
            self.store.behind = True
            raise

    def make_listings(self) -> None:
        """Make what the mount shows; again when there is room, which is warned of till then."""
        problems = make_trees(self.store)
        if problems and self._ballast().is_given_up():
            self.store.behind = True
        else:
            self.notes += problems

    def _keep_house(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            self._changed.wait(HOUSEKEEPING_S)
            self._changed.clear()
            if self._stopping.is_set():
                return
            try:
                self._tidy(turn)
            except Exception as error:
                # Housekeeping must outlive one bad round; health shows what happened.
                if (note := f"housekeeping: {error}") not in self.notes:
                    self.notes = [*self.notes[-19:], note]
            turn += 1

    def _ballast(self) -> Ballast:
        return ballast.of_index(self.config.index_root, self.store.index.size_bytes())

    def _tidy(self, turn: int) -> None:
        follow_catalog(self.store)
        with suppress(QuotaError):  # Warned of as long as it lasts, see `ssd_notices`.
            self._ballast().keep()
            write_disk_rows(self.store)
            self.shard_writer.tidy()
            with self.maintenance:
                if all(job.kind in MOVING_KINDS for job in self.jobs.running()):
                    self._catch_up_index()
            self.dropper.tick()
        if self._drains_wait and not self.store.is_unfinished:
            self._drains_wait = False
            resume_drains(self)
        self.reconciler.poke()
        if turn % MEASURE_EVERY == 0:
            for area in self.areas.paths:
                self.areas.measure(area)
        self.on_housekeeping()


def _error_of(job: Job) -> BaseException:
    return job.failure or FsdError("the job ended without an answer; see the engine's log")
