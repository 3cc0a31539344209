"""The open store: it owns what all verbs share (disks, catalog, shard table, index), no verb.

Lock order: `Store.lock` guards the shard table and is never held across a disk request. Before it
`Store.letting_go`, held from the judgement that a copy or a disk may go until the catalog says so:
of two that have the same shard each may go, but not both.
"""

import errno
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from base.errors import DrystoneError
from fsd.disks.config import Config
from fsd.disks.disk_models import DiskModels
from fsd.disks.disks import Disk, DiskSet
from fsd.format.catalog import (
    CatalogEntry,
    CatalogShard,
    CatalogState,
    identify,
    merge,
    pack_frame,
    unpack_frames,
)
from fsd.format.errors import DiskError, FsdError, NoReplicaError, ReindexingError
from fsd.process.process import Child
from fsd.process.slots import SlotPool
from fsd.store.index import Index, Location
from fsd.store.lost_keys import LostKeys

PART_BYTES_MAX = 16 << 20
ACK_COPIES_MAX = 2
PATIENCE_S = 5.0
PATIENCE_CHECK_S = 0.1


@dataclass(slots=True)
class ShardTable:
    """Every live shard (from the catalog), its index number, and which replicas are not usable.

    Those that are `writing` grow; of these the index takes all records in anew once they are sealed
    when they are in `retaken`: a purge that may be voided made it forget some.
    """

    state: CatalogState = field(default_factory=CatalogState)
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    ids: dict[int, str] = field(default_factory=dict[int, str])
    lost: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    suspect: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    writing: set[str] = field(default_factory=set[str])
    retaken: set[str] = field(default_factory=set[str])

    def name(self, shard_id: str, number: int) -> None:
        """Tie a shard id to its number in the index."""
        self.numbers[shard_id] = number
        self.ids[number] = shard_id


