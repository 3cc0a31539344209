"""Replicas as a whole: it owns copying one to another disk and giving one up, not what is wanted.

    copy    verified as it is read, read back where it is written -> rename -> catalog -> index
    vacate  copies elsewhere first -> catalog (replica_drop) -> index -> the file is removed

Healing, drains, rebalancing and trimming all come here. Whoever changes the replicas of a shard
claims it, so that two of them never work on one shard; all copies share a few lanes.
"""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError, DiskError, NoReplicaError
from fsd.planning.placement import DiskSpace, choose_disks, fitting_disks
from fsd.replicas.copy_plan import TARGET_PASSES, Left, Need, Planned, Room, plan_copies
from fsd.replicas.copy_scheduler import CopyScheduler, Flow, Progress
from fsd.replicas.pace import CopyPace
from fsd.replicas.reconstruct import Reconstructor
from fsd.replicas.removal_check import staying
from fsd.replicas.shard_copy import BACKGROUND, ShardCopy, TargetError, Way
from fsd.store.job import CANCEL_POLL_S, Job
from fsd.store.read_errors import note_read_error
from fsd.store.store import Store

COPIES_AT_ONCE_MAX = 8
"""Enough to keep a few disks busy (see `copy_scheduler`), few enough to plan most of them anew."""
COPY_SLOTS = 16
BUSY_COPIES_MIN = 6
"""While so many go on, the disks have enough to do: one that has ended may wait to be counted."""


