"""Compaction: it owns writing what lives in shards with much garbage into fresh ones, as a job.

    collect    manifests that nobody refers to become garbage, see `collect`
    heal       the copies of a shard are made whole first
    copy       records that live nowhere else, proven, by the ordinary way of writing
    settle     the fresh shards are sealed, have all their copies, and the index knows them
    look       every living record of the old shards is found elsewhere, soundly
    vacate     shard_vacate in the catalog, then in the index
    (drop)     the files go after the grace, see `compact_drop`

A round takes shards that together fill about one fresh shard, alone with purges and drops: what is
purged while it is being copied would otherwise come back. Cut off anywhere, the old shards stay as
they were, and what was copied is taken by the next round.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from base.errors import DrystoneError
from fsd.delete.collect import collect_manifests
from fsd.delete.compact_copy import Copier, proven_records
from fsd.delete.compact_plan import Garbage, Victim, find_garbage, group_rounds
from fsd.delete.compact_proof import batch_parts
from fsd.documents.purge_models import CompactPlan
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CancelledError, CorruptError, NoReplicaError
from fsd.format.record import RECORD_BATCH_PART, Entry, iterate_entries
from fsd.repair.index_heal import check_places
from fsd.repair.recover import footer_of, project_shard
from fsd.replicas.replicate import BACKGROUND
from fsd.store.index import IndexReader, Location
from fsd.store.job import Job
from fsd.store.joined_parts import joined
from fsd.store.purge_place import live_shard, places_of

if TYPE_CHECKING:
    from fsd.engine.engine import Engine

COMPACT = "compact"
GIVE_WAY_S_MAX = 20.0
GIVE_WAY_STEP_S = 0.2
BARRIERS = ("copied", "settled", "vacated", "vacate indexed")


def plan(engine: Engine, dead_share: float | None) -> CompactPlan:
    """Tell what a compaction would copy and free."""
    found = _find_garbage(engine, dead_share)
    waiting = engine.dropper.waiting()
    return CompactPlan(
        shards=len(found.victims),
        shard_bytes=sum(victim.length_bytes for victim in found.victims),
        live_bytes=sum(victim.live_bytes for victim in found.victims),
        garbage_bytes=sum(victim.garbage_bytes for victim in found.victims),
        store_garbage_bytes=found.total_bytes,
        waiting_shards=len(waiting),
        waiting_bytes=sum(shard.length_bytes * len(shard.disks) for shard in waiting),
    )


def compact(engine: Engine, dead_share: float | None) -> Job:
    """Start compacting; cancelled or killed, it goes on with the same command again."""

    def work(job: Job) -> dict[str, Any]:
        collected = collect_manifests(engine, job)
        job.phase = "planning"
        job.done_files = job.done_bytes = job.total_files = job.total_bytes = 0
        engine.seal_and_project(job)
        victims = _find_garbage(engine, dead_share).victims
        job.expect(len(victims), sum(victim.live_bytes for victim in victims))
        run = _Run(engine, job)
        for some in group_rounds(victims, engine.config.store.shard_size_bytes):
            run.give_way()
            run.round(some)
        engine.wake()
        counts = {**run.result, "collected_manifests": collected}
        return {**counts, "incomplete": run.result["skipped"] > 0}

    return engine.start_job(COMPACT, "", work, subject="the garbage of the shards")


def _find_garbage(engine: Engine, dead_share: float | None) -> Garbage:
    share = engine.config.store.compact_dead_share if dead_share is None else dead_share
    # What is damaged in these on every disk is garbage: no copy can be made of them.
    return find_garbage(engine.store, share, engine.replicator.mender.deleted_only())


class _Run:
    """One compaction: its rounds, what they freed and what they left out."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine = engine
        self._store = engine.store
        self._job = job
        self.result = {"compacted": 0, "copied_bytes": 0, "freed_bytes": 0, "skipped": 0}

    def give_way(self) -> None:
        """Let other jobs go first, for a while: a store that is never idle is compacted too."""
        deadline = time.monotonic() + GIVE_WAY_S_MAX
        self._job.phase = "giving way to other jobs"
        while time.monotonic() < deadline:
            self._job.check()
            if all(job is self._job for job in self._engine.jobs.running()):
                return
            time.sleep(GIVE_WAY_STEP_S)

    def round(self, victims: Sequence[Victim]) -> None:
        """Compact some shards; those that cannot be are left as they are."""
        self._job.check()
        self._job.phase = "compacting"
        with self._job.holding(self._engine.moving):
            chosen = [(v, shard) for v in victims if (shard := self._heal(v)) is not None]
            work = _Round(self._engine, self._job, chosen)
            try:
                done = work.run()
            except CancelledError:
                raise
            except DrystoneError as error:
                for victim, _ in chosen:
                    self._skip(victim, str(error))
                return
        for victim, shard in chosen:
            reason = work.damaged.get(victim.shard_id)
            if reason is not None or victim.shard_id not in done:
                self._skip(victim, reason or "it has changed meanwhile")
                continue
            self.result["compacted"] += 1
            self.result["freed_bytes"] += victim.length_bytes * len(shard.disks)
            self._job.advance(1, 0)
        self.result["copied_bytes"] += work.copied_bytes

    def _skip(self, victim: Victim, reason: str) -> None:
        self.result["skipped"] += 1
        self._job.report({"shard": victim.shard_id, "reason": reason})

    def _heal(self, victim: Victim) -> CatalogShard | None:
        """Return the shard when it is whole and all that may be known of it is known."""
        try:
            shard = heal(self._engine, victim.shard_id, self._job)
        except CancelledError:
            raise
        except DrystoneError as error:
            self._skip(victim, f"its copies cannot be made whole: {error}")
            return None
        with self._store.lock:
            doubtful = self._store.shards.state.purges.keys()
            if shard is None or shard.vacated or doubtful & shard.marks.keys():
                shard = None
        if shard is None:
            self._skip(victim, "it is gone, or a purge of it is in doubt")
        return shard


