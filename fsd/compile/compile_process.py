"""The compiler process: it owns a job's manifest in memory, so that the engine stays small.

One is started per job and ends with it. It reads manifests and batch parts from files, looks keys
up in the index (read-only), writes tree files, folders and inline texts, and holds the read plan
of a copy, of which the engine takes one segment at a time.
"""

import contextlib
import gc
import hashlib
import os
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from fsd.compile.compile_records import Item, Records, look_up
from fsd.disk_io.extract.extract import FILE_MODE
from fsd.format.batch_part import PartFile, latest, parse_files
from fsd.format.manifest.manifest import parse_manifest
from fsd.format.manifest.manifest_columns import Columns
from fsd.format.manifest.manifest_form import format_pieces
from fsd.format.manifest.manifest_keys import DedupMode, deduplicate
from fsd.format.record import BLOCK_BYTES, RECORD_HEADER_BYTES
from fsd.format.tree import TreeEntry
from fsd.format.tree_write import write_columns, write_tree
from fsd.planning.disk_model import DiskModel
from fsd.process.child import ChildServer, start_child
from fsd.store.index import Index

if TYPE_CHECKING:
    from fsd.compile.compile_records import UInt32s
    from fsd.planning.plan import Int32s, Int64s, ReadPlan

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
        self._entries = Columns()
        self._records = Records(self._entries)
        self._plan: ReadPlan | None = None

    def compile_batch(
        self, part_paths: list[str], tree_path: str, created_ns: int
    ) -> tuple[int, int]:
        """Write the tree of a batch from its parts, later ones first; returns (files, bytes)."""
        files: dict[str, tuple[str, int]] = {}
        for path in part_paths:
            files.update(_read_part(path))
            self._step()
        try:
            _write_batch(tree_path, files, created_ns)
        except ValueError:
            # A path was a file in one put and a folder in another.
            files = self._latest(part_paths)
            _write_batch(tree_path, files, created_ns)
        return len(files), sum(size for _, size in files.values())

    def _latest(self, part_paths: list[str]) -> dict[str, tuple[str, int]]:
        found = latest(self._newest_first(part_paths))
        return {path: (file.key, file.size_bytes) for path, file in found.items()}

    def _newest_first(self, part_paths: list[str]) -> Iterator[PartFile]:
        for part_path in reversed(part_paths):
            with open(part_path, "rb") as part:
                yield from reversed(parse_files(part.read()))
            self._step()

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
        kept, dropped, keyed = deduplicate(parsed.columns, dedup)
        del parsed
        index = Index(index_root, generation, readonly=True)
        with index.read() as reader:
            self._records = look_up(reader, kept, keyed, self._step)
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
            sum(kept.sizes),
            len(kept.texts),
            dropped,
        )

    def write_tree(self, tree_path: str, created_ns: int) -> None:
        """Write the loaded manifest's tree file."""
        write_columns(tree_path, self._entries, created_ns=created_ns, step=self._step)

    def plan(
        self, replicas: dict[int, list[int]], disks: list[DiskModel]
    ) -> tuple[list[SegmentHead], list[str], float, list[float]]:
        """Plan the reading of the loaded manifest's records.

        `replicas` maps shard numbers to positions in `disks`. Returns (segments, keys without a
        replica, ETA in seconds, seconds per disk).
        """
        # Importing numpy takes half of this process's start: only who plans waits for it.
        import numpy as np

        from fsd.planning.plan import plan_reads

        records = self._records
        # What no shard that we know has is unreadable, and so is the first number that none has.
        behind = max(replicas, default=0) + 1
        shards, shard = _dense(np.minimum(records.shard_numbers(), np.uint32(behind)))
        table = [replicas.get(number, []) for number in shards]
        # Passed without a name: the planner frees what it has used up.
        plan = self._plan = plan_reads(
            shard, records.offsets(), record_sizes(records.lengths()), table, disks
        )
        firsts = np.array([segment.first for segment in plan.segments], np.intp)
        files = np.add.reduceat(records.path_counts()[plan.order], firsts, dtype=np.int64)
        sizes = np.add.reduceat(records.lengths()[plan.order], firsts)
        heads = [
            SegmentHead(shards[segment.shard], segment.disk, segment.cost_s, count, size)
            for segment, count, size in zip(
                plan.segments, files.tolist(), sizes.tolist(), strict=True
            )
        ]
        unreadable = [records.key(item).hex() for item in plan.unreadable.tolist()]
        return heads, unreadable, plan.seconds, plan.disk_seconds

    def segment(self, number: int) -> list[Item]:
        """Return the items of a planned segment, by offset: (offset, length, key, paths)."""
        assert self._plan is not None
        segment = self._plan.segments[number]
        return self._records.items(self._plan.order[segment.first : segment.last].tolist())

    def prepare_folder(self, target: str) -> tuple[int, int]:
        """Make all folders of the manifest below `target` and write its inline texts.

        Returns (texts, bytes). Repeating it is harmless.
        """
        root, made, entries = os.fsencode(target), {b""}, self._entries
        for paths in entries.path_blocks():
            self._step()
            for folder in dict.fromkeys(path.rpartition(b"/")[0] for path in paths):
                _make_folders(root, folder, made)
        rest = iter(entries.texts)
        while numbers := list(islice(rest, STEP_EVERY)):
            self._step()
            for number, path in zip(numbers, entries.paths_of(numbers), strict=True):
                _write_file(os.path.join(root, path), entries.texts[number])
        return len(entries.texts), sum(map(len, entries.texts.values()))

    def _blocks(self, file: BinaryIO) -> Iterator[list[bytes]]:
        while block := file.readlines(READ_BYTES):
            self._step()
            yield block


