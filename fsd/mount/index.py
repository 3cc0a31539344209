"""The mount's look at the index: it owns the open generation and short-lived copies of its rows.

It follows CURRENT (looked at once a second at most) and never writes. Without an index, or while
one is being made, the mount is empty rather than broken.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

from base.errors import UsageError
from base.logging.ids import about
from fsd.format.errors import CorruptError, NotFoundError
from fsd.format.layout import shard_path
from fsd.mount.reading.fetch import Place, Replica
from fsd.store.generation import current_generation
from fsd.store.index import BatchRow, DiskRow, Index, IndexReader, Location, ShardRow, ViewRow

REFRESH_INTERVAL_S = 1.0
HEALTHY_STATES = ("online", "readonly")

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")


class MountIndex:
    """Answers the mount's questions from the newest generation."""

    def __init__(self, index_root: str) -> None:
        self._root = index_root
        self._index: Index | None = None
        self._looked_s = 0.0
        self._stamp: tuple[int, int] | None = None
        self._shards: dict[int, tuple[ShardRow, bytes, tuple[Replica, ...]]] = {}
        self._disks: dict[str, DiskRow] = {}
        self.refresh(force=True)

    def close(self) -> None:
        """Close the generation."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def refresh(self, *, force: bool = False) -> None:
        """Forget copied rows and follow CURRENT, when the last look is a second old."""
        now_s = time.monotonic()
        if not force and now_s - self._looked_s < REFRESH_INTERVAL_S:
            return
        self._looked_s = now_s
        stamp = _stamp(os.path.join(self._root, "CURRENT"))
        if stamp != self._stamp or self._index is None:
            self._reopen(stamp)
        self._shards.clear()
        self._disks = {row.disk_id: row for row in self._ask(IndexReader.disks, [])}

    def _reopen(self, stamp: tuple[int, int] | None) -> None:
        generation = current_generation(self._root)
        if generation is None or (self._index and self._index.generation == generation):
            self._stamp = stamp
            return
        try:
            index = Index(self._root, generation, readonly=True)
        except (CorruptError, UsageError) as error:
            # The generation that is open goes on to serve; the next look tries again.
            _log.warning(
                "index generation %d: %s", generation, error, extra=about("index.unusable")
            )
            return
        self.close()
        self._index, self._stamp = index, stamp
        _log.info("index generation %d", generation, extra=about("index.opened"))

    def _ask(self, question: Callable[[IndexReader], _Value], default: _Value) -> _Value:
        if self._index is None:
            return default
        with self._index.read() as reader:
            return question(reader)

    @property
    def generation(self) -> int:
        """Return the open generation, 0 when there is none."""
        return self._index.generation if self._index else 0

    def locate(self, key: bytes) -> Location | None:
        """Return where the object lies, or None."""
        return self._ask(lambda reader: reader.locate(key), None)

    def keys(self, prefix: bytes, after: bytes = b"") -> list[tuple[bytes, Location]]:
        """Return (key, location) of all objects below a prefix, in key order."""
        return self._ask(lambda reader: list(reader.keys(prefix, after)), [])

    def has_prefix(self, prefix: bytes) -> bool:
        """Return whether some object's key begins with these bytes."""
        return self._ask(lambda reader: next(reader.keys(prefix), None) is not None, False)

    def object_count(self) -> int:
        """Return the number of objects."""
        return self._ask(IndexReader.object_count, 0)

    def view(self, name: str) -> ViewRow | None:
        """Return a published view, or None."""
        return self._ask(lambda reader: reader.view(name), None)

    def views(self, path: str) -> list[ViewRow]:
        """Return the published views below a path such as `stage` or `stage/7`, by name."""
        return self._ask(lambda reader: list(reader.views(path)), [])

    def has_view_below(self, path: str) -> bool:
        """Return whether a view is published below a path such as `stage/7`."""
        return self._ask(lambda reader: next(reader.views(path), None) is not None, False)

    def batch(self, name: str) -> BatchRow | None:
        """Return a batch that can be browsed: sealed, with a tree; or None."""
        row = self._ask(lambda reader: reader.batch(name), None)
        return row if row is not None and row.sealed and row.tree_file else None

    def batches(self) -> list[BatchRow]:
        """Return the batches that can be browsed, by name."""
        rows = self._ask(lambda reader: list(reader.batches()), [])
        return [row for row in rows if row.sealed and row.tree_file]

    def tree_path(self, tree_file: str) -> str:
        """Return the path of a tree file of the open generation."""
        if self._index is None:
            raise NotFoundError("there is no index")
        return self._index.tree_path(tree_file)

    def disks(self) -> dict[str, DiskRow]:
        """Return the disks by id, at most a second old."""
        return self._disks

    def shard_of(self, key: bytes) -> ShardRow | None:
        """Return the shard that holds an object, or None."""
        location = self.locate(key)
        shard = None if location is None else self._shard(location.shard_number)
        return None if shard is None else shard[0]

    def place(self, key: bytes) -> Place | None:
        """Return where an object's record lies on all its disks, or None."""
        location = self.locate(key)
        shard = None if location is None else self._shard(location.shard_number)
        if location is None or shard is None:
            return None
        _, shard_id, replicas = shard
        return Place(key, shard_id, location.offset, location.length_bytes, replicas)

    def _shard(self, number: int) -> tuple[ShardRow, bytes, tuple[Replica, ...]] | None:
        """Return (row, id, replicas), at most a second old."""
        known = self._shards.get(number)
        if known is not None:
            return known
        row = self._ask(lambda reader: _shard_row(reader, number), None)
        if row is None:
            return None
        disks = [disk for disk_id in row.disks if (disk := self._disks.get(disk_id)) is not None]
        replicas = tuple(
            Replica(disk.disk_id, shard_path(disk.path, row.shard_id), disk.state in HEALTHY_STATES)
            for disk in disks
        )
        known = self._shards[number] = (row, bytes.fromhex(row.shard_id), replicas)
        return known


def _shard_row(reader: IndexReader, number: int) -> ShardRow | None:
    try:
        return reader.shard(number)
    except NotFoundError:
        return None


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino
