"""Purge: it owns deleting a batch, or single objects, for good; what else refers to them stays.

    look      all candidates, all references               nothing is changed, everything goes on
    decide    alone with the references: look again, find every record of what is left
    begin     purge_begin, purge_mark in the catalog of EVERY disk
    commit    purge_commit in the catalog
    follow    the index forgets the records and the batch

Every disk has to know of the marks before they count: an engine that starts with few disks must
not take a dead record for a stored one. Bytes go later: a shard with nothing left is dropped after
the grace (`compact_drop`), the others become garbage for a compaction.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from base.errors import DrystoneError
from base.text import count_text
from fsd.delete.compact_drop import Dropper
from fsd.delete.compact_plan import vacated_shards
from fsd.delete.purge_check import check_disks, check_index, check_settled, settle_purges
from fsd.delete.purge_keys import KEYS, KeyMarking
from fsd.delete.purge_marking import Marking
from fsd.delete.purge_vacated import revive_needed
from fsd.documents.purge_models import PurgeRequest
from fsd.format.catalog import CatalogShard
from fsd.format.errors import NotFoundError, PurgeRefusedError
from fsd.format.purge_marks import EVERY_RECORD, pack_offsets
from fsd.repair.index_heal import check_places
from fsd.repair.projection import HIDDEN_PREFIX, project
from fsd.running.engine_core import EngineCore
from fsd.store.index import IndexReader, Location
from fsd.store.job import Job
from fsd.store.purge_place import unplace

MARK_BYTES_MAX = 1 << 20
KEPT_LISTED_MAX = 200
PROJECTIONS_MAX = 3
LOOKS_MAX = 3
BARRIERS = ("decided", "begun", "committed", "followed")

Records = dict[str, list[tuple[bytes, Location]]]


def purge(dropper: Dropper, request: PurgeRequest) -> Job:
    """Start deleting a batch, or (dry run) telling what would go and what stays, and why."""
    if request.keys:
        return _purge_keys(dropper, request)
    assert request.batch is not None
    return _purge_batch(dropper, request.batch, request)


def _purge_keys(dropper: Dropper, request: PurgeRequest) -> Job:
    engine = dropper.engine
    keys = sorted({bytes.fromhex(key) for key in request.keys})

    def work(job: Job) -> dict[str, Any]:
        mark = lambda: KeyMarking(engine.store, engine.references, keys, job)  # noqa: E731
        run = PurgeRun(dropper, KEYS, job, mark)
        return run.look() if request.dry_run else run.delete()

    what = count_text(len(keys), "object")
    return engine.start_job("purge", what, work, subject="a purge of single objects")


def _purge_batch(dropper: Dropper, batch: str, request: PurgeRequest) -> Job:
    engine = dropper.engine
    if not _is_known(engine, batch):
        engine.store.refuse_unfinished()
    # It may have waited there for an index that knows it.
    if not _is_known(engine, batch):
        raise NotFoundError(f"there is no batch {batch}; `drystone ls` lists them")

    def work(job: Job) -> dict[str, Any]:
        run = PurgeRun(dropper, batch, job)
        return run.look() if request.dry_run else run.delete()

    # The subject is that of a put: a batch that is being written is not purged, and the reverse.
    return engine.start_job("purge", batch, work, subject=f"batch {batch}")


def _is_known(engine: EngineCore, batch: str) -> bool:
    with engine.store.index.read() as reader:
        return reader.batch(batch) is not None and not batch.startswith(HIDDEN_PREFIX)


class PurgeRun:
    """One purge; `mark` makes what says what may go, by default all that the batch has."""

    def __init__(
        self, dropper: Dropper, batch: str, job: Job, mark: Callable[[], Marking] | None = None
    ) -> None:
        self._dropper = dropper
        self._engine = engine = dropper.engine
        self._store = engine.store
        self._batch = batch
        self._job = job
        self._mark = mark or (lambda: Marking(engine.store, engine.references, batch, job))
        self._marking = self._mark()

    def look(self) -> dict[str, Any]:
        """Find out what would go, changing nothing."""
        self._look()
        self._marking.mark_others()
        with self._store.index.read() as reader:
            self._marking.keep_held(self._engine.claims.held_among(self._marking.candidates))
            return self._result(reader, self._marking.records(reader))

    def delete(self) -> dict[str, Any]:
        """Delete the batch and what only it refers to."""
        engine, job = self._engine, self._job
        # One at a time: of two batches that share an object the second one to go takes it along.
        job.phase = "waiting for another purge"
        with engine.references.purging(job):
            for _ in range(LOOKS_MAX):
                self._settle()
                self._look()
                job.phase = "waiting for views and exports that are being made"
                alone = engine.references.alone(job)
                with alone, job.holding(engine.maintenance), job.holding(engine.moving):
                    job.phase = "deciding"
                    self._know_everything()
                    if not revive_needed(self._dropper, job):
                        try:
                            return self._decide()
                        finally:
                            engine.claims.pardon()
                            engine.wake()
                # What counts again may have more of this batch, or of others: all is looked at.
                self._marking = self._mark()
        raise PurgeRefusedError(
            "compacted shards count again, one after the other, since what they have is in no "
            "other shard now; ask again, and see drystone warnings"
        )

    def _settle(self) -> None:
        """Let what may be wanted count again before the look, which would miss it.

        Lists of files in compacted shards, and what another purge left in doubt.
        """
        engine, job = self._engine, self._job
        with self._store.lock:
            in_doubt = bool(self._store.shards.state.purges)
        if in_doubt or vacated_shards(self._store):
            job.phase = "looking at compacted shards and purges in doubt"
            with job.holding(engine.maintenance), job.holding(engine.moving):
                self._know_everything()
                revive_needed(self._dropper, job)

    def _know_everything(self) -> None:
        check_disks(self._store)
        # What is in doubt counts for nobody now, and may be shown again later: its batches name
        # what others name too.
        if settle_purges(self._store):
            self._store.behind = True  # For the listings of what is shown again.
        check_settled(self._store)
        for tries_left in reversed(range(PROJECTIONS_MAX)):
            self._engine.seal_and_project()
            try:
                check_index(self._store)
                return
            except PurgeRefusedError:
                # A put may have sealed a shard in between.
                if not tries_left:
                    raise

    def _look(self) -> None:
        self._job.phase = "reading what the batch refers to"
        check_disks(self._store)
        self._marking.collect()
        self._job.phase = "reading what everything else refers to"
        with self._store.index.read() as reader:
            self._marking.mark_batches(reader)
        self._marking.look_into_vacated()
        self._job.phase = "comparing the index with the shards"
        # A wrong place would be marked as dead: it may be that of another batch's record.
        check_places(self._store, self._marking.candidates, self._job, counted=True)

    def _decide(self) -> dict[str, Any]:
        marking, claims = self._marking, self._engine.claims
        # What a running put has decided to refer to stays; from here on nothing that is left is
        # taken for stored: it is written anew, beyond the reach of the marks.
        marking.keep_held(claims.held_among(marking.candidates))
        with claims.doom(marking.candidates) as reader:
            marking.check_parts(reader)
            marking.mark_batches(reader)
            marking.mark_others()
            records = marking.records(reader)
            result = self._result(reader, records)
            marking.look_into_vacated()
            marks = {**marking.vacated_marks(), **self._marks(reader, records)}
        if marking.is_empty():
            return result
        self._engine.on_barrier("decided")
        self._commit(marks, records)
        return result

    def _commit(self, marks: Mapping[str, str], records: Records) -> None:
        store, catalog = self._store, self._store.catalog
        purge = os.urandom(8).hex()
        entry = {"purge": purge}
        entries = self._marking.entries(purge)
        entries += [("purge_mark", {**entry, "shards": some}) for some in _chunks(marks)]
        self._check_again()
        try:
            catalog.append(
                ("purge_begin", {**entry, "batch": self._batch}), *entries, everywhere=True
            )
        except DrystoneError as error:
            # Some disks have it. Whether or not this word reaches them, it was never committed.
            with contextlib.suppress(DrystoneError):
                catalog.append(("purge_void", entry))
            raise PurgeRefusedError(f"nothing was purged: {error}") from error
        # Barrier: a crash here leaves a purge in doubt; the next start that sees all disks gives
        # it up, and the batch is whole again.
        self._engine.on_barrier("begun")
        try:
            catalog.append(("purge_commit", {**entry, **self._ended()}))
            # Barrier: from here on it has happened. A crash leaves an index that still knows the
            # records; the roll-forward of the next start makes it forget them.
            self._engine.on_barrier("committed")
        finally:
            # Also when it was refused: it holds where any disk took it, else it is in doubt, which
            # means hidden.
            self._follow(records)
        self._engine.on_barrier("followed")
        with store.lock:
            assert purge not in store.shards.state.purges

    def _check_again(self) -> None:
        """Refuse where a disk joined since it was looked at, with shards that nobody looked into.

        They are on no disk by the catalog, and yet found: neither marks nor keys would reach them.
        """
        try:
            check_disks(self._store)
            check_index(self._store)
        except PurgeRefusedError as error:
            raise PurgeRefusedError(
                f"nothing was purged, something changed meanwhile; ask again: {error}"
            ) from error

    def _ended(self) -> dict[str, list[str]]:
        """Return the shards that nobody writes and that could not be sealed: who had them is gone.

        What they have of the batch is of the one that is purged, should they come back.
        """
        with self._store.lock:
            shards, writing = self._store.shards.state.shards, self._store.shards.writing
            ended = sorted(i for i, one in shards.items() if not one.sealed and i not in writing)
        return {"ended": ended} if ended else {}

    def _follow(self, records: Records) -> None:
        """Make the index forget the records, one shard after the other, then the batch."""
        store = self._store
        self._job.phase = "forgetting"
        self._job.expect(len(records))
        store.behind = True  # Should this fail, housekeeping does it.
        for shard_id, dead in records.items():
            with store.lock:
                shard, number = store.shards.state.shards[shard_id], store.shards.numbers[shard_id]
                mark = shard.mark
                store.shards.retaken |= {shard_id} & store.shards.writing
            with store.index.write() as writer:
                for key, location in dead:
                    unplace(store, writer, key, location)
                row = writer.shard(number)
                row.dead_bytes += sum(location.length_bytes for _, location in dead)
                # A shard that is still open is projected once more when it is sealed, all of it:
                # should the purge be voided, the mark will not tell.
                row.dead_mark = mark if row.sealed else row.dead_mark
                row.placed_bytes = row.placed_bytes if row.sealed else 0
                writer.put_shard(row)
            self._job.advance(1, 0)
        project(store)

    def _marks(self, reader: IndexReader, records: Records) -> dict[str, str]:
        """Return the mark of every shard that loses records: all of it, or their offsets."""
        marks: dict[str, str] = {}
        for shard_id, dead in records.items():
            with self._store.lock:
                shard = self._store.shards.state.shards[shard_id]
            offsets = [location.offset for _, location in dead]
            whole = self._empties(reader, shard, len(offsets))
            marks[shard_id] = EVERY_RECORD if whole else pack_offsets(offsets)
        return marks

    def _empties(self, reader: IndexReader, shard: CatalogShard, count: int) -> bool:
        """Return whether so many more dead records leave nothing alive in a sealed shard."""
        if not shard.sealed:
            return False
        row = reader.shard(self._store.shards.numbers[shard.shard_id])
        return count + len(shard.dead_records().offsets) >= row.object_count

    def _result(self, reader: IndexReader, records: Records) -> dict[str, Any]:
        marking, store = self._marking, self._store
        with store.lock:
            shards = {shard_id: store.shards.state.shards[shard_id] for shard_id in records}
        whole = [i for i, dead in records.items() if self._empties(reader, shards[i], len(dead))]
        kept = sorted(marking.kept.items(), key=lambda one: -one[1].objects)
        for holder, one in kept[:KEPT_LISTED_MAX]:
            counts = {"objects": one.objects, "size_bytes": one.size_bytes}
            self._job.report({"status": "stays", "holder": holder, **counts})
        dead_bytes = sum(location.length_bytes for dead in records.values() for _, location in dead)
        return {
            "batch": self._batch,
            "files": marking.files,
            "purged_objects": len(marking.candidates),
            "purged_bytes": sum(marking.candidates.values()),
            "lost_parts": marking.lost_parts,
            "kept_objects": sum(one.objects for _, one in kept),
            "kept_bytes": sum(one.size_bytes for _, one in kept),
            "dropped_shards": len(whole),
            "dropped_bytes": sum(shards[i].length_bytes * len(shards[i].disks) for i in whole),
            "garbage_shards": len(records) - len(whole),
            "garbage_bytes": dead_bytes
            - sum(loc.length_bytes for i in whole for _, loc in records[i]),
            **marking.told(),
        }


def _chunks(marks: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Split the marks so that no catalog entry becomes huge."""
    chunk: dict[str, str] = {}
    size = 0
    for shard_id, mark in marks.items():
        if chunk and size + len(mark) > MARK_BYTES_MAX:
            yield chunk
            chunk, size = {}, 0
        chunk[shard_id] = mark
        size += len(mark) + len(shard_id)
    if chunk:
        yield chunk