def _read_part(path: str) -> dict[str, tuple[str, int]]:
    with open(path, "rb") as file:
        return {one.path: (one.key, one.size_bytes) for one in parse_files(file.read())}


def _write_batch(tree_path: str, files: dict[str, tuple[str, int]], created_ns: int) -> None:
    entries = (TreeEntry(path, bytes.fromhex(key), size) for path, (key, size) in files.items())
    write_tree(tree_path, entries, created_ns=created_ns)


def _dense(numbers: "UInt32s") -> "tuple[list[int], Int32s]":
    """Return (the shard numbers there are, ascending; the place among them of each record)."""
    import numpy as np

    # By a table over all numbers, which are given out one after the other: sorting them to find
    # the different ones takes twenty times the memory.
    places = np.zeros(int(numbers.max(initial=0)) + 1, np.int32)
    places[numbers] = 1
    found = np.flatnonzero(places)
    places[found] = np.arange(len(found), dtype=np.int32)
    return found.tolist(), places[numbers]


def record_sizes(lengths: "Int64s") -> "Int64s":
    """Return the bytes that records of these payloads take: `record_bytes` of each."""
    sizes = lengths + (BLOCK_BYTES - 1)
    sizes //= BLOCK_BYTES
    sizes *= 8
    sizes += lengths
    sizes += RECORD_HEADER_BYTES + 7
    sizes //= 8
    sizes *= 8
    return sizes


def _make_folders(root: bytes, folder: bytes, made: set[bytes]) -> None:
    missing: list[bytes] = []
    while folder not in made:  # A path may be deeper than calls can be nested.
        missing.append(folder)
        folder = os.path.dirname(folder)
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(root, one), 0o755)
        made.add(one)


def _write_file(path: bytes, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, FILE_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def main(fds: list[int]) -> None:
    """Serve until the engine goes away, see `start_child`."""
    # Millions of entries and not one cycle: looking for some took half of the process's time.
    gc.disable()
    server, _ = start_child(1, fds)
    compiler = Compiler(server)
    server.serve({name: (lane, getattr(compiler, name)) for name, lane in LANES.items()})
