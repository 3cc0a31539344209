"""Dropping vacated shards: it owns the grace, the last look, and the deletion of their files.

A vacated shard (purged whole, or compacted) stays readable for those who found a record in it
before: an export that runs, a reader of the mount. The grace is counted in the engine's uptime, so
that a machine that was switched off for a week does not delete at its first breath.

    last look -> shard_drop in the catalog -> index -> the files are deleted
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fsd.catalog import CatalogShard
from fsd.errors import FsdError
from fsd.record import iterate_entries
from fsd.recover import footer_of
from fsd.replicate import BACKGROUND

if TYPE_CHECKING:
    from fsd.engine import Engine

DROPS_PER_ROUND_MAX = 64
BARRIERS = ("drop written", "drop indexed", "dropped")


class Dropper:
    """Remembers since when each shard has been vacated; one thread calls `tick`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._since: dict[str, float] = {}
        self.problems: dict[str, str] = {}

    def waiting(self) -> list[CatalogShard]:
        """Return the vacated shards, whose files are still there."""
        with self._store.lock:
            return [s for s in self._store.shards.state.shards.values() if s.vacated]

    def tick(self) -> int:
        """Drop what has been vacated for long enough, a few at a time; returns how many."""
        waiting = {shard.shard_id for shard in self.waiting()}
        self._since = {i: since for i, since in self._since.items() if i in waiting}
        self.problems = {i: why for i, why in self.problems.items() if i in waiting}
        now = time.monotonic()
        due: list[str] = []
        for shard_id in waiting:
            if now - self._since.setdefault(shard_id, now) >= self._store.config.store.grace_s:
                due.append(shard_id)
        return sum(self._try(shard_id) for shard_id in due[:DROPS_PER_ROUND_MAX])

    def _try(self, shard_id: str) -> bool:
        if not self._engine.moving.acquire(blocking=False):
            return False  # A compaction works; housekeeping does not wait for it.
        try:
            with self._engine.replicator.claim(shard_id) as shard:
                if shard is None or not shard.vacated:
                    return False
                self._look_again(shard)
                self._drop(shard)
                return True
        except FsdError as error:
            self.problems[shard_id] = str(error)
            # At the end of the queue: what cannot go now must not keep the others.
            self._since[shard_id] = time.monotonic()
            return False
        finally:
            self._engine.moving.release()

    def _look_again(self, shard: CatalogShard) -> None:
        """Raise FsdError unless nothing is found in the shard, and all its files can be deleted."""
        store = self._store
        with store.lock:
            number = store.shards.numbers.get(shard.shard_id)
            in_doubt = any(purge in shard.marks for purge in store.shards.state.purges)
        if number is None or in_doubt:
            raise FsdError(f"shard {shard.shard_id} is not in the index, or a purge is in doubt")
        away = [i for i in shard.disks if (d := store.disks.disks.get(i)) is None or not d.readable]
        if away:
            raise FsdError(f"{len(away)} disks of shard {shard.shard_id} are away; it waits")
        scan = footer_of(store, shard, BACKGROUND)
        if scan is None:
            raise FsdError(f"the footer of shard {shard.shard_id} cannot be read; it is kept")
        with store.index.read() as reader:
            if reader.shard(number).dead_mark != shard.mark:
                raise FsdError(f"the index has not followed shard {shard.shard_id} yet")
            for entry in iterate_entries(scan.entries):
                found = reader.locate(entry.key)
                if found is not None and found.shard_number == number:
                    raise FsdError(f"{entry.key.hex()} is still found in shard {shard.shard_id}")

    def _drop(self, shard: CatalogShard) -> None:
        store = self._store
        disks = store.disks.readable(list(shard.disks))
        store.catalog.append(("shard_drop", {"shard": shard.shard_id}))
        # Barrier: nothing counts on the shard any more. A crash leaves files of a dropped shard,
        # which the next start deletes.
        self._engine.on_barrier("drop written")
        with store.index.write() as writer:
            row = writer.shard(store.shards.numbers[shard.shard_id])
            writer.delete_shard(row)
        self._engine.on_barrier("drop indexed")
        for disk in disks:
            try:
                disk.request("remove_shard", shard.shard_id, False, priority=BACKGROUND).result()
            except FsdError as error:
                store.disks.note_error(disk, error, writing=True)
        with store.lock:
            for disk in disks:
                store.shards.lost.discard((shard.shard_id, disk.disk_id))
                store.shards.suspect.discard((shard.shard_id, disk.disk_id))
        self._engine.on_barrier("dropped")