def heal(engine: Engine, shard_id: str, job: Job) -> CatalogShard | None:
    """Give a sealed shard all its copies; None when there is none of this id."""
    with engine.replicator.claim(shard_id, job) as shard:
        while shard is not None:
            wanted = engine.config.copies(shard.class_name)
            if engine.store.sound_copies(shard_id) >= wanted:
                break
            try:
                engine.replicator.copy(shard, job, counted=False)
            except NoReplicaError:
                if shard_id not in engine.replicator.mender.deleted_only():
                    raise
                # All that lives in it is read, each record from where it is sound.
                break
        return shard


class _Round:
    """One round over healed shards of one class; `moving` is held."""

    def __init__(
        self, engine: Engine, job: Job, chosen: Sequence[tuple[Victim, CatalogShard]]
    ) -> None:
        self._engine = engine
        self._store = engine.store
        self._job = job
        self._shards = {victim.number: shard for victim, shard in chosen}
        self._planned_bytes = {victim.number: victim.live_bytes for victim, _ in chosen}
        self._copies: dict[str, int] = {}
        self._parts: dict[int, set[int]] = {}
        self.damaged: dict[str, str] = {}
        self.copied_bytes = 0

    def run(self) -> set[str]:
        """Do the round; returns the ids of the shards that are vacated."""
        living = {number: self._living(shard) for number, shard in self._shards.items()}
        for number in [number for number in living if self._is_damaged(number)]:
            del living[number]
        if not living:
            return set()
        # A wrong place would be taken for a record that lives elsewhere, and the right one dropped.
        keys = (entry.key for entries in living.values() for entry in entries)
        check_places(self._store, keys, self._job, besides=self._shards)
        fresh = self._copy(living)
        self._engine.on_barrier("copied")
        self._settle(fresh)
        # Barrier: the copies are sealed, whole and indexed as spares. A crash here leaves the old
        # shards as they were; the next round finds the spares and copies nothing again.
        self._engine.on_barrier("settled")
        return self._vacate(living)

    def _is_damaged(self, number: int) -> bool:
        return self._shards[number].shard_id in self.damaged

    def _living(self, shard: CatalogShard) -> list[Entry]:
        scan = footer_of(self._store, shard, BACKGROUND)
        if scan is None:
            self.damaged[shard.shard_id] = "no replica gives its footer"
            return []
        dead = shard.dead_records()
        entries = (entry for entry in iterate_entries(scan.entries) if entry.offset not in dead)
        return list(joined(self._store, shard, entries, in_doubt=RECORD_BATCH_PART))

    def _copy(self, living: dict[int, list[Entry]]) -> list[str]:
        """Copy what lives nowhere else; shards that give something up are left out of `living`."""
        shards = list(self._shards.values())
        copier = Copier(self._store, self._engine.shard_writer, shards[0].class_name)
        try:
            for number in list(living):
                shard = self._shards[number]
                try:
                    self._copy_shard(copier, number, shard, living[number])
                except (NoReplicaError, CorruptError) as error:
                    self.damaged[shard.shard_id] = str(error)
                    del living[number]
            copier.finish()
        finally:
            copier.close()
            self._index(copier.sealed)
        return copier.sealed

    def _copy_shard(
        self, copier: Copier, number: int, shard: CatalogShard, entries: list[Entry]
    ) -> None:
        self._learn_parts(entries)
        with self._store.index.read() as reader:
            needed = [e for e in entries if not self._is_safe(reader, shard, e)]
        # Some of it lives elsewhere.
        needed_bytes = sum(entry.length_bytes for entry in needed)
        self._job.expect(0, needed_bytes - self._planned_bytes[number])
        for entry, payload in proven_records(self._store, shard, number, needed):
            self._job.check()
            copier.add(entry, payload)
            self.copied_bytes += entry.length_bytes
            self._job.advance(0, entry.length_bytes)

    def _index(self, fresh: list[str]) -> None:
        """Let the index know the fresh records, as spares: also when the round is cut off."""
        for shard_id in fresh:
            with self._store.lock:
                shard = self._store.shards.state.shards.get(shard_id)
            if shard is not None and shard.sealed:
                with contextlib.suppress(DrystoneError):  # The roll-forward looks again.
                    project_shard(self._store, shard)

    def _settle(self, fresh: list[str]) -> None:
        for shard_id in fresh:
            heal(self._engine, shard_id, self._job)

    def _vacate(self, living: dict[int, list[Entry]]) -> set[str]:
        """Give up the shards of which everything is found elsewhere now."""
        store, self._copies = self._store, {}
        for entries in living.values():
            self._learn_parts(entries)
        # A salvage may be about to give up a shard, and to rely on one of these.
        with store.letting_go:
            with store.index.read() as reader:
                empty = [
                    self._shards[number]
                    for number, entries in living.items()
                    if all(self._is_safe(reader, self._shards[number], e) for e in entries)
                ]
            if not empty:
                return set()
            store.catalog.append(*[("shard_vacate", {"shard": shard.shard_id}) for shard in empty])
        # Barrier: a crash here leaves an index that points into the old shards, which are still
        # there; the roll-forward of the next start points it at the fresh ones.
        self._engine.on_barrier("vacated")
        for shard in empty:
            project_shard(store, shard)
        self._engine.on_barrier("vacate indexed")
        return {shard.shard_id for shard in empty}

    def _learn_parts(self, entries: Iterable[Entry]) -> None:
        """Learn where the contents of batch parts lie as batch parts; footers alone tell that.

        Somebody may have stored a file of the same bytes, and a reindex takes that for no part.
        """
        keys = [entry.key for entry in entries if entry.flags == RECORD_BATCH_PART]
        with self._store.index.read() as reader:
            numbers = {place.shard_number for key in keys for place in places_of(reader, key)}
        for number in numbers - self._shards.keys() - self._parts.keys():
            with self._store.lock:
                shard_id = self._store.shards.ids.get(number, "")
                other = self._store.shards.state.shards.get(shard_id)
            parts = None if other is None else batch_parts(self._store, other)
            if parts is not None:
                self._parts[number] = parts

    def _is_safe(self, reader: IndexReader, shard: CatalogShard, entry: Entry) -> bool:
        """Return whether a record of the content lives outside of this round, with its copies.

        It is a batch part where this one is.
        """
        places = places_of(reader, entry.key)
        if entry.flags == RECORD_BATCH_PART:
            places = [one for one in places if one.offset in self._parts.get(one.shard_number, ())]
        return any(self._holds(location, shard.class_name) for location in places)

    def _holds(self, location: Location, class_name: str) -> bool:
        if location.shard_number in self._shards:
            return False
        # None where its shard was vacated, too: that one is about to go.
        other = live_shard(self._store, location)
        if other is None or not other.sealed or (class_name == "raw" != other.class_name):
            return False
        copies = self._copies.get(other.shard_id)
        if copies is None:
            copies = self._copies[other.shard_id] = self._store.sound_copies(other.shard_id)
        return copies >= self._store.ack_copies(other.class_name)
