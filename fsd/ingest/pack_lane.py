"""A packing lane: it owns one packer process and turns chunks of files into committed groups.

While groups are written and verified by the disks, the lane packs the next one into another slot.
Files are acknowledged group by group, after the index commit.
"""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from base.errors import DrystoneError
from fsd.format.batch_part import PartFile, estimate_bytes, format_part
from fsd.format.errors import FsdError
from fsd.format.group import GROUP_RECORDS_MAX
from fsd.format.record import RECORD_BATCH_PART, iterate_entries
from fsd.ingest import packer
from fsd.ingest.claims import Claims
from fsd.ingest.listing import Found
from fsd.ingest.open_shard import Append, OpenShard, begin_append
from fsd.ingest.packer import FileRead
from fsd.ingest.read_back import read_back
from fsd.ingest.shard_writer import BuiltGroup, ShardWriter
from fsd.process.process import Child
from fsd.process.slots import Slot
from fsd.store.index import IndexWriter
from fsd.store.ssd import ballast
from fsd.store.store import PART_BYTES_MAX, Store

PART_BYTES_SOFT = PART_BYTES_MAX // 2
GROUP_OVERHEAD_BYTES = 8192
LARGE_TRIES_MAX = 3
LOST_DISK = "disks failed while this large file was written; see health"
LARGER_BYTES_MIN = 256 << 10
"""A few of them side by side that nobody wants cost less to jump over than to read through."""
# The source may be a network folder: it gets more patience than a disk of the store.
SOURCE_TIMEOUT_S = 120.0


COMMITS_MAX = 4
COMMITS_BYTES_MAX = 64 << 20
"""Of the groups that a lane lets the disks write at the same time. What waits at one disk is
written in one sweep: of small groups, as small disks have, the heads' ways are most of the time."""
PROVEN_KEPT_MAX = 65_536
"""Keys of which a lane remembers that it read them back: of some 10 MB."""

Known: TypeAlias = Literal["listed", "refused", "new"]


