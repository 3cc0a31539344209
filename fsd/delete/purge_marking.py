"""What a purge takes and what it leaves: it owns the candidates of one batch and their keepers."""

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote
from typing import Any

from fsd.compile.lost_parts import are_named_again, listed_files, open_listing, read_part, way_out
from fsd.compile.references import References
from fsd.delete.purge_vacated import VacatedShards
from fsd.format.batch_part import PartFile, parse_files
from fsd.format.errors import PurgeRefusedError
from fsd.repair.projection import HIDDEN_PREFIX
from fsd.store.index import BatchRow, IndexReader, Location
from fsd.store.job import Job
from fsd.store.purge_place import live_shard
from fsd.store.purged_keys import Entries
from fsd.store.store import Store


@dataclass(slots=True)
class Kept:
    """What one holder keeps of the batch; of several holders the first one found is named."""

    objects: int = 0
    size_bytes: int = 0


class Marking:
    """The keys of a batch, less those that something else refers to.

    `candidates` is key -> bytes; it becomes smaller with every reference that is found, and never
    larger. Memory: about 150 bytes a key.
    """

    def __init__(self, store: Store, references: References, batch: str, job: Job) -> None:
        self._store = store
        self._references = references
        self._batch = batch
        self._job = job
        self._seen: set[bytes] = set()
        self._parts: set[bytes] | None = None
        self._vacated = VacatedShards(store, job)
        self.candidates: dict[bytes, int] = {}
        self.kept: dict[str, Kept] = {}
        self.files = 0
        self.lost_parts = 0

    def collect(self) -> None:
        """Take every key of the batch: what its parts name, and the parts."""
        with self._store.index.read() as reader:
            row, parts = reader.batch(self._batch), reader.batch_parts(self._batch)
        lost: list[bytes] = []
        self._parts = set(parts)
        self._job.expect(len(parts))
        for part in parts:
            data = read_part(self._store, part)
            if data is None:
                lost.append(part)
            self.candidates[part] = len(data or b"")
            self.files += self._take(parse_files(data or b""))
            self._job.check()
            self._job.advance(1, 0)
        if row is not None and lost:
            tree = open_listing(self._store, row, parts, lost)
            if tree is None:
                raise self._not_listed(row, lost)
            self.lost_parts = len(lost)
            with tree:
                self.files = self._take(listed_files(tree))

    def _take(self, files: Iterable[PartFile]) -> int:
        count = 0
        for count, file in enumerate(files, 1):  # noqa: B007
            self.candidates[bytes.fromhex(file.key)] = file.size_bytes
        return count

    def mark_batches(self, reader: IndexReader) -> None:
        """Leave out what other batches refer to.

        Called again it looks at what has come since: of a batch nothing goes but by a purge. Raises
        PurgeRefusedError when a part cannot be read, and nobody knows what it keeps.
        """
        rows = [row for row in reader.batches() if row.name != self._batch]
        lists = [(row, reader.batch_parts(row.name)) for row in rows]
        self._job.expect(sum(part not in self._seen for _, parts in lists for part in parts))
        for row, parts in lists:
            lost = [p for p in parts if p not in self._seen and not self._mark_part(row.name, p)]
            if lost:
                self._check_named_again(row, parts, lost)
                self._seen.update(lost)
                # Marked as dead it is no part any more, which a reindex would look for in vain.
                places = {part: reader.locate(part) for part in lost}
                self.candidates.update((p, at.length_bytes) for p, at in places.items() if at)

    def _mark_part(self, batch: str, part: bytes) -> bool:
        """Leave out a part of another batch and what it names; False when it cannot be read."""
        self._job.check()
        self.keep(f"batch {batch}", (part,))
        data = read_part(self._store, part)
        self._job.advance(1, 0)
        if data is None:
            return False
        self.keep(f"batch {batch}", (bytes.fromhex(file.key) for file in parse_files(data)))
        self._seen.add(part)
        return True

    def _check_named_again(self, row: BatchRow, parts: list[bytes], lost: list[bytes]) -> None:
        """Raise PurgeRefusedError unless the other parts name all that lost ones did."""
        tree = open_listing(self._store, row, parts, lost)
        if tree is None or row.name.startswith(HIDDEN_PREFIX):
            raise self._not_listed(row, lost)
        others = [part for part in parts if part not in lost]
        with tree:
            if not are_named_again(self._store, tree, others, self._job.check):
                name = quote(row.name)
                raise _refusal(
                    row.name,
                    lost,
                    "put the batch again from its source, all of it (drystone put FOLDER --batch "
                    f"{name}), or purge it before (drystone purge --batch {name})",
                )

    def _not_listed(self, row: BatchRow, lost: list[bytes]) -> PurgeRefusedError:
        return _refusal(row.name, lost, way_out(self._store, row, lost))

    def mark_others(self) -> None:
        """Leave out what views, pins and copies of this moment refer to; see `mark_batches`."""
        for holder, keys in self._references.kept():
            self._job.check()
            self.keep(holder, keys)

    def keep_held(self, keys: Iterable[bytes]) -> None:
        """Leave out what a put that runs now refers to."""
        self.keep("a put that is running", keys)

    def keep(self, holder: str, keys: Iterable[bytes]) -> None:
        """Leave keys out; the first holder that asks is named."""
        for key in keys:
            size = self.candidates.pop(key, None)
            if size is not None:
                kept = self.kept.setdefault(holder, Kept())
                kept.objects += 1
                kept.size_bytes += size

    def records(self, reader: IndexReader) -> dict[str, list[tuple[bytes, Location]]]:
        """Return every living record of the candidates, by shard: places and spares."""
        found: dict[str, list[tuple[bytes, Location]]] = {}
        for key in self.candidates:
            place = reader.locate(key)
            for location in ([] if place is None else [place]) + reader.spares(key):
                shard = live_shard(self._store, location)
                if shard is not None:
                    found.setdefault(shard.shard_id, []).append((key, location))
        return found

    def look_into_vacated(self) -> None:
        """Find the records of the candidates in vacated shards, which the index has forgotten.

        Called again it looks at what has come since.
        """
        self._vacated.look(self.candidates)

    def vacated_marks(self) -> dict[str, str]:
        """Return the marks of what `look_into_vacated` found, of shards that are vacated still."""
        return self._vacated.marks(self.candidates)

    def check_parts(self, reader: IndexReader) -> None:
        """Raise PurgeRefusedError when the batch has parts by now that `collect` has not seen."""
        if self._parts is not None and not self._parts.issuperset(reader.batch_parts(self._batch)):
            raise PurgeRefusedError(
                f"more of batch {self._batch} came back meanwhile, with a disk; ask again"
            )

    def is_empty(self) -> bool:
        """Return whether there is nothing to do; a batch always goes."""
        return False

    def entries(self, purge: str) -> Entries:
        """Return what the catalog is told besides the marks."""
        return []

    def told(self) -> dict[str, Any]:
        """Return what the result says besides."""
        return {}


def _refusal(batch: str, lost: list[bytes], advice: str) -> PurgeRefusedError:
    more = f" and {len(lost) - 1} more" * (len(lost) > 1)
    return PurgeRefusedError(
        f"no replica of {lost[0].hex()}{more} can be read, a part of the list of files of batch "
        f"{batch}: nobody knows what else it refers to; {advice}"
    )
