"""A store made by hand for tests and benchmarks: shard files on folders, and an index of them.

It writes what the engine would have written, with `fsd.format.record` and `fsd.store.index` alone:
no catalog, no disk processes, no durability.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence

import xxhash

from fsd.format import record
from fsd.format.layout import shard_path
from fsd.format.tree import TreeEntry
from fsd.format.tree_write import write_tree
from fsd.store.generation import set_current_generation
from fsd.store.index import BatchRow, DiskRow, Index, IndexWriter, Location, ShardRow, ViewRow

STORE_ID = bytes(16)


class StoreFixture:
    """Disks `disk0`, `disk1`, ... below `root/disks` and generations below `root/index`."""

    def __init__(self, root: str, disk_count: int = 2) -> None:
        self.index_root = os.path.join(root, "index")
        self.status_dir = os.path.join(root, "status")
        self.disks = [os.path.join(root, "disks", f"disk{n}") for n in range(disk_count)]
        for folder in (self.index_root, self.status_dir, *self.disks):
            os.makedirs(folder, exist_ok=True)
        self.locations: dict[bytes, Location] = {}
        self.shards: list[ShardRow] = []
        self.open_generation(1)

    def open_generation(self, generation: int) -> None:
        """Make a generation, with all objects so far, the one that is written to (not CURRENT)."""
        self.index = Index(self.index_root, generation)
        with self.index.write() as writer:
            for number, folder in enumerate(self.disks):
                writer.put_disk(DiskRow(f"id{number}", f"disk{number}", folder, "online"))
            for row in self.shards:
                writer.put_shard(row)
            for key, location in self.locations.items():
                writer.put_object(key, location)

    def make_current(self) -> None:
        set_current_generation(self.index_root, self.index.generation)

    def close(self) -> None:
        self.index.close()

    def add(
        self, payloads: Sequence[bytes], disks: Sequence[int] = (0, 1), class_name: str = "raw"
    ) -> list[bytes]:
        """Write a shard of these payloads to the disks and index it; return the keys."""
        shard_id = os.urandom(16)
        entries: list[record.Entry] = []
        files = [self._create(disk, shard_id) for disk in disks]
        for piece in _shard_pieces(shard_id, payloads, class_name, entries):
            for file in files:
                file.write(piece)
        length = files[0].tell()
        for file in files:
            file.close()
        names = [f"id{disk}" for disk in disks]
        row = ShardRow(
            len(self.shards) + 1, shard_id.hex(), class_name, names, True, length_bytes=length
        )
        self.shards.append(row)
        with self.index.write() as writer:
            writer.put_shard(row)
            for entry in entries:
                location = Location(row.number, entry.offset, entry.length_bytes)
                self.locations[entry.key] = location
                writer.put_object(entry.key, location)
        return [entry.key for entry in entries]

    def _create(self, disk: int, shard_id: bytes):
        path = shard_path(self.disks[disk], shard_id.hex())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb")

    def path_of(self, key: bytes, disk: int) -> tuple[str, int]:
        """Return the shard file on a disk and the offset of the object's payload in it."""
        number, offset, length = self.locations[key]
        path = shard_path(self.disks[disk], self.shards[number - 1].shard_id)
        return path, offset + record.payload_offset(length)

    def corrupt(self, key: bytes, disk: int, at: int = 0) -> None:
        """Flip one payload byte of an object on one disk."""
        path, start = self.path_of(key, disk)
        with open(path, "r+b") as file:
            file.seek(start + at)
            byte = file.read(1)[0]
            file.seek(start + at)
            file.write(bytes([byte ^ 1]))
            file.flush()
            os.fsync(file.fileno())

    def publish_view(
        self, kind: str, view_id: str, layout_id: str, entries: Iterable[TreeEntry], **document: str
    ) -> ViewRow:
        entries = list(entries)
        manifest = hashlib.sha256(repr(entries).encode()).hexdigest()
        created_ns = time.time_ns()
        row = ViewRow(kind, view_id, layout_id, manifest, created_ns, f"{manifest}.tree", document)
        write_tree(self.index.tree_path(row.tree_file), entries, created_ns=created_ns)
        with self.index.write() as writer:
            writer.put_view(row)
        return row

    def publish_batch(self, name: str, entries: Iterable[TreeEntry], sealed: bool = True) -> None:
        entries = list(entries)
        row = BatchRow(name, "raw", time.time_ns(), sealed, len(entries), tree_file=f"b-{name}")
        write_tree(self.index.tree_path(row.tree_file), entries, created_ns=row.created_ns)
        self.write(lambda writer: writer.put_batch(row))

    def unpublish(self, name: str) -> None:
        self.write(lambda writer: writer.delete_view(name))

    def write(self, change) -> None:
        """Apply a change in one write transaction."""
        with self.index.write() as writer:
            assert isinstance(writer, IndexWriter)
            change(writer)


def _shard_pieces(
    shard_id: bytes, payloads: Sequence[bytes], class_name: str, entries: list[record.Entry]
) -> Iterator[bytes]:
    """Yield a sealed shard of one commit group, and add its entries to the list."""
    header = record.ShardHeader(shard_id, STORE_ID, time.time_ns(), class_name, False)
    yield record.pack_shard_header(header)
    used = record.GROUP_HEADER_BYTES + sum(record.record_bytes(len(data)) for data in payloads)
    length = record.align(used + record.TRAILER_BYTES)
    digest = xxhash.xxh3_128()
    group = record.GroupHeader(shard_id, 0, len(payloads), length, 0)
    pieces = [record.pack_group_header(group)]
    offset = record.SECTOR_BYTES + record.GROUP_HEADER_BYTES
    for sequence, payload in enumerate(payloads):
        key = hashlib.sha256(payload).digest()
        entries.append(record.Entry(key, offset, len(payload), 0))
        pieces += _record_pieces(shard_id, sequence, key, payload)
        offset += record.record_bytes(len(payload))
    pieces.append(bytes(length - used - record.TRAILER_BYTES))
    for piece in pieces:
        digest.update(piece)
        yield piece
    yield record.pack_trailer(record.Trailer(shard_id, 0, len(payloads), length, digest.digest()))
    yield record.pack_footer(shard_id, entries, record.SECTOR_BYTES + length, [digest.digest()])


def _record_pieces(shard_id: bytes, sequence: int, key: bytes, payload: bytes) -> list[bytes]:
    header = record.RecordHeader(shard_id, sequence, len(payload), key, record.RECORD_OBJECT)
    head = record.pack_record_header(header) + record.block_checksums(payload)
    padding = record.record_bytes(len(payload)) - len(head) - len(payload)
    return [head, payload, bytes(padding)]
