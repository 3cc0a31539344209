"""What scrubbing found damaged: it owns telling what can be healed from what is lost, by name."""

import threading
from collections.abc import Iterable

from base.errors import DrystoneError
from fsd.disk_io.reading.verify import Problem
from fsd.format.batch_part import parse_files
from fsd.format.catalog import CatalogShard
from fsd.format.record import Entry
from fsd.repair.projection import HIDDEN_PREFIX
from fsd.scrub.scrub_log import Replica
from fsd.store.read import read_small
from fsd.store.store import Store


class Damage:
    """The damaged replicas that were found, until they are healed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Guards `_keys`. Never held with `Store.lock`. Innermost.
        self._lock = threading.Lock()
        self._keys: dict[Replica, frozenset[str]] = {}
        self._names: dict[str, list[str]] = {}

    def note(self, replica: Replica, problems: Iterable[Problem]) -> None:
        """Remember what is damaged in a replica, and look up the names of what is lost by it."""
        with self._lock:
            self._keys[replica] = frozenset(problem.key for problem in problems if problem.key)
        self._name_losses()

    def note_lost(self, shard: CatalogShard, lost: Iterable[Entry]) -> None:
        """Remember records that were looked for on every disk of their shard, and found nowhere."""
        keys = frozenset(entry.key.hex() for entry in lost)
        with self._lock:
            for disk_id in shard.disks:
                replica = (shard.shard_id, disk_id)
                self._keys[replica] = self._keys.get(replica, frozenset[str]()) | keys
        self._name_losses()

    def _name_losses(self) -> None:
        unnamed = self.lost_keys() - self._names.keys()
        if unnamed and not self._store.is_unfinished:
            self._names.update(names_of(self._store, unnamed))

    def replicas(self) -> list[Replica]:
        """Return the replicas that are damaged still."""
        with self._lock:
            known = dict(self._keys)
        with self._store.lock:
            bad = set(self._store.shards.suspect)
        with self._lock:
            for replica, keys in known.items():
                # A healed one is no suspect any more; what was noted again meanwhile may be.
                if replica not in bad and self._keys.get(replica) is keys:
                    del self._keys[replica]
            return list(self._keys)

    def by_replica(self) -> dict[Replica, frozenset[str]]:
        """Return the keys that are damaged in each replica that is damaged still."""
        self.replicas()
        with self._lock:
            return dict(self._keys)

    def lost_keys(self) -> set[str]:
        """Return the keys that are damaged in every replica their shard has."""
        lost: set[str] = set()
        damaged = self.replicas()
        for shard_id in {shard_id for shard_id, _ in damaged}:
            with self._store.lock:
                shard = self._store.shards.state.shards.get(shard_id)
                disks = [] if shard is None else list(shard.disks)
                gone = set(self._store.shards.lost)
            with self._lock:
                sets = [
                    self._keys.get((shard_id, disk_id), frozenset[str]())
                    for disk_id in disks
                    if (shard_id, disk_id) not in gone
                ]
            if sets:
                lost |= {
                    key for key in frozenset.intersection(*sets) if self._lies_in(key, shard_id)
                }
        return lost

    def losses(self) -> tuple[str, ...]:
        """Return what is lost by name, sorted."""
        names = [name for key in self.lost_keys() for name in self._names.get(key) or [key]]
        return tuple(sorted(names))

    def _lies_in(self, key: str, shard_id: str) -> bool:
        # Content that came again meanwhile lies in another shard now.
        location = self._store.index.locate(bytes.fromhex(key))
        return (
            location is not None and self._store.shards.ids.get(location.shard_number) == shard_id
        )


def names_of(store: Store, keys: set[str]) -> dict[str, list[str]]:
    """Return {key: ["batch: path", ...]} by reading every batch's list: slow, and rarely needed."""
    found: dict[str, list[str]] = {key: [] for key in keys}
    with store.index.read() as reader:
        parts = [(row.name, reader.batch_parts(row.name)) for row in reader.batches()]
    for batch, part_keys in parts:
        for part in part_keys:
            try:
                files = parse_files(read_small(store, part))
            except DrystoneError:
                # The list itself is damaged: its objects go by their keys.
                continue
            for file in files:
                if file.key in found and not batch.startswith(HIDDEN_PREFIX):
                    found[file.key].append(f"{batch}: {file.path}")
            if part.hex() in found:
                found[part.hex()].append(f"{batch}: (a part of its list of files)")
    return found
