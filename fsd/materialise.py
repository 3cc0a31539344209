"""Materialise: it owns making a manifest into a directory, as a copy on the SSD or as a view.

Both begin alike: the manifest is checked and resolved as a whole, becomes an object of the store
(the view pins it), and its hash names the job. A copy is then reserved, planned, extracted part by
part, and committed by one rename; a view is a tree file and an entry in the catalog.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsd.areas import Areas
from fsd.batch_tree import compiler, remove_tree, scratch_folder
from fsd.compile_process import ManifestSummary, SegmentHead
from fsd.copy_run import CopyRun, Unreadable
from fsd.disks import Disk
from fsd.errors import (
    NoReplicaError,
    NotFoundError,
    QuotaError,
    SealedMismatchError,
    UsageError,
)
from fsd.index_rows import ViewRow, view_name
from fsd.job import Job, timestamp
from fsd.layout import STORED_MANIFEST
from fsd.models import MaterialiseAnswer, MaterialiseRequest
from fsd.parts import JOURNAL_NAME, Journal, cut_parts
from fsd.paths import check_identifier
from fsd.process import Child
from fsd.read import read_to_file
from fsd.references import References
from fsd.seal import begin, clear, confirm_sealed, discard, open_filesystem, seal
from fsd.store import Store

BLOCK_BYTES = 4096
UNREADABLE_LISTED_MAX = 20
AREA_OF_KIND = {"stage": "3c", "exports": "3d"}

StoreManifest = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a manifest goes: `kind` is `stage` or `exports`."""

    kind: str
    view_id: str
    layout_id: str

    @property
    def name(self) -> str:
        """Return the path below an area or the mount."""
        return view_name(self.kind, self.view_id, self.layout_id)


@dataclass(frozen=True, slots=True)
class _Planning:
    """A plan that the compiler is working on, and the disks in its order."""

    answer: "Future[Any]"
    disks: list[Disk]


