"""The reconciler: it owns making the actual replicas equal the wanted ones, by whole shards.

Background copies beyond the acknowledged ones, rebuild after a loss and healing of bad replicas
are all the same: a sealed shard with too few sound copies is copied from a sound one to a chosen
disk, verified while it is read and read back where it is written, adopted by one rename, and only
then counted. Shards with the fewest copies come first.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fsd.catalog import CatalogShard
from fsd.disks import Disk
from fsd.errors import CorruptError, DiskError, FsdError, NoReplicaError, NotEnoughDisksError
from fsd.job import Job
from fsd.placement import choose_disks
from fsd.read import note_read_error
from fsd.slots import Slot
from fsd.store import Store

PERIOD_S = 5.0
REBUILD_AFTER_S = 900.0
RETRY_S = 30.0
WORKERS_MAX = 2
BACKGROUND = 2


@dataclass(frozen=True, slots=True)
class Want:
    """One shard that needs a copy, and how many sound ones there are."""

    shard: CatalogShard
    copies: int


class _TargetError(DiskError):
    """The disk that was to take the copy failed, not the one it was read from."""


class Reconciler:
    """One thread that looks every few seconds, and the verbs that do the same at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wake = threading.Event()
        self._stop = threading.Event()
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
            shards = [s for s in store.shards.state.shards.values() if s.sealed]
        wants: list[Want] = []
        for shard in shards:
            copies = store.sound_copies(shard.shard_id)
            expected = 0 if at_once else self._expected_back(shard)
            if copies + expected < store.config.copies(shard.class_name):
                wants.append(Want(shard, copies))
        return sorted(wants, key=lambda want: (want.copies, want.shard.length_bytes))

    def rebuild(self, job: Job, prepare: Callable[[], None]) -> dict[str, Any]:
        """Copy until every shard has its copies or cannot get them; resumable, cancellable.

        `prepare` runs while no background copy does, so that the job copies, and counts, what
        follows from it.
        """
        with self._busy:
            prepare()
            self._stuck.clear()
            wants = self.wanted(at_once=True)
            job.total_files = len(wants)
            job.total_bytes = sum(want.shard.length_bytes for want in wants)
            job.phase = "copying"
            copied, stuck = self._copy_all(wants, job)
        return {"copied": copied, "stuck": stuck, "incomplete": stuck > 0}

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
                    stuck = {shard for shard, since in self._stuck.items() if now - since < RETRY_S}
                    self._copy_all(
                        [w for w in self.wanted() if w.shard.shard_id not in stuck], None
                    )
            except Exception as error:
                # The reconciler must outlive one bad round; health shows what happened.
                self.last_error = f"{type(error).__name__}: {error}"

    def _copy_all(self, wants: list[Want], job: Job | None) -> tuple[int, int]:
        queue: Iterator[Want] = iter(wants)
        lock = threading.Lock()
        copied = stuck = 0

        def work() -> None:
            nonlocal copied, stuck
            while not self._stop.is_set():
                if job is not None:
                    job.check()
                with lock:
                    want = next(queue, None)
                if want is None:
                    return
                done = self._fill(want.shard, job)
                with lock:
                    copied, stuck = copied + done, stuck + (not done)

        with ThreadPoolExecutor(WORKERS_MAX, "copy") as workers:
            for future in [workers.submit(work) for _ in range(WORKERS_MAX)]:
                future.result()
        return copied, stuck

    def _fill(self, shard: CatalogShard, job: Job | None) -> bool:
        """Copy a shard until it has its copies; False when that cannot be now."""
        store = self._store
        target = store.config.copies(shard.class_name)
        try:
            while store.sound_copies(shard.shard_id) < target:
                self._copy_once(shard, job)
        except (NotEnoughDisksError, NoReplicaError, DiskError) as error:
            self._stuck[shard.shard_id] = time.monotonic()
            self.last_error = str(error)
            if job is not None:
                job.report({"shard": shard.shard_id, "reason": str(error)})
            return False
        self._stuck.pop(shard.shard_id, None)
        return True

    def _copy_once(self, shard: CatalogShard, job: Job | None) -> None:
        target = self._choose_target(shard)
        reasons: list[str] = []
        for source in self._sources(shard, target):
            try:
                self._copy(shard, source, target, job)
            except _TargetError:
                raise
            except (CorruptError, DiskError) as error:
                reasons.append(f"{source.name}: {error}")
                note_read_error(self._store, source, shard.shard_id, error)
                continue
            self._adopt(shard, target)
            return
        raise NoReplicaError(
            f"shard {shard.shard_id} has no sound replica to copy from "
            f"({'; '.join(reasons) or 'all its disks are missing'})",
            [shard.shard_id],
        )

    def _sources(self, shard: CatalogShard, target: Disk) -> list[Disk]:
        return [disk for disk in self._store.replicas(shard.shard_id) if disk is not target]

    def _choose_target(self, shard: CatalogShard) -> Disk:
        store = self._store
        with store.lock:
            bad = store.shards.lost | store.shards.suspect
        for disk in store.disks.online():
            # A bad replica is replaced where it is: no other disk has to make room.
            if (shard.shard_id, disk.disk_id) in bad and disk.disk_id in shard.disks:
                return disk
        holders = [disk.disk_id for disk in store.replicas(shard.shard_id)]
        (chosen,) = choose_disks(
            store.disks.spaces(),
            1,
            shard.length_bytes,
            store.random,
            exclude=tuple(holders),
            allow_same_domain=store.config.store.allow_same_device,
        )
        return store.disks.disks[chosen]

    def _copy(self, shard: CatalogShard, source: Disk, target: Disk, job: Job | None) -> None:
        store, shard_id = self._store, shard.shard_id
        slots = [store.pool.acquire(), store.pool.acquire()]
        try:
            length = source.call("copy_begin", shard_id, priority=BACKGROUND)
            self._on_target(target, "create_shard", shard_id, b"", length, True)
            turn = 0
            offset, size = _read_next(source, shard_id, slots[turn])
            while size:
                following = _request_next(source, shard_id, slots[1 - turn])
                arguments = (shard_id, offset, slots[turn].number, 0, size, True)
                self._on_target(target, "append", *arguments, slots=(slots[turn],))
                store.disks.note_success(target, written_bytes=size, read_bytes=size)
                store.disks.note_success(source, read_bytes=size)
                if job is not None:
                    job.check()
                    job.advance(0, size)
                if self._stop.is_set():
                    raise DiskError("the engine is stopping")
                offset, size = following.result()
                turn = 1 - turn
            self._on_target(target, "finish_shard", shard_id, length, True)
            # Barrier: the part is whole, synced and read back; the rename makes it a replica file,
            # the catalog entry after it makes it count. A crash between leaves a file that the
            # next start finds uncatalogued and sets aside.
            self._on_target(target, "adopt_part", shard_id)
        except BaseException:
            # A part that nobody goes on with must not keep its space.
            target.request("remove_shard", shard_id, True, priority=BACKGROUND)
            raise
        finally:
            for slot in slots:
                store.pool.release(slot)

    def _on_target(
        self, target: Disk, operation: str, *arguments: Any, slots: tuple[Slot, ...] = ()
    ) -> None:
        try:
            target.request(operation, *arguments, slots=slots, priority=BACKGROUND).result()
        except FsdError as error:
            self._store.disks.note_error(target, error, writing=True)
            raise _TargetError(f"{target.name}: {error}", target.name) from error

    def _adopt(self, shard: CatalogShard, target: Disk) -> None:
        store = self._store
        data = {"shard": shard.shard_id, "disk": target.disk_id}
        store.catalog.append(("replica_add", data))
        with store.lock:
            store.shards.lost.discard((shard.shard_id, target.disk_id))
            store.shards.suspect.discard((shard.shard_id, target.disk_id))
            number = store.shards.numbers[shard.shard_id]
            disks = list(shard.disks)
        with store.index.write() as writer:
            row = writer.shard(number)
            row.disks = disks
            writer.put_shard(row)


def _request_next(source: Disk, shard_id: str, slot: Slot) -> Any:
    return source.request("copy_next", shard_id, slot.number, slots=(slot,), priority=BACKGROUND)


def _read_next(source: Disk, shard_id: str, slot: Slot) -> tuple[int, int]:
    offset, size = _request_next(source, shard_id, slot).result()
    return offset, size