class Replicator:
    """The moves of whole replicas in one open store; every method may be called by any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()
        # Guards `_claimed` and `_reading`; a claim is an entry there, held while a shard is copied.
        self._free = threading.Condition()
        self._claimed: set[str] = set()
        # Copies at once, whoever makes them. Taken by who has claimed the shard, for one copy.
        self._lanes = threading.Semaphore(COPIES_AT_ONCE_MAX)
        self.turns = CopyScheduler(COPY_SLOTS)
        self.pace = CopyPace(store.config.store.background_copy_rate_bytes_per_s)
        self._reading: Counter[str] = Counter()
        self.reconstructor = Reconstructor(store)

    def stop(self) -> None:
        """Give up copies under way; their part files are removed, at the latest by a start."""
        self._stop.set()

    @contextmanager
    def claim(self, shard_id: str, job: Job | None = None) -> Generator[CatalogShard | None]:
        """Be the only one that changes a shard's replicas; yields None when it is no more.

        Nobody claims a second shard while holding one. CancelledError when the job that waits is
        cancelled: whoever has the shard may copy it for hours.
        """
        with self._free:
            while shard_id in self._claimed:
                if job is not None:
                    job.check()
                self._free.wait(CANCEL_POLL_S)
            self._claimed.add(shard_id)
        try:
            with self._store.lock:
                shard = self._store.shards.state.shards.get(shard_id)
            yield shard if shard is not None and shard.sealed else None
        finally:
            with self._free:
                self._claimed.discard(shard_id)
                self._free.notify_all()

    def copy(
        self,
        shard: CatalogShard,
        job: Job | None,
        *,
        target: Disk | None = None,
        leaving: Disk | None = None,
        wished: Planned | None = None,
        counted: bool = True,
    ) -> Disk:
        """Make one more sound replica of a claimed shard, counted in the catalog; returns where.

        `leaving` is a disk whose replica is about to go: its failure domain is free to take the
        copy. What is `wished` is done as far as it is still right. Raises NotEnoughDisksError,
        NoReplicaError or DiskError, with no copy that counts then. Without a `job` it is nobody's
        wish but the store's own, and keeps to the pace of background copies.
        """
        self.reconstructor.check(shard)
        chosen = target or self._choose_target(shard, leaving, wished.target if wished else "")
        reasons: list[str] = []
        flow = wished.flow if wished else Flow(shard.length_bytes)
        progress = wished.progress if wished else Progress()

        def pause(done_bytes: int) -> None:
            self._pause(job, done_bytes if counted else 0)

        for source in self._sources(shard, chosen, leaving, wished.source if wished else ""):
            try:
                with self._lanes, self._read_from(source):
                    way = Way(source, chosen, flow, progress)
                    pace = self.pace if job is None else None
                    ShardCopy(self._store, shard.shard_id, way, self.turns, pause, pace).run()
            except TargetError:
                raise
            except (CorruptError, DiskError) as error:
                reasons.append(f"{source.name}: {error}")
                note_read_error(self._store, source, shard.shard_id, error)
                if job is not None and counted:
                    job.advance(0, -progress.written_bytes)  # The next source begins anew.
                continue
            # An entry takes the heads of all disks away from what they do: some are written as one.
            self._record("replica_add", shard, chosen, patient=self._are_disks_busy)
            return self._counted(shard, chosen)
        if not self._store.replicas(shard.shard_id):
            raise NoReplicaError(
                f"shard {shard.shard_id} has no sound replica to copy from "
                f"({'; '.join(reasons) or 'all its disks are missing'})",
                [shard.shard_id],
            )
        with self._lanes:
            # Every replica is damaged, each perhaps in another place.
            self.reconstructor.reconstruct(shard, chosen, pause)
        self.adopt(shard, chosen)
        return self._counted(shard, chosen)

    def _counted(self, shard: CatalogShard, disk: Disk) -> Disk:
        """Return the disk of a copy just made; DiskError unless there is a sound replica now.

        Whoever copies until there are enough would make this one again and again, for ever.
        """
        if disk not in self._store.sound_replicas(shard.shard_id):
            raise DiskError(
                f"the copy of shard {shard.shard_id} on {disk.name} does not count: the disk was "
                f"lost or declared gone, or the copy damaged (it is {disk.shown_state})",
                disk.name,
            )
        return disk

    def vacate(self, shard_id: str, disk: Disk, job: Job | None, target: Disk | None = None) -> int:
        """Give a shard its copies elsewhere, then give its replica on `disk` up.

        Copies on draining disks do not count. With a `target` the replica moves there. When no
        copy has to be made, the ones that stay are read back and proven first. Returns the bytes
        copied. Raises what `copy` raises; the replica then stays.
        """
        with self.claim(shard_id, job) as shard:
            if shard is None or disk.disk_id not in shard.disks:
                return 0
            wanted = self._store.config.copies(shard.class_name)
            copied = 0
            proven: set[str] = set()
            if target is not None and target.disk_id not in shard.disks:
                self.copy(shard, job, target=target, leaving=disk)
                copied += 1
            while True:
                others = staying(self._store, shard_id, disk)
                unproven = [other for other in others if other.disk_id not in proven]
                if len(others) < wanted:
                    self.copy(shard, job, leaving=disk, counted=not copied)
                    copied += 1
                elif copied or not unproven or len(others) - len(unproven) >= wanted:
                    if self._drop(shard, disk, others):
                        return copied * shard.length_bytes
                elif self.prove(shard_id, unproven[0]):
                    proven.add(unproven[0].disk_id)

    def prove(self, shard_id: str, disk: Disk) -> bool:
        """Read a replica back, every byte; a bad one is marked, to be copied again."""
        store = self._store
        try:
            result = disk.call("verify", shard_id, priority=BACKGROUND)
        except DrystoneError as error:
            note_read_error(store, disk, shard_id, error)
            if disk in store.sound_replicas(shard_id):
                raise  # Not the replica's fault; whoever asked tries again later.
            return False
        store.disks.note_success(disk, read_bytes=result.read_bytes)
        if result.problems:
            store.mark_suspect(shard_id, disk)
        return not result.problems

    def give_up(self, shard_id: str, disk: Disk) -> bool:
        """Give up a replica that is one too many; False when it turns out to be needed.

        As many others as are wanted are read back first, every byte.
        """
        with self.claim(shard_id) as shard:
            if shard is None or disk.disk_id not in shard.disks:
                return False
            wanted = self._store.config.copies(shard.class_name)
            others = staying(self._store, shard_id, disk)
            if sum(self.prove(shard_id, other) for other in others[:wanted]) < wanted:
                return False
            return self._drop(shard, disk, others)

    def adopt(self, shard: CatalogShard, disk: Disk) -> None:
        """Let a verified file that lies on the disk count as a replica of a claimed shard."""
        self._record("replica_add", shard, disk)

    def plan(
        self,
        shards: Sequence[tuple[CatalogShard, int]],
        left: Mapping[str, Left] | None = None,
    ) -> list[Planned]:
        """Plan one more copy of each (shard, sound copies it has) so that all ends soonest.

        Disks are as fast as they were in the copies that they did last. What they have to do before
        is `left`, by disk.
        """
        store = self._store
        spaces = store.disks.spaces()
        rooms = {
            space.disk_id: Room(space.free_bytes, store.disks.disks[space.disk_id].size_bytes)
            for space in spaces
        }
        pass_s = self._source_pass_s()
        coming_bytes = sum(shard.length_bytes for shard, _ in shards)
        target_pass_s = self._target_pass_s(rooms, coming_bytes)
        before_s = {
            disk: work.source_bytes * pass_s.get(disk, 0.0)
            + work.target_bytes * target_pass_s.get(disk, 0.0)
            for disk, work in (left or {}).items()
        }
        same = store.config.store.allow_same_device
        needs: list[Need] = []
        for shard, copies in shards:
            size, held = shard.length_bytes, self._bad_replica(shard, None)
            holders, places = self._holders(shard, None, spaces)
            fitting = fitting_disks(places, size, exclude=holders, allow_same_domain=same)
            targets = [held.disk_id] if held else [space.disk_id for space in fitting]
            sources = [disk.disk_id for disk in store.sound_replicas(shard.shard_id)]
            needs.append(Need(shard.shard_id, size, copies, sources, targets))
        return plan_copies(needs, pass_s, rooms, target_pass_s, before_s)

    def _known_pass_s(self, disk_id: str) -> float:
        return 1 / self._store.models.model(disk_id).bandwidth_bytes_per_s

    def _source_pass_s(self) -> dict[str, float]:
        """Return the seconds per byte of what copies read, by disk."""
        return {
            disk_id: self.turns.pace_s(disk_id, self._known_pass_s(disk_id), writes=False)
            for disk_id in self._store.disks.disks
        }

    def _target_pass_s(self, rooms: Mapping[str, Room], coming_bytes: int) -> dict[str, float]:
        """Return the seconds per byte of a pass over what copies write, by disk, in the mean.

        All that comes fills the disks on, towards their slower tracks.
        """
        outer_s: dict[str, float] = {}
        for disk_id, room in rooms.items():
            model = self._store.models.model(disk_id)
            mean = model.slower_where_free(room.used_share) / model.slowdown(room.used_share)
            known_s = self._known_pass_s(disk_id) * mean
            both_s = self.turns.pace_s(disk_id, TARGET_PASSES * known_s, writes=True)
            outer_s[disk_id] = both_s / TARGET_PASSES
        rates = sum(1 / pass_s for pass_s in outer_s.values())
        found: dict[str, float] = {}
        for disk_id, room in rooms.items():
            mine_bytes = coming_bytes / outer_s[disk_id] / rates
            half_share = mine_bytes / 2 / room.size_bytes if room.size_bytes else 0.0
            model = self._store.models.model(disk_id)
            found[disk_id] = outer_s[disk_id] * model.slowdown(room.used_share + half_share)
        return found

    def _sources(
        self, shard: CatalogShard, target: Disk, leaving: Disk | None, wished: str
    ) -> list[Disk]:
        """Return where to copy from: sound ones first, of those the leaving disk, which is idle.

        Otherwise the one that is wished, or the disk that the fewest copies read from just now.
        """
        store, reading = self._store, dict(self._reading)
        sound = store.sound_replicas(shard.shard_id)
        found = [disk for disk in store.replicas(shard.shard_id) if disk is not target]

        def rank(disk: Disk) -> tuple[bool, bool, bool, int]:
            first = disk is not leaving, disk.disk_id != wished
            return disk not in sound, *first, reading.get(disk.disk_id, 0)

        return sorted(found, key=rank)

    @contextmanager
    def _read_from(self, source: Disk) -> Generator[None]:
        with self._free:
            self._reading[source.disk_id] += 1
        try:
            yield
        finally:
            with self._free:
                self._reading[source.disk_id] -= 1

    def _are_disks_busy(self) -> bool:
        with self._free:
            return self._reading.total() >= BUSY_COPIES_MIN

    def _choose_target(self, shard: CatalogShard, leaving: Disk | None, wished: str) -> Disk:
        store = self._store
        held = self._bad_replica(shard, leaving)
        if held is not None:
            return held
        holders, spaces = self._holders(shard, leaving, store.disks.spaces())
        same = store.config.store.allow_same_device
        size = shard.length_bytes
        fitting = fitting_disks(spaces, size, exclude=holders, allow_same_domain=same)
        if wished in {space.disk_id for space in fitting}:
            return store.disks.disks[wished]
        (chosen,) = choose_disks(
            spaces, 1, size, store.random, exclude=holders, allow_same_domain=same
        )
        return store.disks.disks[chosen]

    def _bad_replica(self, shard: CatalogShard, leaving: Disk | None) -> Disk | None:
        """Return a disk whose replica is bad: it is replaced there, no other has to make room."""
        store = self._store
        able = [disk for disk in store.disks.online() if disk.disk_id in shard.disks]
        for disk in able:
            replica = shard.shard_id, disk.disk_id
            with store.lock:
                bad = replica in store.shards.lost or replica in store.shards.suspect
            if bad and disk is not leaving and not disk.draining:
                return disk
        return None

    def _holders(
        self, shard: CatalogShard, leaving: Disk | None, spaces: list[DiskSpace]
    ) -> tuple[list[str], list[DiskSpace]]:
        """Return who has a replica that stays, and the spaces without the disks that go.

        A copy may lie in the failure domain of those.
        """
        store = self._store
        holders = [disk.disk_id for disk in store.replicas(shard.shard_id) if disk is not leaving]
        away = {disk_id for disk_id in holders if store.disks.disks[disk_id].draining}
        if leaving is not None:
            away.add(leaving.disk_id)
        return holders, [space for space in spaces if space.disk_id not in away]

    def _pause(self, job: Job | None, done_bytes: int) -> None:
        """Between two pieces: count, and stop when somebody wants that."""
        if job is not None:
            job.check()
            job.advance(0, done_bytes)
        if self._stop.is_set():
            raise DiskError("the engine is stopping")

    def _drop(self, shard: CatalogShard, disk: Disk, others: list[Disk]) -> bool:
        """Give a replica up: nothing counts on it any more before its file goes.

        False when not all the others stay by now: one may have been retired meanwhile.
        """
        with self._store.letting_go:
            if not set(others) <= set(staying(self._store, shard.shard_id, disk)):
                return False
            self._record("replica_drop", shard, disk)
        # Barrier: a crash here leaves a file that the catalog does not know; the start finds it.
        if disk.state != "online":
            return True
        try:
            disk.request("remove_shard", shard.shard_id, priority=BACKGROUND).result()
            disk.request("let_go", priority=BACKGROUND)
        except DrystoneError as error:
            self._store.disks.note_error(disk, error, writing=True)
        return True

    def _record(
        self,
        kind: str,
        shard: CatalogShard,
        disk: Disk,
        patient: Callable[[], bool] | None = None,
    ) -> None:
        store, shard_id = self._store, shard.shard_id
        store.catalog.append((kind, {"shard": shard_id, "disk": disk.disk_id}), patient=patient)
        with store.lock:
            store.shards.lost.discard((shard_id, disk.disk_id))
            store.shards.suspect.discard((shard_id, disk.disk_id))
            known = store.shards.state.shards.get(shard_id)
            number = store.shards.numbers.get(shard_id)
            # One that the index does not know yet comes there with its disks.
            if known is None or number is None:
                return
            disks = list(known.disks)
        with store.index.write() as writer:
            row = writer.shard(number)
            row.disks = disks
            writer.put_shard(row)