class Store:
    """The parts of an open store. Made by `engine.open_store`, closed by it."""

    def __init__(self, config: Config, pool: SlotPool, disks: DiskSet) -> None:
        self.config = config
        self.pool = pool
        self.disks = disks
        # Guards `shards` and what waits in `catalog`; see above.
        self.lock = threading.RLock()
        # Held until the catalog says what goes; before the catalog's lock and `lock`.
        self.letting_go = threading.Lock()
        self.shards = ShardTable()
        self.catalog = CatalogLog(self)
        self.models = DiskModels(os.path.join(config.watch_dir, "disk_models.json"))
        self.lost_keys = LostKeys(os.path.join(config.watch_dir, "lost_keys.json"))
        # Keys that the index had a wrong place for, until all of it has been looked at.
        self.misplaced: set[str] = set()
        # Keys that all of it was looked through for in vain: not again for each who reads them.
        self.sought: set[str] = set()
        # Asked where else an object lies that cannot be read at a place (see `index_heal`).
        self.find_again: Callable[[bytes, Location], list[Location]] = lambda _key, _place: []
        # Something is missing in the index that housekeeping makes again from catalog and shards.
        self.behind = False
        self.random = random.Random()
        self._index: Index | None = None
        self.is_unfinished = False
        self.last_generation = 0

    @property
    def index(self) -> Index:
        """Return the open index generation."""
        if self._index is None:
            raise FsdError("the index is not open yet; the engine is starting or reindexing")
        return self._index

    def set_index(self, index: Index | None, *, whole: bool = True) -> Index | None:
        """Put another generation in place; returns the former one, still open.

        One that is not `whole` is filled from the shards first, see `index_filled`.
        """
        former, self._index, self.is_unfinished = self._index, index, not whole
        if index is not None:
            self.last_generation = max(self.last_generation, index.generation)
        return former

    def index_filled(self) -> None:
        """Note that the index knows everything there is."""
        self.is_unfinished = False

    def index_lacks(self) -> None:
        """Note that it does not, and that housekeeping has to see to that."""
        self.is_unfinished = self.behind = True

    def refuse_unfinished(self) -> None:
        """Raise ReindexingError while what is not in the index may be in the store."""
        if self.is_unfinished:
            raise ReindexingError(
                "the index does not know everything yet: it is being made anew (`drystone jobs`), "
                "or the SSD is full (`drystone health`); nothing is lost, ask again when that is "
                "done"
            )

    def ack_copies(self, class_name: str) -> int:
        """Return how many verified copies an acknowledgement needs."""
        return min(ACK_COPIES_MAX, self.config.copies(class_name))

    def replicas(self, shard_id: str) -> list[Disk]:
        """Return the disks that can be asked for a shard now; ones with bad blocks come last."""
        with self.lock:
            shard = self.shards.state.shards.get(shard_id)
            if shard is None:
                return []
            usable = [d for d in shard.disks if (shard_id, d) not in self.shards.lost]
            usable.sort(key=lambda disk_id: (shard_id, disk_id) in self.shards.suspect)
        # Stable: of equally healthy disks, those with bad blocks in this shard come last.
        return sorted(self.disks.readable(usable), key=lambda disk: disk.health.rank)

    def preferred_replicas(self, shard_id: str) -> list[Disk]:
        """Return the replicas on the healthiest disks, which a plan is made for."""
        disks = self.replicas(shard_id)
        return [disk for disk in disks if disk.health.rank == disks[0].health.rank]

    def sound_replicas(self, shard_id: str) -> list[Disk]:
        """Return the disks whose replica is online and not known to be damaged."""
        with self.lock:
            suspect = {disk for shard, disk in self.shards.suspect if shard == shard_id}
        return [disk for disk in self.replicas(shard_id) if disk.disk_id not in suspect]

    def sound_copies(self, shard_id: str) -> int:
        """Return how many replicas are online and not known to be damaged."""
        return len(self.sound_replicas(shard_id))

    def is_damaged(self, shard_id: str) -> bool:
        """Return whether a replica of the shard is known to be damaged or lost, on any disk."""
        with self.lock:
            shard = self.shards.state.shards.get(shard_id)
            replicas = [(shard_id, disk_id) for disk_id in (shard.disks if shard else ())]
            bad = (self.shards.suspect, self.shards.lost)
            return any(replica in known for replica in replicas for known in bad)

    def shard_of(self, location: Location) -> CatalogShard:
        """Return the shard an index entry points at; NoReplicaError when it is not catalogued."""
        with self.lock:
            shard_id = self.shards.ids.get(location.shard_number)
            shard = self.shards.state.shards.get(shard_id or "")
        if shard is None:
            raise NoReplicaError(
                f"the index points at shard {location.shard_number}, which is gone"
            )
        return shard

    def mark_lost(self, shard_id: str, disk: Disk) -> None:
        """Note that a replica's file is missing or incomplete; it is never read again."""
        with self.lock:
            self.shards.lost.add((shard_id, disk.disk_id))

    def mark_suspect(self, shard_id: str, disk: Disk) -> None:
        """Note that a replica has bad blocks: it is read last, and replaced when that is possible.

        It stays readable: another replica may be bad in other places.
        """
        with self.lock:
            self.shards.suspect.add((shard_id, disk.disk_id))


