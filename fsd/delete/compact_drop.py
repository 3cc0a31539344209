"""Dropping vacated shards: it owns the grace, the looks, and the deletion of their files.

A vacated shard (purged whole, or compacted) stays readable for those who found a record in it
before: an export that runs, a reader of the mount. The grace is counted in the engine's uptime, so
that a machine that was switched off for a week does not delete at its first breath.

    last look -> shard_drop in the catalog -> index -> the files are deleted

The look proves that every record lives elsewhere or was purged; the first one is at the beginning
of the grace. All that a compaction gave up was so at that moment. It may not be so any more: the
disks of the other shards were declared gone; or two runs of the engine saw different disks, and
what one of them relied on the other one has given up. So it is asked again before anything is
deleted, of the footers, record by record. A shard that has something which is nowhere else any more
is revived instead:

    shard_revive in the catalog -> index
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.delete.compact_plan import vacated_shards
from fsd.format.catalog import CatalogShard
from fsd.format.errors import FsdError
from fsd.format.record import RECORD_BATCH_PART, iterate_entries
from fsd.repair.elsewhere import Worth, find_homes, worth_of
from fsd.repair.recover import footer_of, project_shard
from fsd.replicas.replicate import BACKGROUND
from fsd.running.engine_core import EngineCore
from fsd.store.job import Lock
from fsd.store.joined_parts import joined
from fsd.store.purge_place import PIECE_RECORDS
from fsd.store.store import Store

DROPS_PER_ROUND_MAX = 64
LOOK_S_MAX = 5.0
"""Of one round, for the first looks."""
LOOK_AGAIN_S = 30.0
"""Before a look is tried again that failed; twice as long each time, up to the grace."""
NEEDED_AFTER_S = 900.0
"""So long nothing else may give what the shard has: then it counts again, and gets its copies."""
BARRIERS = ("drop written", "drop indexed", "dropped")
REVIVE_BARRIERS = ("revived", "revive indexed")


@dataclass(slots=True)
class Proof:
    """What was found of the records that no purge has marked; keys are examples, empty for none.

    `homes` are the shards that are relied on (by id) and their marks of that moment.
    """

    shard_id: str
    class_name: str
    mark: str
    homeless: int = 0
    homeless_key: str = ""
    waiting_key: str = ""
    homes: dict[str, str] = field(default_factory=dict[str, str])


def prove(store: Store, shard: CatalogShard, number: int) -> Proof:
    """Look for every record of a vacated shard, which the index has followed, in other shards.

    FsdError when nobody can tell now what is in the shard.
    """
    scan = footer_of(store, shard, BACKGROUND)
    if scan is None:
        raise FsdError(f"the footer of shard {shard.shard_id} cannot be read; it is kept")
    with store.lock:
        proof = Proof(shard.shard_id, shard.class_name, shard.mark)
        purged = shard.purged_records()
    entries = iterate_entries(scan.entries)
    living = (entry for entry in entries if not purged.has(entry.offset, entry.key))
    left = joined(store, shard, living, in_doubt=RECORD_BATCH_PART)
    while piece := list(islice(left, PIECE_RECORDS)):
        found = find_homes(store, shard.class_name, piece, {number})
        for entry in piece:
            home = found.safe.get(entry) or found.waiting.get(entry)
            if home is None:
                proof.homeless += 1
                proof.homeless_key = entry.key.hex()
                continue
            proof.homes[home.shard_id] = home.mark
            if entry not in found.safe:
                proof.waiting_key = entry.key.hex()
    return proof


def weakest(store: Store, proof: Proof) -> Worth:
    """Return what a proof is worth by now, without reading anything; NONE asks for another."""
    with store.lock:
        shards = store.shards.state.shards
        shard, known = shards.get(proof.shard_id), [shards.get(one) for one in proof.homes]
    if proof.homeless or shard is None or shard.mark != proof.mark:
        return Worth.NONE
    worths = [Worth.WAITING if proof.waiting_key else Worth.SAFE]
    for other in known:
        if other is None or other.mark != proof.homes[other.shard_id]:
            return Worth.NONE
        worths.append(worth_of(store, proof.class_name, other))
    return min(worths)


@contextmanager
def _held(*locks: Lock) -> Generator[bool]:
    """Hold locks, and tell whether nobody else has one of them: housekeeping waits for nobody."""
    with ExitStack() as held:
        for lock in locks:
            if not lock.acquire(blocking=False):
                yield False
                return
            held.callback(lock.release)
        yield True


class Dropper:
    """Remembers since when each shard has been vacated; one thread calls `tick`."""

    def __init__(self, engine: EngineCore) -> None:
        self.engine = engine
        self._store = engine.store
        self._since: dict[str, float] = {}
        self._again: dict[str, float] = {}
        self._waits: dict[str, float] = {}
        self._alone_since: dict[str, float] = {}
        self._proofs: dict[str, Proof] = {}
        self.problems: dict[str, str] = {}

    def proof(self, shard_id: str) -> Proof | None:
        """Return the last proof of a vacated shard; `weakest` says what it is worth by now."""
        return self._proofs.get(shard_id)

    def tick(self) -> int:
        """Drop what has been vacated for long enough, a few at a time; returns how many.

        What is vacated since a moment ago is looked at at once: a shard that was given up wrongly
        counts again long before the grace is over.
        """
        waiting = {shard.shard_id for shard in vacated_shards(self._store)}
        self._since = {i: since for i, since in self._since.items() if i in waiting}
        self._again = {i: again for i, again in self._again.items() if i in waiting}
        self._waits = {i: wait for i, wait in self._waits.items() if i in waiting}
        self._proofs = {i: proof for i, proof in self._proofs.items() if i in waiting}
        self.problems = {i: why for i, why in self.problems.items() if i in waiting}
        now = time.monotonic()
        self._note_alone(now)
        due: list[str] = []
        for shard_id in waiting:
            if now - self._since.setdefault(shard_id, now) >= self._store.config.store.grace_s:
                due.append(shard_id)
            elif time.monotonic() - now < LOOK_S_MAX and self._lacks_proof(shard_id, now):
                self._try(self._look, shard_id)
        dropped = 0
        for shard_id in due[:DROPS_PER_ROUND_MAX]:
            if time.monotonic() - now >= LOOK_S_MAX:
                break
            dropped += self._try(self._drop_due, shard_id)
        return dropped

    def _note_alone(self, now: float) -> None:
        """Note since when no disk gives what shards wait for but the shards themselves."""
        alone = {
            shard_id
            for shard_id, proof in self._proofs.items()
            if not all(map(self._store.sound_copies, proof.homes))
        }
        self._alone_since = {one: self._alone_since.get(one, now) for one in alone}

    def _is_needed(self, shard_id: str, now: float) -> bool:
        since = self._alone_since.get(shard_id)
        return since is not None and now - since >= NEEDED_AFTER_S

    def _lacks_proof(self, shard_id: str, now: float) -> bool:
        proof = self._proofs.get(shard_id)
        if proof is not None and weakest(self._store, proof) >= Worth.WAITING:
            return self._is_needed(shard_id, now)
        return now >= self._again.get(shard_id, 0.0)

    def _try(self, act: Callable[[str], bool], shard_id: str) -> bool:
        try:
            return act(shard_id)
        except DrystoneError as error:
            self.problems[shard_id] = str(error)
            # At the end of the queue: what cannot go now must not keep the others.
            self._since[shard_id] = now = time.monotonic()
            wait_s = self._waits.get(shard_id, LOOK_AGAIN_S)
            self._again[shard_id] = now + wait_s
            grace_s = self._store.config.store.grace_s
            self._waits[shard_id] = max(LOOK_AGAIN_S, min(2 * wait_s, grace_s))
            return False

    def _look(self, shard_id: str) -> bool:
        # A compaction, which may take days, does not keep it waiting: it moves records, no more.
        with _held(self.engine.maintenance) as alone:
            return alone and self._prove(shard_id) is not None

    def _drop_due(self, shard_id: str) -> bool:
        """Drop a shard of which nothing is wanted; FsdError says why it cannot be now."""
        engine = self.engine
        claimed, alone = engine.replicator.claim(shard_id), _held(engine.maintenance, engine.moving)
        with claimed as shard, alone as is_alone:
            if not is_alone or shard is None or not shard.vacated:
                return False
            # First, since a proof reads much; one that is older has its files looked after.
            self._check_disks(shard)
            proof = self._prove(shard_id)
            if proof is not None:
                self._drop(shard, proof)
            elif shard.vacated:
                raise FsdError(f"the index has not followed shard {shard_id} yet")
            return proof is not None

    def _prove(self, shard_id: str) -> Proof | None:
        """Prove that all of the shard lives elsewhere, or revive it.

        None when it is revived, or nobody can tell before the index has followed. What the proof
        waits for is there, on disks that are away: till they are back the shard is kept.
        """
        store = self._store
        self._proofs.pop(shard_id, None)
        with store.lock:
            shard = store.shards.state.shards.get(shard_id)
            number = store.shards.numbers.get(shard_id)
        if shard is None or not shard.vacated or number is None or store.is_unfinished:
            return None
        with store.index.read() as reader:
            if reader.shard(number).dead_mark != shard.mark:
                return None
        is_needed = self._is_needed(shard_id, time.monotonic())
        proof = prove(store, shard, number)
        if proof.homeless or (is_needed and proof.waiting_key):
            if not self._knows_all_shards():
                raise FsdError(f"the index knows not all shards yet; shard {shard_id} is kept")
            self.revive(shard_id, proof)
            return None
        self._proofs[shard_id] = proof
        return proof

    def _knows_all_shards(self) -> bool:
        """Return whether the index has followed every shard that some disk has, here or not."""
        store = self._store
        with store.lock:
            sealed = [s for s in store.shards.state.shards.values() if s.sealed and s.disks]
            marks = {store.shards.numbers.get(s.shard_id): s.mark for s in sealed}
        with store.index.read() as reader:
            followed = {row.number: row.dead_mark for row in reader.shards()}
        return all(number is not None and followed.get(number) == m for number, m in marks.items())

    def revive(self, shard_id: str, proof: Proof) -> None:
        """Let a shard count again of which something lives nowhere else, or nothing gives it.

        Only for who holds the engine's `maintenance`.
        """
        store = self._store
        what = f"{proof.homeless} of its objects are in no other shard now"
        if not proof.homeless:
            what = "no disk gives the other shards that have its objects"
        store.disks.log.warning(
            "shard %s counts again: it was given up, and %s, such as %s",
            shard_id,
            what,
            proof.homeless_key or proof.waiting_key,
            extra=about("shard.revived", shard=shard_id),
        )
        store.catalog.append(("shard_revive", {"shard": shard_id}))
        # Barrier: its files stay, and get their copies again. A crash here leaves an index that
        # lacks it, which the roll-forward of the next start puts right.
        self.engine.on_barrier("revived")
        store.behind = True  # Should this fail, housekeeping does it; it makes the listings too.
        store.sought.clear()
        self.engine.wake()
        with store.lock:
            known = store.shards.state.shards.get(shard_id)
        if known is not None:
            project_shard(store, known)
        self.engine.on_barrier("revive indexed")

    def _check_disks(self, shard: CatalogShard) -> None:
        """Raise FsdError unless it is known what is purged, and all the files can be deleted."""
        store = self._store
        with store.lock:
            in_doubt = bool(shard.purges() & store.shards.state.purges.keys())
        if in_doubt:
            raise FsdError(f"a purge in shard {shard.shard_id} is in doubt; it waits")
        away = [i for i in shard.disks if (d := store.disks.disks.get(i)) is None or not d.readable]
        if away:
            raise FsdError(f"{len(away)} disks of shard {shard.shard_id} are away; it waits")

    def _drop(self, shard: CatalogShard, proof: Proof) -> None:
        store = self._store
        disks = store.disks.readable(list(shard.disks))
        # A salvage or a disk that leaves may take away what this relies on.
        with store.letting_go:
            if weakest(store, proof) < Worth.SAFE:
                key = proof.waiting_key or "something in it"
                raise FsdError(
                    f"{key} is still needed in shard {shard.shard_id}: the other shard that has it "
                    "has too few sound copies now, or has changed; it waits"
                )
            try:
                store.catalog.append(("shard_drop", {"shard": shard.shard_id}))
            except DrystoneError:
                with store.lock:
                    holds = shard.shard_id not in store.shards.state.shards
                if not holds:
                    raise
        # Barrier: nothing counts on the shard any more. A crash leaves files of a dropped shard,
        # which the next start deletes.
        self.engine.on_barrier("drop written")
        with store.index.write() as writer:
            row = writer.shard(store.shards.numbers[shard.shard_id])
            writer.delete_shard(row)
        self.engine.on_barrier("drop indexed")
        for disk in disks:
            try:
                disk.request("remove_shard", shard.shard_id, priority=BACKGROUND).result()
            except DrystoneError as error:
                store.disks.note_error(disk, error, writing=True)
        with store.lock:
            for disk in disks:
                store.shards.lost.discard((shard.shard_id, disk.disk_id))
                store.shards.suspect.discard((shard.shard_id, disk.disk_id))
        self.engine.on_barrier("dropped")
