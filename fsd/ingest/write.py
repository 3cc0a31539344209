"""BatchWrite: it owns one batch from a folder to its seal, never the shards.

The listing runs ahead in one thread, packing lanes take chunks from it. A batch is sealed when
every listed file is stored (skipped kinds do not count); with failures it stays open, and the
same put again resumes it. Who puts little and often keeps it open, and seals it in the end.
"""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from base.errors import UsageError
from fsd.compile import batch_tree
from fsd.documents.models import BatchWriteRequest
from fsd.format.batch_part import PartFile
from fsd.format.errors import FsdError, NotFoundError
from fsd.format.paths import check_identifier
from fsd.ingest.claims import Claims
from fsd.ingest.known_files import KnownFiles
from fsd.ingest.listing import Found, chunks, list_folder, list_given
from fsd.ingest.pack_lane import Known, PackLane, Reference
from fsd.ingest.packer import FileRead
from fsd.ingest.shard_writer import ShardWriter
from fsd.store.index import BatchRow, IndexWriter
from fsd.store.job import Job
from fsd.store.ssd import ballast
from fsd.store.store import Store

CHUNKS_AHEAD_MAX = 64
ROUNDS_MAX = 3
CANCEL_POLL_S = 1.0
IDLE_FLUSH_S = 5.0
PARTS_KEPT_BYTES_MAX = 16 << 20
"""Of parts that need not be read again for the listing: of some 100,000 files."""
OWN_SHARDS_MIN = 4
"""A batch of at least so many shards' bytes shares no shard with others."""


@dataclass(slots=True)
class _Waiting:
    found: Found
    read: FileRead
    future: "Future[bool]"


@dataclass(slots=True)
class _Counts:
    written: int = 0
    existing: int = 0
    skipped: int = 0
    failed: int = 0
    written_bytes: int = 0
    existing_bytes: int = 0
    skipped_kinds: dict[str, int] = field(default_factory=dict[str, int])


