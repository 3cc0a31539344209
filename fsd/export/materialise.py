"""Materialise: it owns making a manifest into a directory, as a copy on the SSD or as a view.

Both begin alike: the manifest is checked and resolved as a whole, becomes an object of the store
(the view pins it), and its hash names the job. A view is then a tree file and an entry in the
catalog; a copy is made by `copying`.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import UsageError
from fsd.compile.batch_tree import compiler, remove_tree, scratch_folder
from fsd.compile.compile_process import ManifestSummary
from fsd.compile.references import References
from fsd.disks.seal import SEALED_NAME
from fsd.documents.models import MaterialiseAnswer, MaterialiseRequest
from fsd.export.copying import Copying
from fsd.format.errors import (
    ManifestError,
    NoReplicaError,
    NotFoundError,
    QuotaError,
    SealedMismatchError,
)
from fsd.format.index_rows import ViewRow, view_name
from fsd.format.layout import STORED_MANIFEST
from fsd.format.paths import check_identifier, check_layout
from fsd.process.process import Child
from fsd.repair.index_heal import heal_places, impossible_places
from fsd.store.job import Job, timestamp
from fsd.store.read import read_to_file
from fsd.store.ssd.areas import Areas
from fsd.store.store import Store

RELEASE = "release"
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
        refuse_ids(kind, request.target_id, request.layout_id)
        refuse_nested(store, kind, request.target_id, request.layout_id)
        if not STORED_MANIFEST.fullmatch(request.manifest) and not os.path.isfile(request.manifest):
            raise UsageError(f"there is no manifest {request.manifest}")
        self._store = store
        self._areas = areas
        self._store_manifest = store_manifest
        self._target = Target(kind, request.target_id, request.layout_id)
        self._request = request
        self._job = job
        self._references = references
        self._too_long: list[str] = []
        self.answer: MaterialiseAnswer | None = None

    def run(self) -> dict[str, Any]:
        """Do all of it; returns the result document of the job."""
        try:
            return self._run()
        except (NoReplicaError, ManifestError, QuotaError) as error:
            # The disks may have it all, and the index a wrong place, length or shard.
            if not heal_places(self._store, self._doubtful(error), self._job):
                raise
        self._job.report({"reason": "places in the index were wrong; they were put right"})
        self._job.advance(-self._job.done_files, -self._job.done_bytes)
        return self._run()

    def _doubtful(self, error: NoReplicaError | ManifestError | QuotaError) -> Sequence[str]:
        if isinstance(error, QuotaError):
            return self._too_long
        return error.doubtful if isinstance(error, ManifestError) else error.unreadable

    def _run(self) -> dict[str, Any]:
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
            try:
                return self._copy(child, canonical, summary, document)
            except QuotaError:
                if self.answer is None:
                    # Perhaps it asks for so much because the index has a wrong length.
                    self._too_long = impossible_places(store, _keys_in(canonical))
                raise

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
        layout_id, slash, part = self._target.layout_id.partition("/")
        provenance = self._request.provenance
        return {
            **({"part": part} if slash else {}),
            **({"provenance": provenance} if provenance else {}),
            "job_id": self._job.job_id,
            "manifest_sha256": summary.sha256,
            "kind": self._target.kind,
            "id": self._target.view_id,
            "layout_id": layout_id,
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

    def _publish(
        self, child: Child, canonical: str, summary: ManifestSummary, document: dict[str, Any]
    ) -> dict[str, Any]:
        store, target = self._store, self._target
        root = os.path.join(store.config.mount, target.name)
        with store.index.read() as reader:
            former = reader.view(target.name)
        if former is not None:
            asked = (summary.sha256, document.get("provenance"))
            if (former.manifest_key, former.document.get("provenance")) != asked:
                raise SealedMismatchError(
                    f"the view {target.name} is published with other content; "
                    f"choose another id, or `drystone unpublish {target.name}` first"
                )
            self._store_manifest(canonical, summary.sha256)  # It may be lost since.
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

    def _copy(
        self, child: Child, canonical: str, summary: ManifestSummary, document: dict[str, Any]
    ) -> dict[str, Any]:
        store, target = self._store, self._target
        area = AREA_OF_KIND[target.kind]
        final = Path(store.config.area_path(area)) / target.view_id / target.layout_id
        copying = Copying(
            store,
            self._areas,
            child,
            self._job,
            summary,
            document,
            lambda: self._store_manifest(canonical, summary.sha256),
            lambda reservation: self._accept(summary, str(final), reservation),
        )
        copied = copying.run(area, final)
        more = {**copied.more, "already_sealed": copied.already_sealed}
        return self._result(summary, str(final), **more)


def _keys_in(canonical: str) -> Iterator[str]:
    with open(canonical, "rb") as file:
        for line in file:
            if key := json.loads(line).get("key"):
                yield key


def refuse_ids(kind: str, target_id: str, layout_id: str) -> None:
    """Refuse what cannot be folders; a stage alone has parts (UsageError)."""
    check = check_layout if kind == "stage" else check_identifier
    for name, reason in ((target_id, check_identifier(target_id)), (layout_id, check(layout_id))):
        if reason:
            raise UsageError(f"the id {name!r} is refused: {reason}")


def refuse_nested(store: Store, kind: str, target_id: str, layout_id: str) -> None:
    """Refuse a part below a stage that has none, and a stage where parts lie (UsageError)."""
    layout, has_part, _ = layout_id.partition("/")
    name = view_name(kind, target_id, layout)
    folder = Path(store.config.area_path(AREA_OF_KIND[kind])) / target_id / layout
    with store.lock:
        views = list(store.shards.state.views)
    if has_part and ((folder / SEALED_NAME).exists() or name in views):
        raise UsageError(f"{name} is laid out without parts; choose another layout id")
    if has_part or (folder / SEALED_NAME).exists():
        return
    if any(view.startswith(name + "/") for view in views) or any(folder.glob(f"*/{SEALED_NAME}")):
        raise UsageError(f"{name} has parts: name one, such as {layout}/0")


def unpublish(store: Store, kind: str, view_id: str, layout_id: str) -> None:
    """Take a view out of the mount and unpin its manifest; NotFoundError when there is none."""
    name = view_name(kind, view_id, layout_id)
    with store.lock:
        view = store.shards.state.views.get(name)
    if view is None:
        raise NotFoundError(f"there is no view {name}; `drystone views` lists them")
    store.catalog.append(
        ("view_unpublish", {"view_kind": kind, "view": view_id, "layout": layout_id})
    )
    try:
        with store.index.write() as writer:
            row = writer.view(name)
            writer.delete_view(name)
    except QuotaError:
        store.behind = True  # When there is room.
        raise
    if row is not None:
        remove_tree(store, row.tree_file)
