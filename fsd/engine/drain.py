"""Emptying a disk: it owns drain, undrain, retire and replace as jobs, not the copying.

That a disk is draining is in the catalog, so it survives every restart: no new replica is placed
on it, and the job that moves its replicas away begins again by itself. A cancelled job leaves the
disk draining; `drain` goes on, `undrain` takes it back into use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from shlex import quote
from typing import Any

from base.errors import DrystoneError, UsageError
from fsd.disk_io.place.disk_place import whole_path
from fsd.disks.disks import Disk
from fsd.engine.disk_join import join_disk
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CancelledError, NoReplicaError, QuotaError
from fsd.repair.projection import write_disk_rows
from fsd.replicas.gone_disks import follow_catalog, mark_disks
from fsd.replicas.removal_check import check_room, may_be_removed, shards_on
from fsd.replicas.replicate import COPIES_AT_ONCE_MAX
from fsd.running.engine_core import EngineCore
from fsd.store.job import Job
from fsd.store.store import Store

WAIT_FOR_WRITERS_S = 0.2
CANCEL_S_MAX = 45.0
"""Less than a client waits for an answer."""
TRIES_MAX = 3
ACCEPT_S_MAX = 600.0
DRAIN, REPLACE, REBALANCE = "drain", "replace", "rebalance"
MOVING_KINDS = frozenset({DRAIN, REPLACE, REBALANCE, "scrub", "compact"})
"""Jobs that may run for days: housekeeping goes on beside them."""


def resume_drains(engine: EngineCore) -> None:
    """Go on with the drains that a stop or a crash ended."""
    with engine.store.lock:
        draining = dict(engine.store.shards.state.draining)
    for disk_id, retiring in draining.items():
        disk = engine.store.disks.disks.get(disk_id)
        if disk is None or _emptying(engine, disk):
            continue
        if retiring or shards_on(engine.store, disk):
            _start(engine, DRAIN, disk, retire_after=retiring)


def drain(engine: EngineCore, name: str) -> Job:
    """Start moving everything off a disk; QuotaError with the figures when it fits nowhere."""
    disk = _used(engine, name)
    _refuse_second(engine, disk)
    check_room(engine.store, disk)
    return _start(engine, DRAIN, disk, retire_after=False)


def undrain(engine: EngineCore, name: str) -> Disk:
    """Take a draining disk back into use; what has moved stays where it is."""
    disk = _used(engine, name)
    if not disk.draining:
        raise UsageError(f"{disk.name} is not draining")
    if job := _emptying(engine, disk):
        job.cancel()
        if not job.finished.wait(CANCEL_S_MAX):
            raise UsageError(
                f"{disk.name} is still being emptied; say it again when job {job.job_id} has ended"
            )
    with engine.store.letting_go:
        _used(engine, name)  # It may have ended by retiring the disk.
        engine.store.catalog.append(("disk_undrain", {"disk": disk.disk_id}))
    _show(engine)
    return disk


def _check_draining(store: Store, disk: Disk) -> None:
    """Raise CancelledError when a disk that is being emptied was taken back into use."""
    with store.lock:
        if disk.disk_id not in store.shards.state.draining:
            raise CancelledError(f"{disk.name} was taken back into use")


def retire(
    engine: EngineCore,
    name: str,
    *,
    force: bool,
    lost_shards_max: int | None = None,
    drain: Job | None = None,
) -> Disk:
    """Never use a disk again. Unless forced, UsageError when the store is not whole without it.

    Who forces it was told how many shards are lost by that: UsageError when it is more by now, for
    the disk of their other copies may be forced out at the same moment. One that is to go because
    of its `drain` stays when that was cancelled, or it was taken back meanwhile (CancelledError).
    """
    disk = _used(engine, name)
    store = engine.store
    engine.refuse_while_reindexed()
    engine.seal_and_project(drain)
    try:
        with store.letting_go if drain is None else drain.holding(store.letting_go):
            if drain is not None:
                _check_draining(store, disk)
            answer = may_be_removed(store, disk)
            if not answer.safe and not force:
                raise UsageError(f"{disk.name} is needed: {answer.reason}; {answer.advice}")
            if lost_shards_max is not None and answer.sole_shards > lost_shards_max:
                raise UsageError(
                    f"{disk.name} is needed more than you were told: {answer.reason}; look again "
                    f"(drystone disk safe-to-remove {quote(disk.name)})"
                )
            # Barrier: from here on no replica of it counts. A crash before the identity file says
            # so is made good by the next start.
            store.catalog.append(("disk_retire", {"disk": disk.disk_id}))
    finally:
        follow_catalog(store)  # An entry that is refused may hold all the same.
    _show(engine)
    engine.reconciler.poke()
    return disk


def replace(engine: EngineCore, old_name: str, new_path: str, new_name: str | None) -> Job:
    """Add a disk and start to empty and retire the old one, or to rebuild what a dead one held.

    Said again it goes on: a path that is a disk of this store already is not added twice.
    """
    old = engine.store.disks.by_name(old_name)
    known = _known_at(engine, new_path)
    if known is old:
        raise UsageError(
            f"{new_path} is {old.name} itself: name the folder of another disk, or empty it onto "
            f"the others (drystone disk drain {quote(old.name)})"
        )
    _refuse_second(engine, old)
    joined = join_disk(engine, new_path, new_name) if known is None else known
    if not old.readable:
        return engine.rebuild_lost(old if old.state != "gone" else None, REPLACE)
    try:
        check_room(engine.store, old)
    except QuotaError as error:
        raise QuotaError(f"{joined.name} has joined the store, but {error}") from error
    return _start(engine, REPLACE, old, retire_after=True)


def _refuse_second(engine: EngineCore, disk: Disk) -> None:
    """Raise UsageError, before anything is changed, when a job empties the disk already."""
    job = _emptying(engine, disk)
    if job is not None:
        raise UsageError(
            f"job {job.job_id} empties {disk.name} already: wait for it "
            f"(drystone job wait {job.job_id}) or stop it (drystone job cancel {job.job_id}) first"
        )


def _emptying(engine: EngineCore, disk: Disk) -> Job | None:
    jobs = engine.jobs.running()
    same = (job for job in jobs if job.description == disk.name and job.kind in (DRAIN, REPLACE))
    return next(same, None)


def _known_at(engine: EngineCore, path: str) -> Disk | None:
    """Return the disk of this store that a path holds already."""
    place = engine.store.disks.look_at(whole_path(path))
    ours = place.is_of(engine.config.store.store_id)
    disk = engine.store.disks.disks.get(place.disk_id) if ours else None
    if disk is not None and disk.state == "gone":
        raise UsageError(f"{path} holds {disk.name}, which is {disk.shown_state}")
    return disk


def _used(engine: EngineCore, name: str) -> Disk:
    disk = engine.store.disks.by_name(name)
    if disk.state == "gone":
        raise UsageError(f"{disk.name} is {disk.shown_state}: the store uses it no more")
    return disk


def _show(engine: EngineCore) -> None:
    mark_disks(engine.store)
    write_disk_rows(engine.store)


def _start(engine: EngineCore, kind: str, disk: Disk, *, retire_after: bool) -> Job:
    def work(job: Job) -> dict[str, Any]:
        entry: dict[str, object] = {"disk": disk.disk_id}
        with engine.store.lock:
            known = engine.store.shards.state.draining.get(disk.disk_id)
        if known is None or retire_after != known:
            engine.store.catalog.append(
                ("disk_drain", {**entry, "retire": True} if retire_after else entry)
            )
        _show(engine)
        job.ready.set()
        return _Drain(engine, disk, job).run(retire_after=retire_after)

    job = engine.start_job(kind, disk.name, work, subject=f"disk {disk.name}")
    job.ready.wait(ACCEPT_S_MAX)
    return job


class _Drain:
    """One drain from its first shard to an empty disk."""

    def __init__(self, engine: EngineCore, disk: Disk, job: Job) -> None:
        self._engine = engine
        self._store = engine.store
        self._disk = disk
        self._job = job
        self._stuck: dict[str, str] = {}
        self._tries: dict[str, int] = {}
        self._moved = 0

    def run(self, *, retire_after: bool) -> dict[str, Any]:
        self._job.phase = "sealing"
        self._engine.seal_and_project(self._job)
        while left := self._left():
            self._expect(left)
            self._job.check()
            _check_draining(self._store, self._disk)
            sealed = [shard for shard in left if shard.sealed]
            if sealed:
                self._job.phase = "moving"
                each(sealed, self._move, COPIES_AT_ONCE_MAX)
            elif all(self._is_written(shard) for shard in left):
                self._job.phase = "waiting for writers"
                time.sleep(WAIT_FOR_WRITERS_S)
            else:
                self._wait_for_recovery(left)
        for shard_id, reason in self._stuck.items():
            self._job.report({"shard": shard_id, "reason": reason})
        result = {"moved": self._moved, "stuck": len(self._stuck), "retired": False}
        if retire_after and not self._stuck:
            retire(self._engine, self._disk.disk_id, force=False, drain=self._job)
            result["retired"] = True
        return {**result, "incomplete": bool(self._stuck)}

    def _left(self) -> list[CatalogShard]:
        """Return what is still there, what cannot be moved now left out; the poorest first."""
        found = [s for s in shards_on(self._store, self._disk) if s.shard_id not in self._stuck]
        return sorted(found, key=lambda shard: len(shard.disks))

    def _expect(self, left: list[CatalogShard]) -> None:
        """Set the totals anew, while nothing moves: puts may have brought more."""
        job = self._job
        job.total_files = job.done_files + len(left)
        job.total_bytes = job.done_bytes + sum(shard.length_bytes for shard in left)

    def _is_written(self, shard: CatalogShard) -> bool:
        with self._store.lock:
            return shard.shard_id in self._store.shards.writing

    def _wait_for_recovery(self, left: list[CatalogShard]) -> None:
        """Seal what a writer left behind; what cannot be sealed now cannot be moved."""
        self._engine.seal_and_project(self._job)
        for shard in left:
            if not shard.sealed and not self._is_written(shard):
                self._stuck[shard.shard_id] = "it cannot be sealed while a disk of it is away"

    def _move(self, shard: CatalogShard) -> None:
        self._job.check()
        try:
            copied = self._engine.replicator.vacate(shard.shard_id, self._disk, self._job)
        except CancelledError:
            raise
        except DrystoneError as error:
            if isinstance(error, NoReplicaError) or not self._try_again(shard):
                self._stuck[shard.shard_id] = str(error)
            return
        self._moved += 1
        self._job.advance(1, 0 if copied else shard.length_bytes)

    def _try_again(self, shard: CatalogShard) -> bool:
        """Give a shard a second chance: the disk that failed is known to be bad by now."""
        tries = self._tries.get(shard.shard_id, 0) + 1
        self._tries[shard.shard_id] = tries
        return tries < TRIES_MAX


def each(items: list[Any], work: Callable[[Any], None], workers_max: int) -> None:
    """Do the work on every item in a few threads; the first error ends all and is raised."""
    with ThreadPoolExecutor(workers_max, "replicas") as workers:
        asked = [workers.submit(work, item) for item in items]
        wait(asked, return_when=FIRST_EXCEPTION)
        workers.shutdown(cancel_futures=True)
    for one in asked:
        if not one.cancelled():
            one.result()