class BatchWrite:
    """One run of one batch; see `BatchFace` for what the lanes call."""

    def __init__(
        self,
        store: Store,
        shard_writer: ShardWriter,
        claims: Claims,
        request: BatchWriteRequest,
        job: Job,
        *,
        alias: str = "",
    ) -> None:
        """Open the batch; an `alias` makes it one of the store's own, never sealed or listed.

        The one file of such a batch is then known by its alias.
        """
        self.name = request.batch
        self._alias = alias
        self.class_name: str = request.class_name
        self._store = store
        self._writer = shard_writer
        self._claims = claims
        self._request = request
        self._job = job
        # Guards all below, between the lanes. After the index's writer; innermost.
        self._lock = threading.Lock()
        self._counts = _Counts()
        self._waiting: list[_Waiting] = []
        self._again: list[Found] = []
        self._known = KnownFiles()
        self._next_part = 0
        self._taken_bytes = 0
        self._parts: dict[bytes, bytes] = {}
        self._parts_bytes = 0
        self._target = store.config.copies(request.class_name)
        self._check_ssd()
        self.row = self._open_batch()

    def run(self) -> dict[str, Any]:
        """Store everything; returns the counts. Acknowledged files stay whatever happens."""
        try:
            return self._run()
        finally:
            self._claims.forget(self)
            self._known.close()
            # Nobody else may write into the batch's own shards: open they would only wait.
            self._writer.seal_idle(lambda shard: bool(shard.owner) and shard.owner == self.name)

    def _run(self) -> dict[str, Any]:
        job, request = self._job, self._request
        job.phase = "storing"
        if request.files is None:
            listed: Iterator[Found] = list_folder(request.folder)
        else:
            listed = list_given(request.folder, request.files)
        self._round(self._storable(listed))
        for _ in range(ROUNDS_MAX):
            if not self._again:
                break
            again, self._again = self._again, []
            self._round(iter(again))
        for found in self._again:
            self.fail(found, "its content could not be written; see `drystone health`")
        return self._finish()

    def _check_ssd(self) -> None:
        ballast.check_room(self._store.config.index_root, self._store.index.size_bytes())

    def _open_batch(self) -> BatchRow:
        store, name = self._store, self.name
        if not self._alias and (reason := check_identifier(name)):
            raise UsageError(f"the batch name {name!r} is refused: {reason}")
        with store.lock:
            in_doubt = any(purge.batch == name for purge in store.shards.state.purges.values())
        if in_doubt:
            raise UsageError(
                f"batch {name} is being purged, and a disk that knows how that ended is away; "
                "bring it back (`drystone health`), or use another name"
            )
        with store.index.read() as reader:
            row, parts = reader.batch(name), reader.batch_parts(name)
        with store.lock:
            purges = store.shards.state.purge_counts.get(name, 0)
            purged = name in store.shards.state.hidden_batches()
        if row is not None and (purged or row.purges != purges):
            # Its row is that of the purged one, and goes with all that would be put into it.
            reason = "and the index has not followed yet; try again (see `drystone warnings`)"
            raise FsdError(f"batch {name} was purged, {reason}")
        if row is None:
            now = time.time_ns()
            store.catalog.append(
                ("batch_open", {"batch": name, "class_name": self.class_name, "time_ns": now})
            )
            with store.lock:
                # The first one holds: there may be one that was refused before, see `append`.
                row = replace(store.shards.state.batches[name], purges=purges)
            with store.index.write() as writer:
                writer.put_batch(row)
        if row.class_name != self.class_name:
            raise UsageError(f"batch {name} is {row.class_name}; it cannot take {self.class_name}")
        if not self._alias:
            self._known.load(store, row, parts, listed=self._request.keep_open)
        self._next_part = row.part_count
        return row

    def _storable(self, listed: Iterator[Found]) -> Iterator[Found]:
        for found in listed:
            if found.skipped:
                self._skip(found)
            elif found.failed:
                self.fail(found, found.failed)
            else:
                self._job.total_files += 1
                self._job.total_bytes += found.size_bytes
                yield found._replace(path=self._alias) if self._alias else found

    def _round(self, files: Iterator[Found]) -> None:
        """Run lanes over the files, then settle those that waited for other groups.

        Each chunk starts a lane until there are enough: a small batch needs one.
        """
        work: queue.Queue[list[Found] | None] = queue.Queue(CHUNKS_AHEAD_MAX)
        errors: list[BaseException] = []
        lanes_max = 1 if self._alias else self._store.config.store.packer_processes
        lanes: list[PackLane] = []
        threads: list[threading.Thread] = []
        try:
            for chunk in chunks(files):
                self._job.check()
                self._check_ssd()
                if errors:
                    break
                if len(lanes) < lanes_max:
                    lanes.append(self._new_lane(len(lanes)))
                    threads.append(
                        threading.Thread(
                            target=self._drive, args=(lanes[-1], work, errors), daemon=True
                        )
                    )
                    threads[-1].start()
                work.put(chunk)
        except BaseException as error:
            errors.append(error)
        for _ in threads:
            work.put(None)
        for thread in threads:
            thread.join()
        try:
            if lanes and not errors:
                self._settle_waiting(lanes[0])
        finally:
            for lane in lanes:
                lane.close()
        if errors:
            raise errors[0]

    def _new_lane(self, number: int) -> PackLane:
        return PackLane(self._store, self._writer, self._claims, self, f"packer-{number}")

    def _drive(
        self, lane: PackLane, work: "queue.Queue[list[Found] | None]", errors: list[BaseException]
    ) -> None:
        while True:
            try:
                chunk = work.get(timeout=IDLE_FLUSH_S)
                if chunk is None:
                    break
                with self._lock:
                    self._taken_bytes += sum(found.size_bytes for found in chunk)
                if not errors:
                    lane.take(chunk)
                    self._job.check()
            except queue.Empty:
                # A slow listing must not keep what is packed from being acknowledged.
                self._flush_idle(lane, errors)
            except BaseException as error:
                errors.append(error)
        try:
            if not errors:
                lane.finish()
        except BaseException as error:
            errors.append(error)

    @staticmethod
    def _flush_idle(lane: PackLane, errors: list[BaseException]) -> None:
        try:
            lane.flush()
        except BaseException as error:
            errors.append(error)

    def _settle_waiting(self, lane: PackLane) -> None:
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            # Asked again: the other writer may have failed, or written it as generated.
            self._await(item.future)
            if self._claims.refer(item.read.key, self.class_name, self):
                lane.refer(item.found.path, item.read.key, item.read.size_bytes, "existing")
            else:
                self._again.append(item.found)
        lane.finish()

    def _await(self, future: "Future[bool]") -> None:
        while True:
            try:
                future.result(timeout=CANCEL_POLL_S)
                return
            except TimeoutError:
                self._job.check()

    def _finish(self) -> dict[str, Any]:
        counts = self._counts
        if self._alias:
            return {"failed": counts.failed}
        if not counts.failed and not self.row.sealed and not self._request.keep_open:
            # Barrier: every part is durable; sealing only says that no more will come.
            self._store.catalog.append(("batch_seal", {"batch": self.name}))
            self.row.sealed = True
        self._job.phase = "listing the batch"
        batch_tree.compile_batch(
            self._store, self.row, self._parts, add_to_former=self._request.keep_open
        )
        return {
            "batch": self.name,
            "sealed": self.row.sealed,
            "written": counts.written,
            "existing": counts.existing,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "written_bytes": counts.written_bytes,
            "existing_bytes": counts.existing_bytes,
            "skipped_kinds": counts.skipped_kinds,
            "incomplete": counts.failed > 0,
        }

    def shard_owner(self) -> str:
        """Return the batch's name once it is big; see BatchFace.

        A purge of it then unlinks whole shards. What was packed before lies in shared ones.
        """
        known_bytes = max(self.row.size_bytes, self._job.total_bytes)
        own = known_bytes >= OWN_SHARDS_MIN * self._store.config.store.shard_size_bytes
        return self.name if own and not self._alias else ""

    def expected_bytes(self) -> int:
        """Return how much is listed and in no lane's hands yet; see BatchFace."""
        return self._job.total_bytes - self._taken_bytes

    def next_part(self) -> int:
        """Return a part number that was never used in this batch."""
        with self._lock:
            self._next_part += 1
            return self._next_part - 1

    def known(self, found: Found, read: FileRead) -> Known:
        """Return whether the batch lists this path with this content already; see BatchFace."""
        key = self._known.key(found.path)
        if key is None and not self.row.sealed:
            return "new"
        if key is not None and key == read.key.hex():
            if self._known.has_lost_parts or not self._claims.stored(read.key, self.class_name):
                return "new"  # Listed, but not whole any more, or by whom is lost: once again.
            return "listed"
        if self.row.sealed:
            what = "is not in it" if key is None else "has other content in it"
            self.fail(found, f"batch {self.name} is sealed and this file {what}; use a new batch")
            return "refused"
        return "new"

    def confirm(self, found: Found, read: FileRead) -> None:
        """Report a file that the batch lists, and whose content was read back; see BatchFace."""
        file = PartFile(found.path, read.key.hex(), read.size_bytes)
        self.acknowledge([Reference(file, "existing")], self._store.ack_copies(self.class_name))

    def try_again(self, found: Found) -> None:
        """Take a file in the next round; see BatchFace."""
        with self._lock:
            self._again.append(found)

    def wait_for(self, found: Found, read: FileRead, future: "Future[bool]") -> None:
        """Keep a file whose bytes another group is writing; see BatchFace."""
        with self._lock:
            self._waiting.append(_Waiting(found, read, future))

    def fail(self, found: Found, reason: str) -> None:
        """Report a file that could not be stored; see BatchFace."""
        with self._lock:
            self._counts.failed += 1
        self._job.report(_line(found.path, "failed", reason=reason))

    def _skip(self, found: Found) -> None:
        self._counts.skipped += 1
        kinds = self._counts.skipped_kinds
        kinds[found.skipped] = kinds.get(found.skipped, 0) + 1
        self._job.report(_line(found.path, "skipped", reason=found.skipped))

    def acknowledge(self, references: list[Reference], copies: int) -> None:
        """Report files whose part is durable; see BatchFace."""
        written = [r.file.size_bytes for r in references if r.status == "written"]
        existing = [r.file.size_bytes for r in references if r.status != "written"]
        with self._lock:
            self._counts.written += len(written)
            self._counts.written_bytes += sum(written)
            self._counts.existing += len(existing)
            self._counts.existing_bytes += sum(existing)
        self._job.advance(len(references), sum(written) + sum(existing))
        self._job.report_lines("".join(self._acknowledgements(references, copies)))
        self._job.flush_report()

    def _acknowledgements(self, references: list[Reference], copies: int) -> Iterator[str]:
        # Only a path has anything to escape; a dictionary and an encoder for each file would take
        # as long as storing it.
        tail = f'"copies": {copies}, "copies_target": {self._target}, "reason": null}}\n'
        for reference in references:
            path, key, size_bytes = reference.file
            known = f'"key": "{key}", "size_bytes": {size_bytes}, "status": "{reference.status}"'
            yield f'{{"path": {_encode(path)}, {known}, {tail}'

    def index_part(
        self, writer: IndexWriter, number: int, key: bytes, references: list[Reference]
    ) -> None:
        """Add a part to the batch's row in the group's own transaction; see BatchFace."""
        with self._lock:
            writer.add_batch_part(self.row, number, key)
            self.row.files += len(references)
            self.row.size_bytes += sum(reference.file.size_bytes for reference in references)
            writer.put_batch(self.row)

    def keep_part(self, key: bytes, part: bytes) -> None:
        """Keep a part for the listing, as long as there is room; see BatchFace."""
        with self._lock:
            self._parts_bytes += len(part)
            if self._parts_bytes <= PARTS_KEPT_BYTES_MAX:
                self._parts[key] = part


