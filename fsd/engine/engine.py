"""The engine: it owns the open store's life (start, verbs as jobs, stop), not how verbs work."""

import os
import threading
from contextlib import suppress
from typing import Any

from base.errors import DrystoneError, UsageError
from fsd.delete.compact_drop import Dropper
from fsd.delete.purge_check import settle_purges
from fsd.disks.config import Config
from fsd.disks.disks import Disk
from fsd.documents.models import (
    BatchWriteRequest,
    MaterialiseAnswer,
    MaterialiseRequest,
    RebuildRequest,
    VerifyRequest,
)
from fsd.engine.area_access import give_access
from fsd.engine.disk_join import add_new_disks, join_disk
from fsd.engine.drain import MOVING_KINDS, resume_drains
from fsd.engine.index_start import bring_index_up
from fsd.engine.reindex import reindex
from fsd.export.materialise import Materialise
from fsd.format.errors import DiskError, DiskRefusedError, FsdError, QuotaError
from fsd.ingest.write import BatchWrite, check_folder, seal_batch
from fsd.process.engine_lock import lock_engine, remove_scratch
from fsd.repair.care import fsck, verify
from fsd.repair.projection import (
    MANIFESTS_BATCH,
    project,
    unfinished_start,
    write_disk_rows,
)
from fsd.replicas.gone_disks import follow_catalog
from fsd.replicas.inventory import take_inventory, take_inventory_or_lose
from fsd.replicas.removal_check import check_no_loss
from fsd.running.engine_core import REINDEX, EngineCore
from fsd.store.index import BatchRow
from fsd.store.job import Job
from fsd.store.purge_place import is_given
from fsd.watch.watch import Watch

ACCEPT_TIMEOUT_S = 3600.0
HOUSEKEEPING_S = 5.0
MEASURE_EVERY = 12


class Engine(EngineCore):
    """A running store with its life. `start` returns when it is whole and may be asked."""

    def __init__(self, config: Config) -> None:
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
        super().__init__(config)
        self.notes += give_access(config)
        self.dropper = Dropper(self)
        self.watch = Watch(self)
        # Held while a manifest is stored: two who need the same one store it once. Before all that
        # a put takes.
        self._manifests = threading.Lock()
        self._drains_wait = False  # For the index to follow.
        self._stopping = threading.Event()
        self.on_housekeeping = lambda: None

    def start(self) -> None:
        """Attach the disks, read the catalog, recover open shards, bring the index up to date."""
        store = self.store
        store.disks.start()
        if len([d for d in store.disks.disks.values() if d.readable]) == 0:
            reasons = "; ".join(f"{d.name}: {d.reason}" for d in store.disks.disks.values())
            self.stop()
            raise DiskError(f"no disk of this store can be used ({reasons})")
        store.shards.state = store.catalog.load()
        follow_catalog(store)
        add_new_disks(store)
        for disk in store.disks.disks.values():
            if disk.readable:
                take_inventory_or_lose(store, disk)
        settle_purges(store)
        with unfinished_start(store) as suspicious:
            bring_index_up(self, suspicious=suspicious)
        self.ballast().keep()
        store.disks.on_return = self._welcome_back
        store.disks.on_change = lambda _disk: self.changed.set()
        store.disks.start_watching()
        self.reconciler.start()
        self.watch.start()
        self._drains_wait = drains_wait = store.is_unfinished
        threading.Thread(target=self._keep_house, name="housekeeping", daemon=True).start()
        if self.open_shards.is_postponed:
            self.recover_left()
        if not drains_wait:
            resume_drains(self)

    def stop(self) -> None:
        """Finish or stop what runs, seal open shards, end all processes. Safe to skip (kill -9)."""
        self._stopping.set()
        self.changed.set()
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
        self.store.watch_file.close()
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

    def seal_batch(self, name: str) -> BatchRow:
        """Seal a batch that was kept open; UsageError while somebody puts into it."""
        sealed: list[BatchRow] = []

        def work(_job: Job) -> dict[str, Any]:
            sealed.append(seal_batch(self.store, name))
            return {"batch": name}

        job = self.start_job("seal", name, work, subject=f"batch {name}")
        job.finished.wait()
        if not sealed:
            raise _error_of(job)
        return sealed[0]

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
            self.seal_all(job)
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

    def fsck(self) -> Job:
        """Start comparing catalog, disks and index."""

        def work(job: Job) -> dict[str, Any]:
            self.seal_all(job)
            with job.holding(self.maintenance):
                if self.store.behind:  # After a kill housekeeping makes them, a moment later.
                    self.make_listings()
            return fsck(self.store, job)

        return self.start_job("fsck", "", work)

    def reindex(self) -> Job:
        """Start making a new index from the shards; no other job may run meanwhile.

        Cancelled, the one before is in use again.
        """

        def work(job: Job) -> dict[str, Any]:
            with job.holding(self.maintenance):
                return reindex(self, job)

        return self.start_job(REINDEX, "", work, needs_index=False)

    def add_disk(self, path: str, name: str | None) -> Disk:
        """Take a folder as a disk, in drystone.toml and in the running store."""
        return join_disk(self, path, name)

    # Inner life

    def _write(self, request: BatchWriteRequest, job: Job) -> dict[str, Any]:
        batch = BatchWrite(self.store, self.shard_writer, self.claims, request, job)
        try:
            return batch.run()
        except BaseException:
            self.store.behind = True  # What was acknowledged of it is listed all the same.
            raise
        finally:
            self.changed.set()

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
        self.changed.set()

    def _catch_up_index(self) -> None:
        # Before it begins: a disk that returns meanwhile says so once more.
        behind, self.store.behind = self.store.behind, False
        with self.catching_up():
            self.fill_index()
            if self.open_shards.recover_all() or settle_purges(self.store) or behind:
                project(self.store)
                self.store.index_filled()
                self.make_listings()

    def _keep_house(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            self.changed.wait(HOUSEKEEPING_S)
            self.changed.clear()
            if self._stopping.is_set():
                return
            try:
                self._tidy(turn)
            except Exception as error:
                # Housekeeping must outlive one bad round; health shows what happened.
                if (note := f"housekeeping: {error}") not in self.notes:
                    self.notes = [*self.notes[-19:], note]
            turn += 1

    def _tidy(self, turn: int) -> None:
        follow_catalog(self.store)
        with suppress(QuotaError):  # Warned of as long as it lasts, see `ssd_notices`.
            self.ballast().keep()
            write_disk_rows(self.store)
            self.shard_writer.tidy()
            self.store.catalog.tidy()
            # Not waited for: a recovery has it for as long as it reads, and the rest goes on.
            if self.maintenance.acquire(blocking=False):
                try:
                    if all(job.kind in MOVING_KINDS for job in self.jobs.running()):
                        self._catch_up_index()
                finally:
                    self.maintenance.release()
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