class Materialise:
    """One run; `answer` is set (and `job.ready`) as soon as the request is accepted."""

    def __init__(
        self,
        store: Store,
        areas: Areas,
        store_manifest: StoreManifest,
        kind: str,
        request: MaterialiseRequest,
        job: Job,
        references: References,
    ) -> None:
        for part in (request.target_id, request.layout_id):
            if reason := check_identifier(part):
                raise UsageError(f"the id {part!r} is refused: {reason}")
        if not STORED_MANIFEST.fullmatch(request.manifest) and not os.path.isfile(request.manifest):
            raise UsageError(f"there is no manifest {request.manifest}")
        self._store = store
        self._areas = areas
        self._store_manifest = store_manifest
        self._target = Target(kind, request.target_id, request.layout_id)
        self._request = request
        self._job = job
        self._references = references
        self.answer: MaterialiseAnswer | None = None

    def run(self) -> dict[str, Any]:
        """Do all of it; returns the result document of the job."""
        store, job, request = self._store, self._job, self._request
        job.phase = "reading the manifest"
        with (
            scratch_folder(store) as folder,
            compiler(store, "compiler") as child,
            contextlib.ExitStack() as kept,
        ):
            canonical = os.path.join(folder, "manifest.jsonl")
            # From here on a purge waits: until the view, or the copy, keeps what was looked up.
            with self._references.resolving(job):
                summary = self._load(child, folder, canonical)
                job.total_files, job.total_bytes = summary.files, summary.size_bytes
                document = self._document(summary)
                if request.mode == "view":
                    return self._publish(child, canonical, summary, document)
                copying = self._references.copying(self._target.name, summary.sha256, canonical)
                kept.enter_context(copying)
            return self._copy(child, canonical, summary, document)

    def _load(self, child: Child, folder: str, canonical: str) -> ManifestSummary:
        index, request = self._store.index, self._request
        return ManifestSummary(
            *child.call(
                "load_manifest",
                self._manifest_file(folder),
                index.index_root,
                index.generation,
                request.dedup_mode,
                request.allow_case_collisions,
                canonical,
            )
        )

    def _manifest_file(self, folder: str) -> str:
        if not STORED_MANIFEST.fullmatch(self._request.manifest):
            return self._request.manifest
        path = os.path.join(folder, "given.jsonl")
        read_to_file(self._store, bytes.fromhex(self._request.manifest), path)
        return path

    def _document(self, summary: ManifestSummary) -> dict[str, Any]:
        return {
            "job_id": self._job.job_id,
            "manifest_sha256": summary.sha256,
            "kind": self._target.kind,
            "id": self._target.view_id,
            "layout_id": self._target.layout_id,
            "mode": self._request.mode,
            "dedup_mode": self._request.dedup_mode,
            "started": timestamp(self._job.started_s),
            "expected_files": summary.files,
            "expected_bytes": summary.size_bytes,
            "dropped_duplicates": summary.dropped,
            "format": 1,
        }

    def _accept(self, summary: ManifestSummary, root: str, reservation: str | None) -> None:
        self.answer = MaterialiseAnswer(
            job_id=self._job.job_id,
            target_root=root,
            expected_bytes=summary.size_bytes,
            expected_files=summary.files,
            quota_reservation_id=reservation,
            manifest_key=summary.sha256,
        )
        self._job.result = {**self.answer.model_dump()}
        self._job.ready.set()

    def _result(self, summary: ManifestSummary, root: str, **more: Any) -> dict[str, Any]:
        return {
            "target_root": root,
            "manifest_key": summary.sha256,
            "expected_files": summary.files,
            "expected_bytes": summary.size_bytes,
            "dropped_duplicates": summary.dropped,
            **more,
        }

    # Views

    def _publish(
        self, child: Child, canonical: str, summary: ManifestSummary, document: dict[str, Any]
    ) -> dict[str, Any]:
        store, target = self._store, self._target
        root = os.path.join(store.config.mount, target.name)
        with store.index.read() as reader:
            former = reader.view(target.name)
        if former is not None:
            if former.manifest_key != summary.sha256:
                raise SealedMismatchError(
                    f"the view {target.name} is published with other content; "
                    f"choose another id, or `drystone unpublish {target.name}` first"
                )
            self._accept(summary, root, None)
            return self._result(summary, root, already_sealed=True)
        self._accept(summary, root, None)
        self._job.phase = "publishing"
        now = time.time_ns()
        tree_file = f"view-{now:x}.tree"
        # The compiler writes the tree while the manifest is stored: for a million files, the one
        # takes as long as the other.
        tree = child.request("write_tree", store.index.tree_path(tree_file), now)
        self._store_manifest(canonical, summary.sha256)
        document["finished"] = timestamp()
        document["actual_files"], document["actual_bytes"] = summary.files, summary.size_bytes
        entry = {
            "view_kind": target.kind,
            "view": target.view_id,
            "layout": target.layout_id,
            "manifest": summary.sha256,
            "time_ns": now,
            "document": document,
        }
        row = ViewRow(
            target.kind, target.view_id, target.layout_id, summary.sha256, now, document=document
        )
        row.tree_file = tree_file
        tree.result()
        # Barrier: the manifest object is durable. A crash before the catalog entry leaves an
        # object nobody refers to and a stray tree file; after it the next start makes the row.
        store.catalog.append(("view_publish", entry))
        with store.index.write() as writer:
            writer.put_view(row)
        self._job.advance(summary.files, summary.size_bytes)
        return self._result(summary, root, already_sealed=False)

    # Copies

    def _copy(
        self, child: Child, canonical: str, summary: ManifestSummary, document: dict[str, Any]
    ) -> dict[str, Any]:
        store, target = self._store, self._target
        area = AREA_OF_KIND[target.kind]
        area_root = Path(store.config.area_path(area))
        final = area_root / target.view_id / target.layout_id
        if confirm_sealed(final, area_root, document) is not None:
            self._accept(summary, str(final), None)
            self._job.advance(summary.files, summary.size_bytes)
            return self._result(summary, str(final), already_sealed=True)
        if final.exists():
            raise SealedMismatchError(f"{final} exists and is not ours (no seal); remove it first")
        size = summary.size_bytes + summary.files * BLOCK_BYTES
        reservation = self._areas.reserve(area, self._job.job_id, size, summary.files)
        try:
            self._accept(summary, str(final), reservation.id)
            planning = self._begin_plan(child)
            # It takes a dozen syncs on two disks: as long as copying a hundred megabytes.
            with ThreadPoolExecutor(1, "manifest") as beside:
                storing = beside.submit(self._store_manifest, canonical, summary.sha256)
                temporary = begin(final, area_root)
                try:
                    more = self._extract(
                        child, planning, storing, temporary, final, summary, document
                    )
                except BaseException as error:
                    # Durable parts are kept for the next try, unless room is what was missing.
                    if isinstance(error, QuotaError) or not (temporary / JOURNAL_NAME).exists():
                        discard(temporary)
                    raise
            self._areas.consume(reservation.id)
        finally:
            self._areas.release(reservation.id)
        return self._result(summary, str(final), already_sealed=False, **more)

    def _extract(
        self,
        child: Child,
        planning: _Planning,
        storing: "Future[None]",
        temporary: Path,
        final: Path,
        summary: ManifestSummary,
        document: dict[str, Any],
    ) -> dict[str, Any]:
        job, disks = self._job, planning.disks
        filesystem_fd = open_filesystem(temporary)
        try:
            job.phase = "planning"
            planned, unreadable, eta_s, _ = planning.answer.result()
            heads = [SegmentHead(*head) for head in planned]
            if unreadable:
                raise NoReplicaError(_losses(unreadable), unreadable)
            journal = Journal(temporary, _plan_digest(summary, heads))
            if journal.empty:
                # What lies here is of an attempt that vouches for nothing, perhaps with another
                # manifest: none of it may be sealed in.
                clear(temporary)
            job.phase = "making folders"
            texts, text_bytes = child.call("prepare_folder", str(temporary))
            job.advance(texts, text_bytes)
            job.phase = "copying"
            started, done = time.monotonic(), list[SegmentHead]()
            run = CopyRun(self._store, child, str(temporary), job)
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
            spent_s = time.monotonic() - started
            if run.unreadable:
                raise NoReplicaError(*self._report(run.unreadable))
            journal.remove()
            document["actual_files"] = job.done_files
            document["actual_bytes"] = job.done_bytes
            if (job.done_files, job.done_bytes) != (summary.files, summary.size_bytes):
                raise NoReplicaError("the count of files does not match the manifest; try again")
            document["finished"] = timestamp()
            job.phase = "sealing"
            # Barrier: the manifest is durable before the copy that it names is sealed. A crash
            # before this leaves a folder that nobody takes for the copy.
            storing.result()
            seal(temporary, final, document, filesystem_fd=filesystem_fd)
        finally:
            os.close(filesystem_fd)
        return {
            "planned_s": eta_s,
            "copying_s": spent_s,
            **self._compare(run, done, disks, spent_s),
        }

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
        }

    def _begin_plan(self, child: Child) -> _Planning:
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
        return _Planning(child.request("plan", replicas, models), disks)

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
    return f"{len(keys)} objects cannot be read from any disk now: {listed}; see `drystone health`"


def unpublish(store: Store, kind: str, view_id: str, layout_id: str) -> None:
    """Take a view out of the mount and unpin its manifest; NotFoundError when there is none."""
    name = view_name(kind, view_id, layout_id)
    with store.index.read() as reader:
        row = reader.view(name)
    if row is None:
        raise NotFoundError(f"there is no view {name}; `drystone views` lists them")
    store.catalog.append(
        ("view_unpublish", {"view_kind": kind, "view": view_id, "layout": layout_id})
    )
    with store.index.write() as writer:
        writer.delete_view(name)
    remove_tree(store, row.tree_file)