_encode: Callable[[str], str] = json.JSONEncoder().encode


def _line(path: str, status: str, *, reason: str) -> dict[str, Any]:
    return {
        "path": path,
        "key": None,
        "size_bytes": None,
        "status": status,
        "copies": 0,
        "copies_target": 0,
        "reason": reason,
    }


def seal_batch(store: Store, name: str) -> BatchRow:
    """Say that no more will come into a batch; only while nobody puts into it.

    NotFoundError when there is none of this name. A sealed one stays as it is.
    """
    with store.index.read() as reader:
        row = reader.batch(name)
    with store.lock:
        hidden = name in store.shards.state.hidden_batches()
    if row is None or hidden:
        raise NotFoundError(f"there is no batch {name}; `drystone ls` lists them")
    if not row.sealed:
        store.catalog.append(("batch_seal", {"batch": name}))
        # Barrier: it is sealed. A crash here leaves a row that says open, which the roll-forward
        # of the next start puts right.
        with store.index.write() as writer:
            row = writer.batch(name) or row
            row.sealed = True
            writer.put_batch(row)
    return row


def check_folder(folder: str) -> None:
    """Raise UsageError unless `folder` is a readable folder."""
    if not os.path.isdir(folder):
        raise UsageError(f"{folder} is not a folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise FsdError(f"{folder} cannot be read; check its permissions")
