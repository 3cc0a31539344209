"""The LMDB index: it owns one disposable generation of it, never any truth.

Everything in here is a projection of the shards and the catalog; `drystone reindex` makes a new
generation under `index/<n>` and then moves the `CURRENT` file, so a reader (the mount) follows by
looking at CURRENT. One process opens it for writing (the engine, one writer at a time by a lock);
the mount opens it read-only and works on when the engine is gone.

    objects      key (32 B)                -> shard number u32, offset u48, payload length u48
    spares       key (32 B)                -> the same, of each further record of the content
    shards       number u32 big-endian     -> JSON ShardRow
    shard_ids    shard id (16 B)           -> number u32
    batches      name, UTF-8               -> JSON BatchRow
    batch_parts  name NUL part u32         -> key of the part object (32 B)
    views        kind/id/layout, UTF-8     -> JSON ViewRow
    disks        disk id, ASCII            -> JSON DiskRow
    meta         name                      -> JSON value

JSON has a checksum (see `index_rows`); `parts NAME` of meta marks all parts of a batch together.
"""

import dataclasses
import os
import struct
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import lmdb

from fsd.format.errors import NotFoundError
from fsd.format.index_rows import (
    BatchRow,
    DiskRow,
    Location,
    ShardRow,
    ViewRow,
    damaged_row,
    pack_location,
    pack_row,
    part_digest,
    unpack_location,
    unpack_row,
)
from fsd.store.environment import Environment
from fsd.store.generation import generation_path

LAYOUT = 2
"""An index of another layout is made anew."""
_SPARES = "spares"
_TABLES = (
    "objects",
    "shards",
    "shard_ids",
    "batches",
    "batch_parts",
    "views",
    "disks",
    "meta",
    _SPARES,
)
_NUMBER = struct.Struct(">I")
_PARTS = "parts "
NEXT_NUMBER = "next_shard_number"


class Index(Environment):
    """One opened generation. Reads may come from any thread; writes take the writer's lock."""

    def __init__(self, index_root: str, generation: int, *, readonly: bool = False) -> None:
        self.generation = generation
        path = generation_path(index_root, generation)
        super().__init__(index_root, path, _TABLES, _SPARES, readonly=readonly)

    @contextmanager
    def write(self) -> Generator["IndexWriter", None, None]:
        """Open the one write transaction; durable when it ends, QuotaError (SSD full) undoes it."""
        with self.writing() as transaction:
            yield IndexWriter(transaction, self.tables)

    @contextmanager
    def read(self) -> Generator["IndexReader", None, None]:
        """Open a read transaction: a consistent snapshot. Keep it short."""
        with self.reading() as transaction:
            yield IndexReader(transaction, self.tables)

    def locate(self, key: bytes) -> Location | None:
        """Return where the object lies, or None when the store has no such object."""
        with self.read() as reader:
            return reader.locate(key)

    def tree_path(self, tree_file: str) -> str:
        """Return the path of a tree file of this generation."""
        return os.path.join(self.path, "trees", tree_file)

    def size_bytes(self) -> int:
        """Return the bytes the index takes on disk, tree files not counted; 0 when deleted."""
        try:
            return os.stat(os.path.join(self.path, "data.mdb")).st_blocks * 512
        except FileNotFoundError:  # What is open works on.
            return 0


