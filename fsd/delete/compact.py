"""Compaction: it owns writing what lives in shards with much garbage into fresh ones, as a job.

Many small shards are written together in the same way.

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
import hashlib
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

from base.errors import DrystoneError
from fsd.delete.collect import collect_manifests
from fsd.delete.compact_drop import Dropper
from fsd.delete.compact_plan import (
    Garbage,
    Victim,
    find_garbage,
    group_rounds,
    vacated_shards,
)
from fsd.disk_io.extract.extract import check_record
from fsd.disk_io.extract.extract_windows import Item, plan_windows
from fsd.documents.purge_models import CompactPlan
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CancelledError, CorruptError, NoReplicaError
from fsd.format.record import RECORD_BATCH_PART, Entry, iterate_entries
from fsd.ingest.repacker import Repacker
from fsd.process.slots import Slot
from fsd.repair.elsewhere import are_safe, find_homes
from fsd.repair.index_heal import check_places
from fsd.repair.recover import footer_of, project_shard
from fsd.replicas.replicate import BACKGROUND
from fsd.running.engine_core import EngineCore
from fsd.store.index import Location
from fsd.store.job import Job
from fsd.store.joined_parts import joined
from fsd.store.read import read_record
from fsd.store.read_errors import note_read_error
from fsd.store.store import Store

COMPACT = "compact"
GIVE_WAY_S_MAX = 20.0
GIVE_WAY_STEP_S = 0.2
BARRIERS = ("copied", "settled", "vacated", "vacate indexed")


def plan(engine: EngineCore, dead_share: float | None) -> CompactPlan:
    """Tell what a compaction would copy and free."""
    found = _find_garbage(engine, dead_share)
    waiting = vacated_shards(engine.store)
    small = [victim for some in found.small for victim in some]
    return CompactPlan(
        shards=len(found.victims),
        small_shards=len(small),
        small_bytes=sum(victim.live_bytes for victim in small),
        shard_bytes=sum(victim.length_bytes for victim in found.victims),
        live_bytes=sum(victim.live_bytes for victim in found.victims),
        garbage_bytes=sum(victim.garbage_bytes for victim in found.victims),
        store_garbage_bytes=found.total_bytes,
        waiting_shards=len(waiting),
        waiting_bytes=sum(shard.length_bytes * len(shard.disks) for shard in waiting),
    )


def compact(dropper: Dropper, dead_share: float | None) -> Job:
    """Start compacting; cancelled or killed, it goes on with the same command again."""
    engine = dropper.engine

    def work(job: Job) -> dict[str, Any]:
        collected = collect_manifests(dropper, job)
        job.phase = "planning"
        job.done_files = job.done_bytes = job.total_files = job.total_bytes = 0
        engine.seal_and_project(job)
        found = _find_garbage(engine, dead_share)
        victims, small = found.victims, found.small
        worth = [*victims, *(victim for some in small for victim in some)]
        job.expect(len(worth), sum(victim.live_bytes for victim in worth))
        run = _Run(engine, job)
        for some in group_rounds(victims, engine.config.store.shard_size_bytes):
            run.give_way()
            run.round(some)
        for some in small:
            run.give_way()
            run.round(some, merged=True)
        engine.wake()
        counts = {**run.result, "collected_manifests": collected}
        return {**counts, "incomplete": run.result["skipped"] > 0}

    return engine.start_job(COMPACT, "", work, subject="the garbage of the shards")


def _find_garbage(engine: EngineCore, dead_share: float | None) -> Garbage:
    share = engine.config.store.compact_dead_share if dead_share is None else dead_share
    # What is damaged in these on every disk is garbage: no copy can be made of them.
    return find_garbage(engine.store, share, engine.replicator.reconstructor.deleted_only())


class _Run:
    """One compaction: its rounds, what they freed and what they left out."""

    def __init__(self, engine: EngineCore, job: Job) -> None:
        self._engine = engine
        self._store = engine.store
        self._job = job
        counts = ("compacted", "merged", "copied_bytes", "freed_bytes", "skipped")
        self.result = dict.fromkeys(counts, 0)

    def give_way(self) -> None:
        """Let other jobs go first, for a while: a store that is never idle is compacted too."""
        deadline = time.monotonic() + GIVE_WAY_S_MAX
        self._job.phase = "giving way to other jobs"
        while time.monotonic() < deadline:
            self._job.check()
            if all(job is self._job for job in self._engine.jobs.running()):
                return
            time.sleep(GIVE_WAY_STEP_S)

    def round(self, victims: Sequence[Victim], *, merged: bool = False) -> None:
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
            self.result["merged" if merged else "compacted"] += 1
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
            if shard is None or shard.vacated or doubtful & shard.purges():
                shard = None
        if shard is None:
            self._skip(victim, "it is gone, or a purge of it is in doubt")
        return shard


def heal(engine: EngineCore, shard_id: str, job: Job) -> CatalogShard | None:
    """Give a sealed shard all its copies; None when there is none of this id."""
    with engine.replicator.claim(shard_id, job) as shard:
        while shard is not None:
            wanted = engine.config.copies(shard.class_name)
            if engine.store.sound_copies(shard_id) >= wanted:
                break
            try:
                engine.replicator.copy(shard, job, counted=False)
            except NoReplicaError:
                if shard_id not in engine.replicator.reconstructor.deleted_only():
                    raise
                # All that lives in it is read, each record from where it is sound.
                break
        return shard


class _Round:
    """One round over healed shards of one class; `moving` is held."""

    def __init__(
        self, engine: EngineCore, job: Job, chosen: Sequence[tuple[Victim, CatalogShard]]
    ) -> None:
        self._engine = engine
        self._store = engine.store
        self._job = job
        self._shards = {victim.number: shard for victim, shard in chosen}
        self._planned_bytes = {victim.number: victim.live_bytes for victim, _ in chosen}
        self._class_name = chosen[0][1].class_name if chosen else ""
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
        entries = (e for e in iterate_entries(scan.entries) if not dead.has(e.offset, e.key))
        return list(joined(self._store, shard, entries, in_doubt=RECORD_BATCH_PART))

    def _copy(self, living: dict[int, list[Entry]]) -> list[str]:
        """Copy what lives nowhere else; shards that give something up are left out of `living`."""
        copier = Repacker(self._store, self._engine.shard_writer, self._class_name, is_placed=False)
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
        self, copier: Repacker, number: int, shard: CatalogShard, entries: list[Entry]
    ) -> None:
        safe = find_homes(self._store, self._class_name, entries, self._shards).safe
        needed = [entry for entry in entries if entry not in safe]
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
        store, everything = self._store, itertools.chain(*living.values())
        safe = find_homes(store, self._class_name, everything, self._shards).safe
        # A salvage may be about to give up a shard, and to rely on one of these.
        with store.letting_go:
            empty = [
                self._shards[number]
                for number, entries in living.items()
                if all(entry in safe for entry in entries)
                and are_safe(store, self._class_name, map(safe.__getitem__, entries))
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


def proven_records(
    store: Store, shard: CatalogShard, number: int, entries: Sequence[Entry]
) -> Iterator[tuple[Entry, bytes | memoryview]]:
    """Yield (entry, payload) by offset, each payload valid until the next; all are as written.

    NoReplicaError when a record is sound on no replica.
    """
    ordered = sorted(entries, key=lambda entry: entry.offset)
    items = [Item(entry.offset, entry.length_bytes, entry.key, ()) for entry in ordered]
    slot = store.pool.acquire()
    try:
        for window in plan_windows(items, slot.size_bytes):
            view = _read_window(store, shard, slot, window.start, window.end)
            for position in range(window.first, window.last):
                entry = ordered[position]
                payload = _from_view(shard, view, window.start, items[position])
                if payload is None:
                    location = Location(number, entry.offset, entry.length_bytes)
                    payload = _from_any(store, location, entry.key)
                yield entry, payload
    finally:
        store.pool.release(slot)


def _read_window(
    store: Store, shard: CatalogShard, slot: Slot, start: int, end: int
) -> memoryview | None:
    """Read a part of a shard from the best replica; None when that fails."""
    for disk in store.sound_replicas(shard.shard_id)[:1]:
        try:
            count = disk.request(
                "read_window",
                shard.shard_id,
                start,
                slot.number,
                0,
                end - start,
                slots=(slot,),
                priority=BACKGROUND,
            ).result()
            store.disks.note_success(disk, read_bytes=count)
            return slot.view[:count]
        except (DrystoneError, OSError) as error:
            note_read_error(store, disk, shard.shard_id, error)
    return None


def _from_view(
    shard: CatalogShard, view: memoryview | None, start: int, item: Item
) -> memoryview | None:
    if view is None:
        return None
    try:
        payload = check_record(view, item.offset - start, bytes.fromhex(shard.shard_id), item)
    except CorruptError:
        return None
    return payload if hashlib.sha256(payload).digest() == item.key else None


def _from_any(store: Store, location: Location, key: bytes) -> bytes:
    payload = read_record(store, location, key)
    if hashlib.sha256(payload).digest() != key:
        raise NoReplicaError(f"{key.hex()} does not match its sha256 on any disk", [key.hex()])
    return payload
