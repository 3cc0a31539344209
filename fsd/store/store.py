"""The open store: it owns what all verbs share (disks, catalog, shard table, index), no verb.

Lock order: `Store.lock` guards the shard table and is never held across a disk request. Before it
`Store.letting_go`, held from the judgement that a copy or a disk may go until the catalog says so:
of two that have the same shard each may go, but not both.
"""

import random
import threading
from collections.abc import Callable

from fsd.disks.config import Config
from fsd.disks.disk_models import DiskModels
from fsd.disks.disks import Disk, DiskSet
from fsd.disks.watch_file import WatchFile
from fsd.format.catalog import CatalogShard
from fsd.format.errors import FsdError, NoReplicaError, ReindexingError
from fsd.process.slots import SlotPool
from fsd.store.catalog_log import ACK_COPIES_MAX, CatalogLog
from fsd.store.index import Index, Location
from fsd.store.shard_table import ShardTable
from fsd.store.ssd.former_watch import take_over
from fsd.store.ssd.lost_keys import LostKeys

PART_BYTES_MAX = 16 << 20
FILLED_WITHIN_S = 10.0
"""So long a question waits for an index that a recovery is filling; then who asks hears of it."""


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
        self.catalog = CatalogLog(disks, self.shards, self.lock, self._refused)
        self.watch_file = WatchFile(config.watch_dir)
        take_over(self.watch_file, config.watch_dir)
        self.models, self.lost_keys = DiskModels(self.watch_file), LostKeys(self.watch_file)
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
        # Clear while a recovery is filling the index, which takes seconds.
        self._filled = threading.Event()
        self._filled.set()
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
        self._filled.set()

    def index_lacks(self, *, for_moments: bool = False) -> None:
        """Note that it does not, and that housekeeping has to see to that.

        What it lacks `for_moments`, questions wait for.
        """
        self.is_unfinished = self.behind = True
        if for_moments:
            self._filled.clear()

    def _refused(self) -> None:
        # An entry that holds all the same: whoever was told of the error does not see to the index.
        self.behind = True

    def refuse_unfinished(self) -> None:
        """Raise ReindexingError while what is not in the index may be in the store.

        It waits first, where a recovery knows in a moment.
        """
        if self.is_unfinished and not self._filled.wait(FILLED_WITHIN_S):
            self._filled.set()  # It takes longer: who asks next need not wait as well.
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