def commits_at_once(group_bytes: int) -> int:
    """Return how many groups of this size a lane lets the disks write at the same time."""
    return max(1, min(COMMITS_MAX, COMMITS_BYTES_MAX // group_bytes))


class BatchFace(Protocol):
    """What a lane needs of the batch it works for."""

    name: str
    class_name: str

    def next_part(self) -> int:
        """Return a part number that was never used."""
        ...

    def shard_owner(self) -> str:
        """Return the batch's name when it is big enough for shards of its own, else nothing."""
        ...

    def expected_bytes(self) -> int:
        """Return how many bytes are listed and in no lane's hands yet; may be below 0."""
        ...

    def known(self, found: Found, read: FileRead) -> Known:
        """Return whether the batch lists this file already, or refuses it (and reported that)."""
        ...

    def confirm(self, found: Found, read: FileRead) -> None:
        """Report a file that the batch lists already, and whose content was read back."""
        ...

    def try_again(self, found: Found) -> None:
        """Keep a file whose stored content could not be read back, for another round."""
        ...

    def wait_for(self, found: Found, read: FileRead, future: "Future[bool]") -> None:
        """Keep a file whose bytes another group is writing."""
        ...

    def fail(self, found: Found, reason: str) -> None:
        """Report a file that could not be stored."""
        ...

    def acknowledge(self, references: "list[Reference]", copies: int) -> None:
        """Report files whose part is durable."""
        ...

    def index_part(
        self, writer: IndexWriter, number: int, key: bytes, references: "list[Reference]"
    ) -> None:
        """Add a part to the batch's row in the group's own index transaction."""
        ...

    def keep_part(self, key: bytes, part: bytes) -> None:
        """Take the bytes of a part that is durable; they are wanted at the end."""
        ...


class _LostDiskError(FsdError):
    """A disk failed under a large file: it is written again, to other disks."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One path of the batch and how its content got here."""

    file: PartFile
    status: str


@dataclass(slots=True)
class _Filling:
    """The group under construction."""

    shard: OpenShard
    slot: Slot
    keys: list[bytes] = field(default_factory=list[bytes])
    references: list[Reference] = field(default_factory=list[Reference])
    part_bytes: int = 0
    part_number: int = 0
    part: bytes = b""


class PackLane:
    """One packer and its commits; used by one thread."""

    def __init__(
        self, store: Store, shard_writer: ShardWriter, claims: Claims, batch: BatchFace, label: str
    ) -> None:
        self._store = store
        self._writer = shard_writer
        self._claims = claims
        self._batch = batch
        self._child = Child(
            "fsd.ingest.packer", label, packer.LANES, store.pool, stall_timeout_s=SOURCE_TIMEOUT_S
        )
        store.disks.watch(self._child)
        sizes = store.config.store
        self._group_bytes = min(sizes.group_size_bytes, sizes.shard_size_bytes)
        self._commits_max = commits_at_once(sizes.group_size_bytes)
        self._commits = ThreadPoolExecutor(self._commits_max, f"commit-{label}")
        self._committing: deque[Future[None]] = deque()
        self._filling: _Filling | None = None
        self._large_bytes = self._group_bytes // 2
        self._larger_first = True
        self._begun: dict[bytes, OpenShard] = {}
        self._proven: set[bytes] = set()

    def take(self, chunk: list[Found]) -> None:
        """Read, decide and pack one chunk."""
        paths = [os.fsencode(found.real_path) for found in chunk]
        reads: list[FileRead] = self._child.call("read_chunk", paths, self._large_bytes)
        wanted: list[tuple[int, Found, FileRead]] = []
        fresh: list[tuple[int, Found, FileRead]] = []
        listed: list[tuple[Found, FileRead]] = []
        for position, (found, read) in enumerate(zip(chunk, reads, strict=True)):
            if read.reason:
                self._batch.fail(found, read.reason)
            elif (known := self._batch.known(found, read)) == "new":
                fresh.append((position, found, read))
            elif known == "listed":
                listed.append((found, read))
        keys = [read.key for _, _, read in fresh]
        decisions = self._claims.decide(keys, self._batch.class_name, self._batch)
        existing: list[tuple[Found, FileRead]] = []
        for (position, found, read), decision in zip(fresh, decisions, strict=True):
            if decision == "existing":
                existing.append((found, read))
            elif decision == "claimed":
                wanted.append((position, found, read))
            else:
                self._batch.wait_for(found, read, decision)
        self._larger_first = not self._larger_first
        # What was claimed comes first: `_pack` settles it, whatever happens.
        self._pack(arranged(wanted, self._larger_first))
        proven = self._read_back([read.key for _, read in listed + existing])
        for found, read in listed:
            if read.key in proven:
                self._batch.confirm(found, read)
            else:
                self._batch.try_again(found)
        for found, read in existing:
            if read.key in proven:
                self.refer(found.path, read.key, read.size_bytes, "existing")
            else:
                self._claims.release(self._batch, [read.key])
                self._batch.try_again(found)

    def _read_back(self, keys: list[bytes]) -> set[bytes]:
        """Return the keys of which a copy was read back, now or before in this lane."""
        if not self._store.config.store.read_back:
            return set(keys)
        if len(self._proven) > PROVEN_KEPT_MAX:
            self._proven.clear()
        self._proven |= read_back(self._store, [key for key in keys if key not in self._proven])
        return self._proven

    def refer(self, path: str, key: bytes, size_bytes: int, status: str) -> None:
        """Put a path whose content is durable (or in this group) into the group's part."""
        filling = self._open(0)
        reference = Reference(PartFile(path, key.hex(), size_bytes), status)
        filling.references.append(reference)
        filling.part_bytes += estimate_bytes(path)
        full = len(filling.references) >= GROUP_RECORDS_MAX
        if full or filling.part_bytes > PART_BYTES_SOFT:
            self.flush()

    def flush(self, *, last: bool = False) -> None:
        """Close the group under construction and hand it to the committing thread.

        After the `last` one nobody else writes into a shard that is the batch's own.
        """
        filling, self._filling = self._filling, None
        if filling is None:
            return
        try:
            index = self._store.index
            is_scarce = ballast.is_scarce(index.index_root, index.size_bytes())
            self._wait_commits(0 if is_scarce else self._commits_max - 1)
            filling.part_number = self._batch.next_part()
            filling.part = format_part(
                self._batch.name,
                self._batch.class_name,
                filling.part_number,
                (reference.file for reference in filling.references),
            )
            length, digest, entries = self._child.call("finish_group", filling.part)
        except BaseException as error:
            try:
                self._give_up(filling, error)
            finally:
                self._writer.release(filling.shard)
            raise
        group = BuiltGroup(filling.slot, length, digest, entries)
        own = last and bool(filling.shard.owner)
        self._committing.append(self._commits.submit(self._commit_group, filling, group, own))

    def finish(self) -> None:
        """Commit what is left and wait for it; raises what a commit raised."""
        self.flush(last=True)
        self._wait_commits(0)

    def close(self) -> None:
        """End the packer; whatever was not committed was not acknowledged either."""
        self._child.kill()
        self._commits.shutdown(wait=True)
        filling, self._filling = self._filling, None
        if filling is not None:
            try:
                self._give_up(filling, FsdError("the batch was stopped"))
            finally:
                self._writer.release(filling.shard)

    def _pack(self, wanted: list[tuple[int, Found, FileRead]]) -> None:
        remaining = wanted
        try:
            self._begin_large([read for _, _, read in wanted if read.large])
            while remaining:
                _, found, read = remaining[0]
                if read.large:
                    remaining = remaining[1:]
                    self._write_large(found, read)
                    continue
                small = _leading_small(remaining)
                filling = self._open(read.size_bytes)
                items = [(position, read.key) for position, _, read in small]
                packed = len(self._child.call("pack", items))
                # All keys first: `refer` may flush, and the group that has them then is this one.
                filling.keys += [read.key for _, _, read in small[:packed]]
                remaining = remaining[packed:]
                for _, found, read in small[:packed]:
                    self.refer(found.path, read.key, read.size_bytes, "written")
                if packed < len(small):
                    self.flush()
        except BaseException:
            self._claims.settle([read.key for _, _, read in remaining], written=False)
            raise
        finally:
            begun, self._begun = self._begun, {}
            self._writer.end_unused(begun.values())

    def _begin_large(self, reads: list[FileRead]) -> None:
        """Begin the shards of a chunk's large files: the catalogs are told of them in one go."""
        if len(reads) > 1:
            sizes = [_large_shard_bytes(read) for read in reads]
            try:
                shards = self._writer.create_large(self._batch.class_name, sizes)
            except DrystoneError:
                return  # Each of them tries by itself, and says what became of it.
            self._begun = {read.key: shard for read, shard in zip(reads, shards, strict=False)}

    def _open(self, need_bytes: int) -> _Filling:
        if self._filling is not None:
            return self._filling
        slot = self._store.pool.acquire()
        try:
            shard = self._writer.lease(
                self._batch.class_name,
                need_bytes + GROUP_OVERHEAD_BYTES,
                self._batch.shard_owner(),
                # Of what is stored already nothing is written: a part alone says nothing of it.
                self._batch.expected_bytes() if need_bytes else 0,
            )
        except BaseException:
            self._store.pool.release(slot)
            raise
        capacity = min(self._group_bytes, shard.room_bytes)
        self._filling = _Filling(shard, slot)
        self._child.call(
            "begin_group",
            slot.number,
            capacity,
            bytes.fromhex(shard.shard_id),
            len(shard.digests),
            shard.next_sequence,
        )
        return self._filling

    def _commit_group(self, filling: _Filling, group: BuiltGroup, last: bool) -> None:
        part_key = _part_key(group.entries)

        def extra(writer: IndexWriter, _shard: OpenShard, _base: int) -> None:
            self._batch.index_part(writer, filling.part_number, part_key, filling.references)

        try:
            read_back = self._store.config.store.read_back
            shard = self._writer.commit(filling.shard, group, extra, last=last, read_back=read_back)
        except BaseException as error:
            self._give_up(filling, error)
            raise
        self._claims.settle(filling.keys, written=True)
        self._batch.keep_part(part_key, filling.part)
        self._release(filling)
        # Acknowledged here and not before: bytes verified (unless `read_back` is off), catalog and
        # index durable.
        try:
            self._batch.acknowledge(filling.references, len(shard.disks))
        finally:
            self._store.pool.release(filling.slot)
            self._writer.release(shard)

    def _release(self, filling: _Filling) -> None:
        """End the holds: the part is in the index, or there will be none."""
        keys = (bytes.fromhex(reference.file.key) for reference in filling.references)
        self._claims.release(self._batch, keys)

    def _give_up(self, filling: _Filling, error: BaseException) -> None:
        self._claims.settle(filling.keys, written=False)
        self._release(filling)
        self._store.pool.release(filling.slot)
        for reference in filling.references:
            found = Found(reference.file.path, "", reference.file.size_bytes)
            self._batch.fail(found, f"not stored: {error}")

    def _wait_commits(self, left: int) -> None:
        """Wait for those that began first until so many are left; raises what one raised."""
        while len(self._committing) > left:
            self._committing.popleft().result()

    def _write_large(self, found: Found, read: FileRead) -> None:
        written = False
        try:
            for tries_left in reversed(range(LARGE_TRIES_MAX)):
                try:
                    self._stream(found, read)
                    break
                except _LostDiskError:
                    if not tries_left:
                        raise
            written = True
        except DrystoneError as error:
            self._batch.fail(found, str(error))
            return
        finally:
            self._claims.settle([read.key], written=written)
        self.refer(found.path, read.key, read.size_bytes, "written")

    def _stream(self, found: Found, read: FileRead) -> None:
        """Stream one large file into a shard of its own; its part follows in a later group."""
        shard = self._begun.pop(read.key, None)
        if shard is not None and not shard.whole:
            self._writer.end_unused([shard])
            shard = None
        if shard is None:
            size = _large_shard_bytes(read)
            shard = self._writer.create(self._batch.class_name, size, large=True)
        try:
            digest, entry = self._fill_large(shard, found, read)
        except DrystoneError:
            self._writer.abandon(shard)
            raise
        self._writer.commit_large(shard, digest, entry)

    def _fill_large(self, shard: OpenShard, found: Found, read: FileRead) -> tuple[bytes, bytes]:
        path = os.fsencode(found.real_path)
        shard_id = bytes.fromhex(shard.shard_id)
        call, read_back = self._child.call, self._store.config.store.read_back
        total = int(call("begin_large", path, read.key, read.size_bytes, shard_id))
        offset = shard.length_bytes
        pieces: deque[tuple[Append, Slot]] = deque()
        try:
            while True:
                slot, count = self._fill_slot(pieces)
                if count == 0:
                    break
                piece = begin_append(self._store, shard, offset, slot, count, read_back=read_back)
                pieces.append((piece, slot))
                offset += count
        finally:
            ended = [self._end_piece(*piece) for piece in pieces]
        if not all(ended):
            raise _LostDiskError(LOST_DISK)
        if offset - shard.length_bytes != total:
            raise FsdError("the file changed while it was read; put it again when it is quiet")
        digest, entry = call("finish_large")
        return digest, entry

    def _fill_slot(self, pieces: "deque[tuple[Append, Slot]]") -> tuple[Slot, int]:
        """Return a slot with the next bytes of the large file, and how many; 0 at its end."""
        slot, count = self._slot_for_piece(pieces), 0
        try:
            count = int(self._child.call("fill_large", slot.number, self._group_bytes))
        finally:
            if count == 0:
                self._store.pool.release(slot)
        return slot, count

    def _slot_for_piece(self, pieces: "deque[tuple[Append, Slot]]") -> Slot:
        """Return a slot for the next piece; one more only where one is free just now."""
        pool = self._store.pool
        if not pieces:
            return pool.acquire()
        slot = pool.acquire_now() if len(pieces) < self._commits_max else None
        while slot is None:
            if not self._end_piece(*pieces.popleft()):
                raise _LostDiskError(LOST_DISK)
            slot = pool.acquire_now() if pieces else pool.acquire()
        return slot

    def _end_piece(self, piece: Append, slot: Slot) -> bool:
        """Wait for a piece of a large file; False when a disk of its shard failed."""
        try:
            return piece.end(self._store)
        finally:
            self._store.pool.release(slot)


def arranged(
    wanted: list[tuple[int, Found, FileRead]], larger_first: bool
) -> list[tuple[int, Found, FileRead]]:
    """Return the files of a chunk as they shall lie: the small ones together, and the larger ones.

    Each kind stays in its order, that of the folder. Of an export of some of them the small ones
    are read at one go, and the head jumps over fewer, longer stretches of larger ones: a random
    half of the mixed corpus of bench.disks takes a quarter less jumps. A chunk that begins with
    what the one before it ended with makes these stretches longer still.
    """
    return sorted(wanted, key=lambda one: (one[2].size_bytes >= LARGER_BYTES_MIN) != larger_first)


def _large_shard_bytes(read: FileRead) -> int:
    return read.size_bytes + read.size_bytes // 4096 + (1 << 20)


def _leading_small(items: list[Any]) -> list[Any]:
    end = next((n for n, (_, _, read) in enumerate(items) if read.large), len(items))
    return items[:end]


def _part_key(entries: bytes) -> bytes:
    parts = [entry.key for entry in iterate_entries(entries) if entry.flags == RECORD_BATCH_PART]
    return parts[-1]
