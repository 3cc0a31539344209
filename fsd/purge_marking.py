"""What a purge takes and what it leaves: it owns the candidates of one batch and their keepers."""

from collections.abc import Iterable
from dataclasses import dataclass

from fsd.batch_part import parse_files
from fsd.index import IndexReader, Location
from fsd.job import Job
from fsd.purge_place import live_shard
from fsd.read import read_small
from fsd.references import References
from fsd.store import Store


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
        self.candidates: dict[bytes, int] = {}
        self.kept: dict[str, Kept] = {}
        self.files = 0

    def collect(self) -> None:
        """Take every key of the batch: what its parts name, and the parts."""
        with self._store.index.read() as reader:
            parts = reader.batch_parts(self._batch)
        self._job.expect(len(parts))
        for part in parts:
            data = read_small(self._store, part)
            self.candidates[part] = len(data)
            listed = parse_files(data)
            self.files += len(listed)
            self.candidates.update((bytes.fromhex(file.key), file.size_bytes) for file in listed)
            self._job.check()
            self._job.advance(1, 0)

    def mark_batches(self, reader: IndexReader) -> None:
        """Leave out what other batches refer to.

        Called again it looks at what has come since: of a batch nothing goes but by a purge. Raises
        FsdError when a part cannot be read: then nobody knows what it keeps.
        """
        names = [row.name for row in reader.batches() if row.name != self._batch]
        lists = [(f"batch {name}", key) for name in names for key in reader.batch_parts(name)]
        new = [one for one in lists if one[1] not in self._seen]
        self._job.expect(len(new))
        for holder, part in new:
            self._job.check()
            self.keep(holder, (part,))
            files = parse_files(read_small(self._store, part))
            self.keep(holder, (bytes.fromhex(file.key) for file in files))
            self._seen.add(part)
            self._job.advance(1, 0)

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
