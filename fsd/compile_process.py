"""The compiler process: it owns a job's manifest in memory, so that the engine stays small.

One is started per job and ends with it. It reads manifests and batch parts from files, looks keys
up in the index (read-only), writes tree files, folders and inline texts, and holds the read plan
of a copy, of which the engine takes one segment at a time.
"""

import contextlib
import gc
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeVar

from fsd.batch_part import parse_files
from fsd.child import ChildServer, start_child
from fsd.compile_records import Records, look_up
from fsd.disk_model import DiskModel
from fsd.extract import FILE_MODE
from fsd.index import Index
from fsd.manifest import ManifestEntry, parse_manifest
from fsd.manifest_form import DedupMode, deduplicate, format_pieces
from fsd.paths import encode_path
from fsd.record import BLOCK_BYTES, RECORD_HEADER_BYTES
from fsd.tree import TreeEntry, make_tree_entry
from fsd.tree_write import write_tree

if TYPE_CHECKING:
    from fsd.plan import Int64s, ReadPlan

LANES = {
    "compile_batch": 0,
    "load_manifest": 0,
    "write_tree": 0,
    "plan": 0,
    "segment": 0,
    "prepare_folder": 0,
}
STEP_EVERY = 4096
READ_BYTES = 1 << 20
_Item = TypeVar("_Item")


class ManifestSummary(NamedTuple):
    """What a manifest adds up to; `sha256` is of its canonical bytes."""

    sha256: str
    files: int
    size_bytes: int
    texts: int
    dropped: int


class SegmentHead(NamedTuple):
    """What the engine needs to place a segment: index shard number, planned disk, cost, size."""

    shard_number: int
    disk: int
    cost_s: float
    files: int
    size_bytes: int


