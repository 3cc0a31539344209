"""Purging single objects: it owns which of the chosen keys may go, and what names them.

Lists of files are objects that are never written again: those of the batches that name a key go on
naming it. So the catalog says which keys were purged, for whoever reads such a list (see
`purged_keys`), besides the marks, which alone say what is dead. Nobody could look into a shard that
only disks have that were declared gone, and that the index was made anew without; should one come
back, the keys are dead there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from fsd.compile.lost_parts import listed_files, open_listing, read_part
from fsd.compile.references import References
from fsd.delete.purge_check import is_found
from fsd.delete.purge_marking import Marking
from fsd.format.batch_part import parse_files
from fsd.format.purge_marks import pack_keys
from fsd.repair.projection import HIDDEN_PREFIX
from fsd.store.index import BatchRow, IndexReader
from fsd.store.job import Job
from fsd.store.purge_place import live_shard, places_of
from fsd.store.purged_keys import Entries, is_purged
from fsd.store.store import Store

KEYS = ".keys"
"""The name of the batch that the catalog calls purged; there never is one of this name."""
KEYS_PER_ENTRY_MAX = 20_000
LINES_MAX = 200


class KeyMarking(Marking):
    """Chosen keys, less those that something besides the batches of files refers to.

    Views, pins, copies and puts that run keep theirs; lists of files and stored manifests stay.
    """

    def __init__(
        self, store: Store, references: References, keys: Sequence[bytes], job: Job
    ) -> None:
        super().__init__(store, references, KEYS, job)
        self._keys = keys
        self._named: dict[str, set[bytes]] = {}
        self._unknown: list[bytes] = []
        self._purged_before = 0

    def collect(self) -> None:
        """Take the keys."""
        with self._store.index.read() as reader:
            for key in self._keys:
                place = reader.locate(key)
                self.candidates[key] = 0 if place is None else place.length_bytes
        self.files = len(self.candidates)

    def mark_batches(self, reader: IndexReader) -> None:
        """Find which batches name the keys, and leave out what is more than a file to one.

        A part that cannot be read, of a batch without a listing of it, may name any of them.
        """
        lists = [(row, reader.batch_parts(row.name)) for row in reader.batches()]
        self._job.expect(sum(part not in self._seen for _, parts in lists for part in parts))
        for row, parts in lists:
            lost = [p for p in parts if p not in self._seen and not self._mark_part(row.name, p)]
            if lost:
                self._name_lost(row, parts, lost)
                self._seen.update(lost)

    def _mark_part(self, batch: str, part: bytes) -> bool:
        self._job.check()
        self.keep(f"batch {batch}, whose list of files it is", (part,))
        data = read_part(self._store, part)
        self._job.advance(1, 0)
        if data is None:
            return False
        keys = {bytes.fromhex(file.key) for file in parse_files(data)}
        if batch.startswith(HIDDEN_PREFIX):
            self.keep(f"batch {batch}", keys)
        else:
            self._name(batch, keys)
        self._seen.add(part)
        return True

    def _name(self, batch: str, keys: set[bytes]) -> None:
        if found := self.candidates.keys() & keys:
            self._named.setdefault(batch, set()).update(found)

    def _name_lost(self, row: BatchRow, parts: list[bytes], lost: list[bytes]) -> None:
        if row.name.startswith(HIDDEN_PREFIX):
            raise self._not_listed(row, lost)
        tree = open_listing(self._store, row, parts, lost)
        if tree is None:
            self._named.setdefault(row.name, set())
            return
        with tree:
            self._name(row.name, {bytes.fromhex(file.key) for file in listed_files(tree)})

    def mark_others(self) -> None:
        """Leave out what is referred to besides batches, and what is not there."""
        super().mark_others()
        named = set[bytes]().union(*self._named.values())
        with self._store.index.read() as reader:
            for key in list(self.candidates):
                if any(live_shard(self._store, place) for place in places_of(reader, key)):
                    continue
                if is_purged(self._store, reader, key):
                    self._purged_before += 1
                elif key in named:
                    continue  # What is lost is given up, should a disk bring it back.
                else:
                    self._unknown.append(key)
                del self.candidates[key]

    def check_parts(self, reader: IndexReader) -> None:
        """Nothing: `mark_batches` looks at what came since."""

    def is_empty(self) -> bool:
        """Return whether nothing is left to be purged."""
        return not self.candidates

    def entries(self, purge: str) -> Entries:
        """Return what the catalog is told of the keys, besides the marks."""
        shards = self._shards_nobody_knows()
        keys, found = iter(sorted(self.candidates)), list[tuple[str, dict[str, object]]]()
        batches = sorted(batch for batch, named in self._named.items() if self._is_named(named))
        while some := list(islice(keys, KEYS_PER_ENTRY_MAX)):
            told: dict[str, object] = {
                "purge": purge,
                "keys": pack_keys(some),
                "batches": batches,
                "shards": shards,
            }
            found.append(("purge_keys", told))
        return found

    def _is_named(self, named: set[bytes]) -> bool:
        return not named or not named.isdisjoint(self.candidates)

    def _shards_nobody_knows(self) -> list[str]:
        """Return the shards on no disk of which the index does not know every record."""
        store = self._store
        with store.lock:
            shards = list(store.shards.state.shards.values())
            writing = set(store.shards.writing)
        with store.index.read() as reader:
            rows = {row.shard_id: row for row in reader.shards()}
        return sorted(
            shard.shard_id
            for shard in shards
            if not (shard.disks or shard.shard_id in writing or is_found(store, shard.shard_id))
            and not (
                (row := rows.get(shard.shard_id)) and row.sealed and row.dead_mark == shard.mark
            )
        )

    def told(self) -> dict[str, Any]:
        """Return what the result says besides, and report who names what goes."""
        named = {
            batch: len(count)
            for batch, keys in sorted(self._named.items())
            if (count := keys & self.candidates.keys())
        }
        for batch, count in named.items():
            self._job.report({"status": "named", "holder": f"batch {batch}", "objects": count})
        for key in self._unknown[:LINES_MAX]:
            self._job.report({"status": "unknown", "key": key.hex()})
        return {
            "batch": "",
            "named_by_batches": len(named),
            "purged_before": self._purged_before,
            "unknown_objects": len(self._unknown),
        }
