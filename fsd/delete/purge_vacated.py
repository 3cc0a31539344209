"""Vacated shards and a purge: it owns what of them a purge must know, and marks.

The index has forgotten what is in a vacated shard. Something in it may live nowhere else any more
(see `compact_drop`): then it counts again, and with it the list of files of a batch, which keeps
what the purge would take. So no purge decides before that is settled of every vacated shard.
"""

from __future__ import annotations

from collections.abc import Collection

from base.errors import DrystoneError
from fsd.delete.compact_drop import Dropper, Proof, prove, weakest
from fsd.delete.compact_plan import vacated_shards
from fsd.delete.purge_check import is_found
from fsd.format.catalog import CatalogShard
from fsd.format.errors import PurgeRefusedError
from fsd.format.purge_marks import EVERY_RECORD, pack_offsets
from fsd.format.record import iterate_entries
from fsd.repair.elsewhere import Worth
from fsd.store.job import Job
from fsd.store.store import Store
from fsd.store.survey import footer_of


def revive_needed(dropper: Dropper, job: Job) -> bool:
    """Let every vacated shard count again of which something lives nowhere else; True when any did.

    The index knows all shards, and nobody moves records meanwhile. PurgeRefusedError when nobody
    can tell now whether something in one of them is needed.
    """
    revived = False
    for shard in vacated_shards(dropper.engine.store):
        job.check()
        if not shard.disks:
            continue  # See `VacatedShards.look`.
        proof = _proof(dropper, shard)
        if proof is not None and proof.homeless:
            dropper.revive(shard.shard_id, proof)
            revived = True
    return revived


def _proof(dropper: Dropper, shard: CatalogShard) -> Proof | None:
    """Return what is known of a vacated shard; None where all its footers are damaged."""
    store = dropper.engine.store
    known = dropper.proof(shard.shard_id)
    if known is not None and weakest(store, known) >= Worth.WAITING:
        return known
    try:
        return prove(store, shard, store.shards.numbers[shard.shard_id])
    except DrystoneError as error:
        if not store.sound_replicas(shard.shard_id):
            return None
        raise _unreadable(shard) from error


def _unreadable(shard: CatalogShard) -> PurgeRefusedError:
    return PurgeRefusedError(
        f"shard {shard.shard_id}, which was compacted, cannot be read now, and may have "
        "something that the purge must know of; ask again, or look at drystone warnings"
    )


class VacatedShards:
    """The records of a purge's candidates in vacated shards.

    Unmarked they would be the only ones of their content that are not dead, and their shard would
    count again. Memory: about 100 bytes a record found.
    """

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self._found: dict[str, list[tuple[bytes, int]]] = {}
        self._forgotten: set[str] = set()

    def look(self, candidates: Collection[bytes]) -> None:
        """Find the records; called again it looks at what has come since, or come back.

        All of a shard is dead that no disk has: it may come back with one that was declared gone.
        Where all replicas are damaged nobody can tell what is in them, also not who would revive
        it. PurgeRefusedError where that may be known the next time.
        """
        with self._store.lock:
            shards = [s for s in self._store.shards.state.shards.values() if s.vacated and s.sealed]
        self._forgotten.clear()
        for shard in shards:
            if shard.shard_id in self._found:
                continue
            self._job.check()
            scan = footer_of(self._store, shard)
            if scan is not None:
                entries = iterate_entries(scan.entries)
                found = [(one.key, one.offset) for one in entries if one.key in candidates]
                self._found[shard.shard_id] = found
            elif self._store.sound_replicas(shard.shard_id):
                raise _unreadable(shard)
            elif not shard.disks:
                self._check_away(shard)
                self._forgotten.add(shard.shard_id)

    def _check_away(self, shard: CatalogShard) -> None:
        if is_found(self._store, shard.shard_id):
            raise PurgeRefusedError(
                f"shard {shard.shard_id}, which was compacted, came back with a disk, and is being "
                "verified; ask again in a moment"
            )

    def marks(self, candidates: Collection[bytes]) -> dict[str, str]:
        """Return the marks of what was found and is left, of shards that are vacated still."""
        marks = dict.fromkeys(self._forgotten, EVERY_RECORD)
        for shard_id, found in self._found.items():
            with self._store.lock:
                shard = self._store.shards.state.shards.get(shard_id)
            if shard is None or not shard.vacated:
                continue
            dead = shard.purged_records()
            offsets = [at for key, at in found if key in candidates and at not in dead]
            if offsets:
                marks[shard_id] = pack_offsets(offsets)
        return marks