class IndexReader:
    """A snapshot of the index; valid inside its `with` block only."""

    def __init__(self, transaction: "lmdb.Transaction", tables: dict[str, Any]) -> None:
        self.transaction = transaction
        self.tables = tables

    def locate(self, key: bytes) -> Location | None:
        """Return where the object lies, or None."""
        data = self.transaction.get(key, db=self.tables["objects"])
        return None if data is None else unpack_location(bytes(data))

    def places(self, keys: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Return (key, packed location) of those keys that the store has, in the order given.

        Fastest when they are sorted.
        """
        cursor = self.transaction.cursor(db=self.tables["objects"])
        return cast("list[tuple[bytes, bytes]]", cursor.getmulti(keys))

    def spares(self, key: bytes) -> list[Location]:
        """Return where further records of the same content lie; for the engine only."""
        cursor = self.transaction.cursor(db=self.tables[_SPARES])
        if not cursor.set_key(key):
            return []
        return [unpack_location(bytes(value)) for value in cursor.iternext_dup()]

    def all_spares(self) -> Iterator[tuple[bytes, Location]]:
        """Yield every spare by key; for the engine only."""
        for key, value in self.transaction.cursor(db=self.tables[_SPARES]):
            yield bytes(key), unpack_location(bytes(value))

    def object_count(self) -> int:
        """Return the number of distinct keys."""
        return int(self.transaction.stat(self.tables["objects"])["entries"])

    def keys(self, prefix: bytes = b"", after: bytes = b"") -> Iterator[tuple[bytes, Location]]:
        """Yield (key, location) in key order, below `prefix`, strictly after `after`."""
        cursor = self.transaction.cursor(db=self.tables["objects"])
        found = cursor.set_range(max(prefix, after))
        while found:
            key = bytes(cursor.key())
            if not key.startswith(prefix):
                return
            if key != after:
                yield key, unpack_location(bytes(cursor.value()))
            found = cursor.next()

    def shard(self, number: int) -> ShardRow:
        """Return the row of a shard; NotFoundError when there is none."""
        data = self._row("shards", _NUMBER.pack(number))
        if data is None:
            raise NotFoundError(f"the index knows no shard number {number}")
        return ShardRow(number=number, **data)

    def placed_bytes(self, number: int, dead_mark: str) -> int:
        """Return before which offset all of a shard is in the index, by the marks it followed."""
        data = self._row("shards", _NUMBER.pack(number))
        row = ShardRow(number=number, **data) if data else None
        return row.placed_bytes if row is not None and row.dead_mark == dead_mark else 0

    def shard_number(self, shard_id: str) -> int | None:
        """Return the local number of a shard id (32 hex digits), or None."""
        data = self.transaction.get(bytes.fromhex(shard_id), db=self.tables["shard_ids"])
        return None if data is None else _number("shard_ids", bytes.fromhex(shard_id), bytes(data))

    def shards(self) -> Iterator[ShardRow]:
        """Yield every shard by number."""
        for key, value in self.rows("shards"):
            yield ShardRow(number=_number("shards", key, key), **value)

    def batch(self, name: str) -> BatchRow | None:
        """Return the row of a batch, or None."""
        data = self._row("batches", name.encode())
        return None if data is None else BatchRow(**data)

    def batches(self) -> Iterator[BatchRow]:
        """Yield every batch by name."""
        for _, value in self.rows("batches"):
            yield BatchRow(**value)

    def batch_parts(self, name: str) -> list[bytes]:
        """Return the keys of the batch's part objects, in the order they were committed.

        CorruptError when they are not those that were written, so that no file is left out.
        """
        keys, mark = self._parts(name)
        if self.meta(_PARTS + name) not in (None, mark):
            raise damaged_row("batch_parts", name.encode())
        return keys

    def _parts(self, name: str) -> tuple[list[bytes], int]:
        prefix, mark = name.encode() + b"\0", 0
        cursor = self.transaction.cursor(db=self.tables["batch_parts"])
        keys: list[bytes] = []
        found = cursor.set_range(prefix)
        while found and (key := bytes(cursor.key())).startswith(prefix):
            keys.append(bytes(cursor.value()))
            mark ^= part_digest(key, keys[-1])
            found = cursor.next()
        return keys, mark

    def view(self, name: str) -> ViewRow | None:
        """Return the row of a view by `kind/id/layout`, or None."""
        data = self._row("views", name.encode())
        return None if data is None else ViewRow(**data)

    def views(self, kind: str = "") -> Iterator[ViewRow]:
        """Yield every view, or those of one kind, by name."""
        for _, value in self.rows("views", f"{kind}/".encode() if kind else b""):
            yield ViewRow(**value)

    def disks(self) -> list[DiskRow]:
        """Return every disk by id."""
        return [DiskRow(**value) for _, value in self.rows("disks")]

    def meta(self, name: str) -> Any:
        """Return a value of the meta table, or None."""
        return self._row("meta", name.encode())

    def rows(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, Any]]:
        """Yield (key, what its JSON says) of a table in its order; CorruptError for damage."""
        cursor = self.transaction.cursor(db=self.tables[table])
        found = cursor.set_range(prefix) if prefix else cursor.first()
        while found and (key := bytes(cursor.key())).startswith(prefix):
            yield key, unpack_row(table, key, bytes(cursor.value()))
            found = cursor.next()

    def _row(self, table: str, key: bytes) -> Any:
        data = self.transaction.get(key, db=self.tables[table])
        return None if data is None else unpack_row(table, key, bytes(data))


def _number(table: str, key: bytes, data: bytes) -> int:
    try:
        return int(_NUMBER.unpack(data)[0])
    except struct.error as error:
        raise damaged_row(table, key) from error


class IndexWriter(IndexReader):
    """The write transaction; everything in it becomes durable together or not at all."""

    def put_object(self, key: bytes, location: Location) -> None:
        """Point a key at a record; a later call for the same key wins."""
        self.transaction.put(key, pack_location(location), db=self.tables["objects"])

    def put_new_object(self, key: bytes, location: Location) -> bool:
        """Point a key at a record unless it has one already; returns whether it had none."""
        data = pack_location(location)
        return bool(self.transaction.put(key, data, overwrite=False, db=self.tables["objects"]))

    def delete_object(self, key: bytes) -> None:
        """Forget a key; its records, if any, are no longer found."""
        self.transaction.delete(key, db=self.tables["objects"])

    def add_spare(self, key: bytes, location: Location) -> None:
        """Remember a further record of a key."""
        self.transaction.put(key, pack_location(location), db=self.tables[_SPARES])

    def delete_spare(self, key: bytes, location: Location) -> None:
        """Forget a further record of a key, if it is known."""
        self.transaction.delete(key, pack_location(location), db=self.tables[_SPARES])

    def delete_batch(self, name: str) -> None:
        """Forget a batch and its parts."""
        prefix, table = name.encode() + b"\0", self.tables["batch_parts"]
        cursor = self.transaction.cursor(db=table)
        while cursor.set_range(prefix) and bytes(cursor.key()).startswith(prefix):
            cursor.delete()
        self.transaction.delete(name.encode(), db=self.tables["batches"])
        self.transaction.delete((_PARTS + name).encode(), db=self.tables["meta"])

    def put_shard(self, row: ShardRow) -> None:
        """Write a shard's row and its id."""
        data = dataclasses.asdict(row)
        number = _NUMBER.pack(data.pop("number"))
        self.transaction.put(number, pack_row("shards", number, data), db=self.tables["shards"])
        self.transaction.put(bytes.fromhex(row.shard_id), number, db=self.tables["shard_ids"])

    def delete_shard(self, row: ShardRow) -> None:
        """Remove a shard's row and its id; objects that point at it must be gone before."""
        self.transaction.delete(_NUMBER.pack(row.number), db=self.tables["shards"])
        self.transaction.delete(bytes.fromhex(row.shard_id), db=self.tables["shard_ids"])

    def next_shard_number(self) -> int:
        """Return a shard number that was never used, nor in generations before, and take it."""
        number = int(self.meta(NEXT_NUMBER) or 1)
        self.put_meta(NEXT_NUMBER, number + 1)
        return number

    def put_batch(self, row: BatchRow) -> None:
        """Write a batch's row."""
        self._put_json("batches", row.name, dataclasses.asdict(row))

    def add_batch_part(self, row: BatchRow, number: int, key: bytes) -> bool:
        """Add part `number` to a batch; returns False when it was there already.

        A number that another part has (one was never acknowledged and came back with its disk)
        becomes the next free one. The row's counters are the caller's; its `part_count` follows
        the highest number, its listing what is in the index.
        """
        prefix, table = row.name.encode() + b"\0", self.tables["batch_parts"]
        if known_row := self.batch(row.name):
            # A part that came back with its disk may have been taken in meanwhile.
            row.tree_file, row.between = known_row.tree_file, known_row.between
            row.key_purges = known_row.key_purges
            row.part_count = max(row.part_count, known_row.part_count)
        row.part_count = max(row.part_count, number + 1)
        place = prefix + _NUMBER.pack(number)
        if not self.transaction.put(place, key, db=table, overwrite=False):
            if key in self.batch_parts(row.name):
                return False
            place = prefix + _NUMBER.pack(row.part_count)
            self.transaction.put(place, key, db=table)
            row.part_count += 1
        elif row.tree_file and number + 1 < row.part_count:
            row.between = [*row.between, key.hex()]
        mark = self.meta(_PARTS + row.name)
        known = self._parts(row.name)[1] if mark is None else mark ^ part_digest(place, key)
        self.put_meta(_PARTS + row.name, known)
        return True

    def put_view(self, row: ViewRow) -> None:
        """Write a view's row: from the commit on the mount shows it."""
        self._put_json("views", row.name, dataclasses.asdict(row))

    def delete_view(self, name: str) -> None:
        """Remove a view's row."""
        self.transaction.delete(name.encode(), db=self.tables["views"])

    def put_disk(self, row: DiskRow) -> None:
        """Write a disk's row."""
        self._put_json("disks", row.disk_id, dataclasses.asdict(row))

    def put_meta(self, name: str, value: Any) -> None:
        """Write a value of the meta table."""
        self._put_json("meta", name, value)

    def _put_json(self, table: str, name: str, value: Any) -> None:
        key = name.encode()
        self.transaction.put(key, pack_row(table, key, value), db=self.tables[table])