@dataclass(slots=True, eq=False)
class _Append:
    """Entries that wait for being written, with whoever came at the same moment."""

    items: tuple[tuple[str, Mapping[str, object]], ...]
    everywhere: bool
    error: DiskError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class CatalogLog:
    """Appends entries to every online disk; the state is what the disks' logs say together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Held while entries go to all disks, or a disk is brought up to date, so while disks are
        # asked. After `Store.letting_go`, before `Store.lock`. Guards all below but what waits,
        # which `Store.lock` guards.
        self._lock = threading.Lock()
        self._waiting: list[_Append] = []
        self._returning: dict[str, Child | None] = {}
        self._known: dict[tuple[int, int, bytes], CatalogEntry] = {}

    def append(
        self,
        *items: tuple[str, Mapping[str, object]],
        everywhere: bool = False,
        patient: Callable[[], bool] | None = None,
    ) -> None:
        """Append entries, durable on all online disks (two at least) when it returns.

        With `everywhere` every disk of the store has to take them. Those of one call are applied
        together; what several threads append at one moment goes to the disks as one. Whoever is
        `patient` lets others write them, for PATIENCE_S at most.

        Raises DiskError when fewer disks took them; nothing that depends on the entries may be
        acknowledged then. Those that any disk took hold all the same, as a start would read them
        there: the state says so at once, the index follows by itself (see `Store.behind`), and the
        other disks get them when they return. What a caller told of the error may do is wait, or
        say it again.
        """
        one = _Append(items, everywhere)
        with self._store.lock:
            self._waiting.append(one)
        until_s = time.monotonic() + PATIENCE_S
        while patient is not None and patient() and time.monotonic() < until_s:
            if one.done.wait(PATIENCE_CHECK_S):
                break
        with self._lock:
            if not one.done.is_set():
                # Whoever comes first writes for all who wait; they find it done.
                with self._store.lock:
                    together, self._waiting = self._waiting, []
                try:
                    self._write(together)
                finally:
                    for other in together:
                        other.done.set()
        if one.error is not None:
            raise one.error

    def _write(self, together: list[_Append]) -> None:
        store = self._store
        failure = DiskError("a catalog entry could not be written; see `drystone health`")
        for one in together:
            one.error = failure  # Unless all goes well.
        sequence = store.shards.state.sequence
        entries: list[list[CatalogEntry]] = []
        for one in together:
            made = [
                CatalogEntry(sequence + number, store.disks.epoch, kind, dict(data))
                for number, (kind, data) in enumerate(one.items, 1)
            ]
            sequence += len(made)
            entries.append(made)
        frames = b"".join(pack_frame(entry) for made in entries for entry in made)
        # Used up even when this fails: a disk that took the entries knows them by these.
        store.shards.state.sequence = sequence
        disks = [disk for disk in store.disks.disks.values() if self._takes(disk)]
        self._returning = {
            disk.disk_id: self._returning[disk.disk_id] for disk in disks if not disk.readable
        }
        online = sum(disk.state == "online" for disk in disks)
        taken = self._send(disks, frames)
        for one, made in zip(together, entries, strict=True):
            one.error = self._refusal(one, taken, online)
            if not taken:
                continue
            # Also what is refused. Were it forgotten until a start reads it on that disk, it could
            # contradict what was decided meanwhile: of two shards that have the same records each
            # would be given up, since the other one has them.
            with store.lock:
                for entry in made:
                    store.shards.state.apply(entry)
                    self._known[identify(entry)] = entry
                store.behind |= one.error is not None

    def _takes(self, disk: Disk) -> bool:
        # One that was brought up to date gets what follows, though its inventory is still taken.
        # A new process of it knows no path yet.
        child = disk.child
        return disk.readable or (child is not None and child is self._returning.get(disk.disk_id))

    def _send(self, disks: list[Disk], frames: bytes) -> set[str]:
        futures = [(disk, disk.request("append_catalog", frames)) for disk in disks]
        taken: set[str] = set()
        for disk, future in futures:
            try:
                future.result()
                taken.add(disk.disk_id)
            except Exception as error:
                # Whatever it is, the others may have taken it.
                if disk.state == "online":
                    self._store.disks.note_error(disk, error, writing=True)
        return taken

    def _refusal(self, one: _Append, taken: set[str], online: int) -> DiskError | None:
        # One disk is enough only where one is all there is: what needs two copies is placed
        # on two disks, or refused, before.
        if len(taken) < max(1, min(ACK_COPIES_MAX, online)):
            count = len(taken)
            holds = ", which holds all the same" * (count > 0)
            return DiskError(
                f"only {count} disks took a catalog entry{holds}; see `drystone health`"
            )
        known = self._store.shards.state.disks
        lacking = [name for disk_id, name in known.items() if disk_id not in taken]
        if one.everywhere and lacking:
            return DiskError(
                f"{', '.join(lacking)} did not take a catalog entry that every disk must have; "
                "see `drystone health`"
            )
        return None

    def knows(self, entries: set[tuple[int, int, bytes]]) -> bool:
        """Return whether the state is made of these entries (by identity) and maybe of more."""
        with self._lock:
            return entries <= self._known.keys()

    def load(self) -> list[CatalogEntry]:
        """Read all readable disks' logs, bring each up to date, return the union."""
        logs = self._read_logs()
        union = merge(entries for _, entries in logs)
        for disk, entries in logs:
            self._bring_up_to_date(disk, entries, union)
        self._known = {identify(entry): entry for entry in union}
        self._store.disks.outdo(max((entry.epoch for entry in union), default=0))
        return union

    def catch_up(self, disk: Disk) -> bool:
        """Bring a returning disk and all others to the union; returns whether the others learned.

        A disk that was away when the engine started may carry acknowledged entries that no other
        disk here has: the state is then made again from the union. Raises what reading it raises.
        """
        with self._lock:
            child = disk.child
            own = list(unpack_frames(disk.call("read_catalog")))
            logs = [(other, log) for other, log in self._read_logs() if other is not disk]
            # What this engine knows counts too: the disk that carries it may be away just now.
            union = merge([own, self._known.values(), *(entries for _, entries in logs)])
            for other, entries in [*logs, (disk, own)]:
                self._bring_up_to_date(other, entries, union)
            self._returning[disk.disk_id] = child
            if len(union) == len(self._known):
                return False
            self._known = {identify(entry): entry for entry in union}
            state = CatalogState.of(union)
            with self._store.lock:
                state.sequence = max(state.sequence, self._store.shards.state.sequence)
                self._store.shards.state = state
            return True

    def lacking(self, disk: Disk) -> int:
        """Return how many entries cannot be read in a disk's log."""
        with self._lock:
            own = {identify(entry) for entry in unpack_frames(disk.call("read_catalog"))}
            return len(self._known.keys() - own)

    def heal(self, disk: Disk) -> int:
        """Append to a disk's log what cannot be read there (any more); returns how many entries."""
        with self._lock:
            own = list(unpack_frames(disk.call("read_catalog")))
            missing = len(self._known.keys() - {identify(entry) for entry in own})
            if missing:
                known = sorted(self._known.items())
                self._bring_up_to_date(disk, own, [entry for _, entry in known])
            return missing

    def _read_logs(self) -> list[tuple[Disk, list[CatalogEntry]]]:
        store = self._store
        logs: list[tuple[Disk, list[CatalogEntry]]] = []
        # All disks read at once, and what they say alike is decoded once.
        asked = [
            (disk, disk.request("read_catalog"))
            for disk in store.disks.disks.values()
            if disk.readable
        ]
        seen: dict[bytes, CatalogEntry] = {}
        for disk, answer in asked:
            try:
                logs.append((disk, list(unpack_frames(answer.result(), seen))))
            except (DrystoneError, OSError) as error:
                store.disks.note_error(disk, error)
        return logs

    def _bring_up_to_date(
        self, disk: Disk, entries: list[CatalogEntry], union: list[CatalogEntry]
    ) -> None:
        known = {identify(entry) for entry in entries}
        missing = [entry for entry in union if identify(entry) not in known]
        if not missing:
            return
        try:
            disk.call("append_catalog", b"".join(map(pack_frame, missing)))
        except DiskError as error:
            # A full or read-only disk is still read from; what it lacks, the others have.
            if disk.state == "online":
                self._store.disks.note_error(disk, error, writing=True)
            elif disk.state != "readonly" and error.errno not in (errno.EROFS, errno.ENOSPC):
                raise
