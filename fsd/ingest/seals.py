"""Seals of shards: what the catalog and the index are told when files end in their footers."""

import time
from dataclasses import dataclass

from fsd.format.record import iterate_entries
from fsd.ingest.open_shard import OpenShard
from fsd.store.index import ShardRow
from fsd.store.purged_keys import entries_of_stored
from fsd.store.store import Store


@dataclass(frozen=True, slots=True)
class Ended:
    """A shard whose files end in their footers; the catalog does not know it yet.

    One that is not `indexed` has records that the index may lack: its row stays open, and the
    roll-forward takes it in. `again` are keys in it that had been purged, by one of the first
    `purges` that were committed.
    """

    row: ShardRow
    indexed: bool
    since_s: float
    again: frozenset[bytes] = frozenset()
    purges: int = 0

    def entry(self) -> tuple[str, dict[str, object]]:
        """Return what the catalog is told."""
        row = self.row
        data = {"shard": row.shard_id, "length": row.length_bytes, "disks": row.disks}
        return "shard_seal", {**data, "time_ns": row.sealed_ns}


def record_seals(store: Store, ended: list[Ended], *entries: tuple[str, dict[str, object]]) -> None:
    """Tell the catalog, at once with other entries, and then the index, what is sealed."""
    again = [entry for one in ended for entry in entries_of_stored(one.again, one.purges)]
    try:
        if ended or entries:
            # With the seal, so that whoever loses the shard later is told what is lost.
            seals = [one.entry() for one in ended]
            store.catalog.append(*seals, *again, *entries)
        if again:
            store.behind = True  # Batches that named them list them again.
        if any(one.indexed for one in ended):
            with store.index.write() as writer:
                for one in ended:
                    if one.indexed and one.row.shard_id not in store.shards.retaken:
                        writer.put_shard(one.row)
    finally:
        with store.lock:
            store.shards.writing.difference_update(one.row.shard_id for one in ended)
            store.shards.retaken &= store.shards.writing


def ended_of(store: Store, shard: OpenShard, length: int, *, indexed: bool) -> Ended:
    """Return a shard whose files have this length, with what its seal tells."""
    row = shard.row(sealed=True, length_bytes=length)
    again, purges = _stored_again(store, shard)
    return Ended(row, indexed, time.monotonic(), again, purges)


def _stored_again(store: Store, shard: OpenShard) -> tuple[frozenset[bytes], int]:
    """Return the keys in a shard that had been purged, but for those that are dead in it.

    And how many purges had been committed by then.
    """
    with store.lock:
        known = store.shards.state.shards.get(shard.shard_id)
        purged = frozenset(store.shards.state.purged_keys)
        purges = store.shards.state.purge_commits
    if known is None or not purged:
        return frozenset(), purges
    entries, dead = iterate_entries(bytes(shard.entries)), known.dead_records()
    again = (one.key for one in entries if one.key in purged and not dead.has(one.offset, one.key))
    return frozenset(again), purges