class Compiler:
    """The operations; they follow each other as load, then tree or plan, then segments."""

    def __init__(self, server: ChildServer) -> None:
        self._step = server.lanes[0].step
        self._entries: list[ManifestEntry] = []
        self._records = Records(())
        self._plan: ReadPlan | None = None

    def compile_batch(
        self, part_paths: list[str], tree_path: str, created_ns: int
    ) -> tuple[int, int]:
        """Write the tree of a batch from its parts, later ones first; returns (files, bytes)."""
        files: dict[str, tuple[str, int]] = {}
        for path in part_paths:
            with open(path, "rb") as file:
                files.update((f.path, (f.key, f.size_bytes)) for f in parse_files(file.read()))
            self._step()
        entries = (TreeEntry(path, bytes.fromhex(key), size) for path, (key, size) in files.items())
        write_tree(tree_path, entries, created_ns=created_ns)
        return len(files), sum(size for _, size in files.values())

    def load_manifest(
        self,
        manifest_path: str,
        index_root: str,
        generation: int,
        dedup: DedupMode,
        allow_case_collisions: bool,
        output: str,
    ) -> ManifestSummary:
        """Parse, check and resolve a manifest; writes its canonical bytes to `output`.

        Raises ManifestError with every kind of problem, unknown keys included: refused whole.
        """
        with open(manifest_path, "rb") as file:
            lines = chain.from_iterable(self._blocks(file))
            parsed = parse_manifest(lines, allow_case_collisions=allow_case_collisions)
        kept, dropped = deduplicate(parsed.entries, dedup)
        del parsed
        index = Index(index_root, generation, readonly=True)
        with index.read() as reader:
            self._records = look_up(reader, kept, self._step)
        index.close()
        self._entries = kept
        digest = hashlib.sha256()
        with open(output, "wb") as file:
            for piece in format_pieces(kept):
                self._step()
                digest.update(piece)
                file.write(piece)
        return ManifestSummary(
            digest.hexdigest(),
            len(kept),
            sum(entry.size_bytes or 0 for entry in kept),
            sum(entry.text is not None for entry in kept),
            dropped,
        )

    def write_tree(self, tree_path: str, created_ns: int) -> None:
        """Write the loaded manifest's tree file."""
        entries = (
            make_tree_entry(
                TreeEntry,
                (path, key, size or 0, None if text is None else encode_path(text), None),
            )
            for path, key, text, size, _ in self._entries
        )
        write_tree(tree_path, self._stepping(entries), created_ns=created_ns)

    def plan(
        self, replicas: dict[int, list[int]], disks: list[DiskModel]
    ) -> tuple[list[SegmentHead], list[str], float, list[float]]:
        """Plan the reading of the loaded manifest's records.

        `replicas` maps shard numbers to positions in `disks`. Returns (segments, keys without a
        replica, ETA in seconds, seconds per disk).
        """
        # Importing numpy takes half of this process's start: only who plans waits for it.
        import numpy as np

        from fsd.plan import plan_reads

        places = self._records.places()
        numbers, shard = np.unique(places.shard_number, return_inverse=True)
        lengths, shards = record_sizes(places.length_bytes), numbers.tolist()
        table = [replicas.get(number, []) for number in shards]
        plan = plan_reads(shard.astype(np.int32), places.offset, lengths, table, disks)
        self._plan = plan
        # Sums up to each record of the order, so that a segment's are two look-ups.
        files = np.concatenate(([0], np.cumsum(places.paths[plan.order]))).tolist()
        sizes = np.concatenate(([0], np.cumsum(places.length_bytes[plan.order]))).tolist()
        heads = [
            SegmentHead(
                shards[segment.shard],
                segment.disk,
                segment.cost_s,
                files[segment.last] - files[segment.first],
                sizes[segment.last] - sizes[segment.first],
            )
            for segment in plan.segments
        ]
        unreadable = [self._records.key(item).hex() for item in plan.unreadable.tolist()]
        return heads, unreadable, plan.seconds, plan.disk_seconds

    def segment(self, number: int) -> list[tuple[int, int, bytes, tuple[bytes, ...]]]:
        """Return the items of a planned segment, by offset: (offset, length, key, paths)."""
        assert self._plan is not None
        segment, records = self._plan.segments[number], self._records
        items: list[tuple[int, int, bytes, tuple[bytes, ...]]] = []
        for item in self._plan.order[segment.first : segment.last].tolist():
            location = records.location(item)
            encoded = tuple(map(encode_path, records.paths(item)))
            items.append((location.offset, location.length_bytes, records.key(item), encoded))
        return items

    def prepare_folder(self, target: str) -> tuple[int, int]:
        """Make all folders of the manifest below `target` and write its inline texts.

        Returns (texts, bytes). Repeating it is harmless.
        """
        root = os.fsencode(target)
        made: set[bytes] = {b""}
        texts = size = 0
        for entry in self._stepping(self._entries):
            path = encode_path(entry.path)
            _make_folders(root, os.path.dirname(path), made)
            if entry.text is not None:
                data = entry.text_bytes()
                _write_file(os.path.join(root, path), data)
                texts += 1
                size += len(data)
        return texts, size

    def _blocks(self, file: BinaryIO) -> Iterator[list[bytes]]:
        while block := file.readlines(READ_BYTES):
            self._step()
            yield block

    def _stepping(self, items: Iterable[_Item]) -> Iterable[_Item]:
        for number, item in enumerate(items):
            if number % STEP_EVERY == 0:
                self._step()
            yield item


def record_sizes(lengths: "Int64s") -> "Int64s":
    """Return the bytes that records of these payloads take: `record_bytes` of each."""
    blocks = -(-lengths // BLOCK_BYTES)
    return -(-(RECORD_HEADER_BYTES + 8 * blocks + lengths) // 8) * 8


def _make_folders(root: bytes, folder: bytes, made: set[bytes]) -> None:
    if folder in made:
        return
    _make_folders(root, os.path.dirname(folder), made)
    with contextlib.suppress(FileExistsError):
        os.mkdir(os.path.join(root, folder), 0o755)
    made.add(folder)


def _write_file(path: bytes, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def main() -> None:
    """Serve until the engine goes away."""
    # Millions of entries and not one cycle: looking for some took half of the process's time.
    gc.disable()
    server, _, _ = start_child(1)
    compiler = Compiler(server)
    server.serve({name: (lane, getattr(compiler, name)) for name, lane in LANES.items()})
