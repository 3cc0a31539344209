"""A copy on the SSD: it owns making a loaded manifest into a sealed folder of an area.

    reserve -> plan -> folders -> parts, each extracted as a whole -> manifest durable -> seal

The manifest is stored beside the reading, and waited for before the seal. What an interrupted
attempt made durable, part by part, is taken up by the next one. It never reads a manifest or a
shard: the compiler does the one, `copy_run` and the disk processes the other.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.files import parse_json, sync_filesystem
from base.text import count_text
from fsd.compile.compile_process import ManifestSummary, SegmentHead
from fsd.disks.disks import Disk
from fsd.disks.seal import begin, clear, confirm_sealed, discard, open_filesystem, seal
from fsd.export.copy_run import CopyRun, Unreadable
from fsd.format.errors import NoReplicaError, QuotaError, SealedMismatchError
from fsd.process.process import Child
from fsd.store.job import Job, timestamp
from fsd.store.ssd.areas import Areas
from fsd.store.store import Store

BLOCK_BYTES = 4096
UNREADABLE_LISTED_MAX = 20


# ---- Parts of a copy, and their journal ----------------------------------------------------------
# Parts of a copy: it owns cutting a job by bytes and remembering which parts are durable.
#
# A part is a run of segments. When all of it is written, one syncfs makes it durable and the
# journal says so; a job that starts again skips the parts that are journalled.

JOURNAL_NAME = "_PARTS"


def cut_parts(sizes: Sequence[int], limit_bytes: int) -> list[range]:
    """Cut consecutive segments into parts of at most `limit_bytes` (one segment at least)."""
    parts: list[range] = []
    start = size = 0
    for number, segment_bytes in enumerate(sizes):
        if number > start and size + segment_bytes > limit_bytes:
            parts.append(range(start, number))
            start, size = number, 0
        size += segment_bytes
    if start < len(sizes):
        parts.append(range(start, len(sizes)))
    return parts


class Journal:
    """The durable parts of one temporary folder, valid for one plan of one manifest.

    `plan_digest` names manifest and segments: parts of another plan say nothing about this one.
    """

    def __init__(self, temporary: Path, plan_digest: str) -> None:
        self._path = temporary / JOURNAL_NAME
        self._plan_digest = plan_digest
        self._parts: dict[str, int] = {}
        try:
            document = parse_json(self._path.read_bytes())
            if document["plan"] == plan_digest:
                self._parts = dict(document["parts"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass

    @property
    def empty(self) -> bool:
        """Return whether nothing is journalled, so that there is nothing to resume."""
        return not self._parts

    def has(self, part: range) -> bool:
        """Return whether the part was made durable by an earlier attempt."""
        return self._name(part) in self._parts

    def size_bytes(self, part: range) -> int:
        """Return the bytes an earlier attempt wrote for the part."""
        return self._parts[self._name(part)]

    def add(self, part: range, size_bytes: int, filesystem_fd: int) -> None:
        """Journal a part after making everything written so far durable."""
        # Barrier: files before the line that vouches for them.
        sync_filesystem(filesystem_fd)
        self._parts[self._name(part)] = size_bytes
        temporary = self._path.with_name(JOURNAL_NAME + ".tmp")
        with open(temporary, "w", encoding="ascii") as file:
            json.dump({"plan": self._plan_digest, "parts": self._parts}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)

    def remove(self) -> None:
        """Delete the journal: it must not be sealed in with the files."""
        self._path.unlink(missing_ok=True)

    @staticmethod
    def _name(part: range) -> str:
        return f"{part.start}-{part.stop}"


# ---- The copy ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of it; `already_sealed` by an earlier job, and then there is nothing `more`."""

    already_sealed: bool
    more: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Planning:
    """A plan that the compiler is working on, and the disks in its order."""

    answer: "Future[Any]"
    disks: list[Disk]


class Copying:
    """One copy of the manifest that `child` has loaded; one use.

    `document` is the job document that is sealed in; `store_manifest` makes the manifest an object
    of the store; `accept` is told the reservation as soon as nothing refuses the job any more.
    """

    def __init__(
        self,
        store: Store,
        areas: Areas,
        child: Child,
        job: Job,
        summary: ManifestSummary,
        document: dict[str, Any],
        store_manifest: Callable[[], None],
        accept: Callable[[str | None], None],
    ) -> None:
        self._store = store
        self._areas = areas
        self._child = child
        self._job = job
        self._summary = summary
        self._document = document
        self._store_manifest = store_manifest
        self._accept = accept

    def run(self, area: str, final: Path) -> Copied:
        """Make the copy as `final`, below the area's folder."""
        summary, job = self._summary, self._job
        area_root = Path(self._store.config.area_path(area))
        if confirm_sealed(final, area_root, self._document) is not None:
            self._store_manifest()  # It may be lost since.
            self._accept(None)
            job.advance(summary.files, summary.size_bytes)
            return Copied(True, {})
        if final.exists():
            raise SealedMismatchError(f"{final} exists and is not ours (no seal); remove it first")
        job.phase = "reserving room"
        size = summary.size_bytes + summary.files * BLOCK_BYTES
        reservation = self._areas.reserve(area, job.job_id, size, summary.files)
        try:
            self._accept(reservation.id)
            planning = self._begin_plan()
            # It takes a dozen syncs on two disks: as long as copying a hundred megabytes.
            with ThreadPoolExecutor(1, "manifest") as beside:
                storing = beside.submit(self._store_manifest)
                temporary = begin(final, area_root)
                try:
                    more = self._extract(planning, storing, temporary, final)
                except BaseException as error:
                    # Durable parts are kept for the next try, unless room is what was missing.
                    if isinstance(error, QuotaError) or not (temporary / JOURNAL_NAME).exists():
                        discard(temporary)
                    raise
            self._areas.consume(reservation.id)
        finally:
            self._areas.release(reservation.id)
        return Copied(False, more)

    def _begin_plan(self) -> _Planning:
        store = self._store
        disks = [disk for disk in store.disks.disks.values() if disk.readable]
        place = {disk.disk_id: number for number, disk in enumerate(disks)}
        with store.lock:
            numbers = dict(store.shards.ids)
        replicas = {
            number: [place[disk.disk_id] for disk in store.preferred_replicas(shard_id)]
            for number, shard_id in numbers.items()
        }
        models = [store.models.model(disk.disk_id) for disk in disks]
        return _Planning(self._child.request("plan", replicas, models), disks)

    def _extract(
        self, planning: _Planning, storing: "Future[None]", temporary: Path, final: Path
    ) -> dict[str, Any]:
        job = self._job
        filesystem_fd = open_filesystem(temporary)
        try:
            job.phase = "planning"
            planned, unreadable, eta_s, _ = planning.answer.result()
            heads = [SegmentHead(*head) for head in planned]
            if unreadable:
                raise NoReplicaError(_losses(unreadable), unreadable)
            journal = Journal(temporary, _plan_digest(self._summary, heads))
            if journal.empty:
                # What lies here is of an attempt that vouches for nothing, perhaps with another
                # manifest: none of it may be sealed in.
                clear(temporary)
            job.phase = "making folders"
            texts, text_bytes = self._child.call("prepare_folder", str(temporary))
            job.advance(texts, text_bytes)
            job.phase = "copying"
            started = time.monotonic()
            run = CopyRun(self._store, self._child, str(temporary), job)
            done = self._copy_parts(run, heads, planning.disks, storing, journal, filesystem_fd)
            spent_s = time.monotonic() - started
            journal.remove()
            self._seal(storing, temporary, final, filesystem_fd)
        finally:
            os.close(filesystem_fd)
        return {
            "planned_s": eta_s,
            "copying_s": spent_s,
            **self._compare(run, done, planning.disks, spent_s),
        }

    def _copy_parts(
        self,
        run: CopyRun,
        heads: list[SegmentHead],
        disks: list[Disk],
        storing: "Future[None]",
        journal: Journal,
        filesystem_fd: int,
    ) -> list[SegmentHead]:
        """Copy the parts that no earlier attempt made durable; returns their segments."""
        job, done = self._job, list[SegmentHead]()
        limit = self._store.config.store.batch_size_bytes
        parts = cut_parts([head.size_bytes for head in heads], limit)
        for part in parts:
            job.check()
            if storing.done():
                storing.result()  # Without its manifest nothing will be sealed.
            if journal.has(part):
                job.advance(sum(heads[n].files for n in part), journal.size_bytes(part))
                continue
            before = job.done_bytes
            run.run(heads, list(part), disks)
            done += [heads[n] for n in part]
            if len(parts) > 1 and not run.unreadable:
                journal.add(part, job.done_bytes - before, filesystem_fd)
        if run.unreadable:
            raise NoReplicaError(*self._report(run.unreadable))
        return done

    def _seal(
        self, storing: "Future[None]", temporary: Path, final: Path, filesystem_fd: int
    ) -> None:
        job, summary, document = self._job, self._summary, self._document
        document["actual_files"] = job.done_files
        document["actual_bytes"] = job.done_bytes
        if (job.done_files, job.done_bytes) != (summary.files, summary.size_bytes):
            raise NoReplicaError("the count of files does not match the manifest; try again")
        document["finished"] = timestamp()
        job.phase = "storing the manifest"
        # Barrier: the manifest is durable before the copy that it names is sealed. A crash before
        # this leaves a folder that nobody takes for the copy.
        storing.result()
        job.phase = "sealing"
        seal(temporary, final, document, filesystem_fd=filesystem_fd)

    def _compare(
        self, run: CopyRun, done: list[SegmentHead], disks: list[Disk], spent_s: float
    ) -> dict[str, Any]:
        """What the plan said of the parts that this attempt copied, against what they took."""
        planned = [0.0] * len(disks)
        for head in done:
            planned[head.disk] += head.cost_s
        by_disk: dict[str, dict[str, float]] = {}
        for disk_id, (planned_s, busy_s) in run.disk_seconds.items():
            self._store.models.note_copy(disk_id, planned_s, busy_s)
            name = self._store.disks.disks[disk_id].name
            by_disk[name] = {"planned_s": planned_s, "busy_s": busy_s}
        measured = sum(self._store.models.get(disk.disk_id) is not None for disk in disks)
        return {
            "achieved_over_plan": max(planned, default=0.0) / spent_s if done else None,
            "measured_disks": measured,
            "planned_disks": len(disks),
            "disks": by_disk,
            "phases_s": self._job.phases_s(),
        }

    def _report(self, unreadable: list[Unreadable]) -> tuple[str, list[str]]:
        for item in unreadable:
            for path in item.paths:
                self._job.report({"path": path, "key": item.key, "reason": item.reason})
        keys = [item.key for item in unreadable]
        return _losses(keys), keys


def _plan_digest(summary: ManifestSummary, heads: list[SegmentHead]) -> str:
    segments = [(head.shard_number, head.files, head.size_bytes) for head in heads]
    return hashlib.sha256(repr((summary.sha256, segments)).encode()).hexdigest()


def _losses(keys: list[str]) -> str:
    listed = ", ".join(keys[:UNREADABLE_LISTED_MAX])
    count = count_text(len(keys), "object")
    return f"{count} cannot be read from any disk now: {listed}; see `drystone health`"
