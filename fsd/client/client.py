"""The typed face of the control API: it owns what can be asked and what is answered.

Control only: bytes of objects never pass here, they go by path. Every method raises the FsdError
that the engine named, with its message, and EngineUnavailableError when nobody answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from base.errors import UsageError
from fsd.client.client_transport import REQUEST_TIMEOUT_S, Transport
from fsd.disks.disk_names import find_disk
from fsd.documents.models import (
    KNOWN_KEYS_MAX,
    BatchFile,
    BatchStatus,
    BatchWriteRequest,
    CalibrateRequest,
    Capacity,
    ClassName,
    DedupMode,
    DiskAddRequest,
    DiskStatus,
    Document,
    ExportMode,
    GetRequest,
    Health,
    JobStatus,
    KnownRequest,
    LossesRequest,
    MaterialiseAnswer,
    MaterialiseRequest,
    Notice,
    ObjectHead,
    OutboxRoomRequest,
    RebalancePlan,
    RebuildRequest,
    RemovalAnswer,
    ReplaceRequest,
    RetireRequest,
    StageOutputAnswer,
    StageOutputRequest,
    VerifyRequest,
    ViewKind,
    ViewStatus,
)
from fsd.documents.purge_models import (
    CompactPlan,
    CompactRequest,
    PinRequest,
    PinStatus,
    PurgeRequest,
)
from fsd.documents.watch_models import AlertResult, ScrubStatus
from fsd.format.paths import check_identifier, check_layout

MATERIALISE_TIMEOUT_S = 900.0
"""The engine reads and checks the whole manifest before it answers: millions of lines."""
READ_OBJECT_TIMEOUT_S = 3600.0
"""The engine answers when the object is written: a large video from a slow disk."""
JOB_END_S_MAX = 120.0
WAIT_STEP_S = 20.0
PROGRESS_STEP_S = 0.25

Model = TypeVar("Model", bound=Document)


class Client:
    """A connection to one engine, by the path of its unix socket or by an `http://` address.

    Safe to use from several threads; there is nothing to close.
    """

    def __init__(self, address: str) -> None:
        self._transport = Transport(address)

    # ---- Batches ------------------------------------------------------------------------------

    def batch_write(
        self,
        folder: str,
        batch: str,
        class_name: ClassName = "raw",
        files: Sequence[str] | None = None,
    ) -> JobStatus:
        """Start to store a folder, or the listed relative paths of it, as an ingest batch."""
        listed = None if files is None else tuple(files)
        request = BatchWriteRequest(
            folder=folder, batch=_checked(batch), class_name=class_name, files=listed
        )
        return self._ask(JobStatus, "POST", "/v1/batches", request, MATERIALISE_TIMEOUT_S)

    def batches(self) -> list[BatchStatus]:
        """List the ingest batches."""
        return self._list(BatchStatus, "/v1/batches")

    def batch(self, name: str) -> BatchStatus:
        """Describe one batch."""
        return self._ask(BatchStatus, "GET", f"/v1/batches/{_identifier(name)}")

    def batch_files(self, name: str) -> Iterator[BatchFile]:
        """Stream the files of a batch, in no particular order."""
        for line in self._transport.lines(f"/v1/batches/{_identifier(name)}/files"):
            yield BatchFile.model_validate(line)

    # ---- Stages, exports, views ---------------------------------------------------------------

    def stage_to_3c(
        self,
        manifest: str,
        action_batch_id: str,
        layout_id: str,
        mode: ExportMode = "copy",
        dedup_mode: DedupMode = "by_node",
        allow_case_collisions: bool = False,
        provenance: Mapping[str, str | int | None] | None = None,
    ) -> MaterialiseAnswer:
        """Begin to make a manifest (a path or key) into `3c/<batch>/<layout>/`, or a view.

        The layout may be a part of one, `shrinker/0`; `provenance` is sealed into its `_JOB.json`.
        """
        request = MaterialiseRequest(
            manifest=manifest,
            target_id=_checked(action_batch_id),
            layout_id=_checked_layout(layout_id),
            mode=mode,
            dedup_mode=dedup_mode,
            allow_case_collisions=allow_case_collisions,
            provenance=dict(provenance or {}),
        )
        return self._ask(MaterialiseAnswer, "POST", "/v1/stage", request, MATERIALISE_TIMEOUT_S)

    def export_to_3d(
        self,
        manifest: str,
        dataset_export_id: str,
        dataset_layout_id: str,
        mode: ExportMode = "copy",
        dedup_mode: DedupMode = "by_node",
        allow_case_collisions: bool = False,
    ) -> MaterialiseAnswer:
        """Begin to make a manifest (a path or key) into `3d/<export>/<layout>/`, or a view."""
        request = MaterialiseRequest(
            manifest=manifest,
            target_id=_checked(dataset_export_id),
            layout_id=_checked(dataset_layout_id),
            mode=mode,
            dedup_mode=dedup_mode,
            allow_case_collisions=allow_case_collisions,
        )
        return self._ask(MaterialiseAnswer, "POST", "/v1/exports", request, MATERIALISE_TIMEOUT_S)

    def stage_output(
        self, action_batch_id: str, layout_id: str, size_bytes: int, files: int = 0
    ) -> StageOutputAnswer:
        """Make `3c/<batch>/<layout>.output/` for a program, with room reserved; again it is kept.

        The reservation holds until `release_stage`. Raises QuotaError when it does not fit.
        """
        request = StageOutputRequest(
            target_id=_checked(action_batch_id),
            layout_id=_checked_layout(layout_id),
            size_bytes=size_bytes,
            files=files,
        )
        return self._ask(StageOutputAnswer, "POST", "/v1/stage/output", request)

    def release_stage(self, action_batch_id: str, layout_id: str) -> JobStatus:
        """Remove a stage (copy or view) with its output; it may be gone already.

        On return nothing of it is in sight, and the job ends when its bytes are gone: wait for it
        only for these. A job that has failed already says why nothing was removed.
        """
        path = f"/v1/stage/{_identifier(action_batch_id)}/{quote(_checked_layout(layout_id))}"
        return self._ask(JobStatus, "DELETE", path)

    def reserve_outbox(self, package: str, size_bytes: int, files: int) -> None:
        """Promise room in the outbox (3B) for a package; the same name again takes the place.

        Held until `release_outbox` or the end of the engine. Raises QuotaError when it does not
        fit now.
        """
        request = OutboxRoomRequest(package=_checked(package), size_bytes=size_bytes, files=files)
        self._transport.call("POST", "/v1/outbox", request)

    def release_outbox(self, package: str) -> None:
        """Give back what a package did not need; what lies there counts by itself. Idempotent."""
        self._transport.call("DELETE", f"/v1/outbox/{_identifier(package)}")

    def views(self) -> list[ViewStatus]:
        """List the published views."""
        return self._list(ViewStatus, "/v1/views")

    def unpublish(self, kind: ViewKind, view_id: str, layout_id: str) -> None:
        """Take a view out of the mount; the objects stay."""
        layout = quote(_checked_layout(layout_id) if kind == "stage" else _checked(layout_id))
        path = f"/v1/views/{kind}/{_identifier(view_id)}/{layout}"
        self._transport.call("DELETE", path)

    # ---- Objects ------------------------------------------------------------------------------

    def head(self, key: str) -> ObjectHead:
        """Tell where an object lies and how many copies it has, without reading it."""
        return self._ask(ObjectHead, "GET", f"/v1/objects/{check_key(key)}")

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose objects are in the store; reads no object."""
        found: set[str] = set()
        for start in range(0, len(keys), KNOWN_KEYS_MAX):
            some = tuple(check_key(key) for key in keys[start : start + KNOWN_KEYS_MAX])
            request = KnownRequest(keys=some)
            found.update(self._transport.call("POST", "/v1/objects/known", request))
        return found

    def read(self, key: str, output_path: str) -> ObjectHead:
        """Write an object, verified, to a file that must not exist yet."""
        request = GetRequest(key=check_key(key), output_path=output_path)
        return self._ask(ObjectHead, "POST", "/v1/objects/read", request, READ_OBJECT_TIMEOUT_S)

    # ---- Deletion -----------------------------------------------------------------------------

    def purge(self, batch: str, *, dry_run: bool = False) -> JobStatus:
        """Start to delete a batch for good, with every object that nothing else refers to.

        A dry run tells in its result and report what would go, what stays and because of whom.
        """
        request = PurgeRequest(batch=_checked(batch), dry_run=dry_run)
        return self._ask(JobStatus, "POST", "/v1/purge", request)

    def compact(self, dead_share: float | None = None) -> JobStatus:
        """Start to write anew what lives in shards with at least this share (0-1) of garbage."""
        request = CompactRequest(dead_share=dead_share)
        return self._ask(JobStatus, "POST", "/v1/compact", request)

    def compact_plan(self, dead_share: float | None = None) -> CompactPlan:
        """Tell what a compaction would do."""
        query = "" if dead_share is None else f"?dead_share={dead_share:g}"
        return self._ask(CompactPlan, "GET", f"/v1/compact{query}")

    def pin_manifest(self, key: str, name: str) -> PinStatus:
        """Keep a stored manifest and all it names, whatever is purged, until `unpin`.

        The same again changes nothing; a name has one manifest.
        """
        request = PinRequest(name=_checked(name), manifest=check_key(key))
        return self._ask(PinStatus, "POST", "/v1/pins", request, MATERIALISE_TIMEOUT_S)

    def unpin(self, name: str) -> None:
        """Let a pinned manifest go; NotFoundError when nothing is pinned by this name."""
        self._transport.call("DELETE", f"/v1/pins/{_identifier(name)}")

    def pins(self) -> list[PinStatus]:
        """List the pinned manifests by name."""
        return self._list(PinStatus, "/v1/pins")

    # ---- Care ---------------------------------------------------------------------------------

    def verify(self, batch: str | None = None, sample: float | None = None) -> JobStatus:
        """Start to verify a batch, a share (0-1) of the shards, or everything."""
        request = VerifyRequest(batch=batch, sample=sample)
        return self._ask(JobStatus, "POST", "/v1/verify", request)

    def rebuild(self, disk: str | None = None) -> JobStatus:
        """Start to make the copies whole again; a named disk is declared gone first."""
        return self._ask(JobStatus, "POST", "/v1/rebuild", RebuildRequest(disk=disk))

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        return self._transport.text("/v1/metrics")

    def alerts_test(self) -> list[AlertResult]:
        """Send a test alert every way there is, at once."""
        answer = self._transport.call("POST", "/v1/alerts/test")
        return [AlertResult.model_validate(item) for item in answer]

    def scrub_status(self) -> ScrubStatus:
        """Tell how much is due to be verified, and since when."""
        return self._ask(ScrubStatus, "GET", "/v1/scrub")

    def scrub(self) -> JobStatus:
        """Start to verify all that is due, at full speed."""
        return self._ask(JobStatus, "POST", "/v1/scrub")

    def reindex(self) -> JobStatus:
        """Start to build a new index from the shards and catalogs alone."""
        return self._ask(JobStatus, "POST", "/v1/reindex")

    def fsck(self) -> JobStatus:
        """Start to compare index, catalogs and shards with each other."""
        return self._ask(JobStatus, "POST", "/v1/fsck")

    def losses(self, without: Sequence[str] = ()) -> JobStatus:
        """Start to list the files that no disk gives, as if these disks (by name) were away."""
        return self._ask(JobStatus, "POST", "/v1/losses", LossesRequest(without=tuple(without)))

    def disks(self) -> list[DiskStatus]:
        """List the disks."""
        return self._list(DiskStatus, "/v1/disks")

    def disk_add(self, path: str, name: str | None = None) -> DiskStatus:
        """Take a folder, the root of a mounted filesystem, as a disk: a new one, or one known."""
        return self._ask(DiskStatus, "POST", "/v1/disks", DiskAddRequest(path=path, name=name))

    def disk_drain(self, name: str) -> JobStatus:
        """Start moving everything off a disk; refused with the figures when it fits nowhere."""
        return self._ask(JobStatus, "POST", f"/v1/disks/{self._disk(name)}/drain")

    def disk_undrain(self, name: str) -> DiskStatus:
        """Take a draining disk back into use."""
        return self._ask(
            DiskStatus, "POST", f"/v1/disks/{self._disk(name)}/undrain", timeout_s=JOB_END_S_MAX
        )

    def disk_removal(self, name: str) -> RemovalAnswer:
        """Tell whether a disk can be taken away, and what would be missing."""
        return self._ask(RemovalAnswer, "GET", f"/v1/disks/{self._disk(name)}/removal")

    def disk_retire(
        self, name: str, *, force: bool = False, lost_shards_max: int | None = None
    ) -> DiskStatus:
        """Never use a disk again; `force` also when something would be missing, so much at most."""
        path = f"/v1/disks/{self._disk(name)}/retire"
        request = RetireRequest(force=force, lost_shards_max=lost_shards_max)
        return self._ask(DiskStatus, "POST", path, request)

    def disk_replace(self, old: str, new_path: str, new_name: str | None = None) -> JobStatus:
        """Add a disk and start to empty and retire the old one, or to rebuild a dead one."""
        request = ReplaceRequest(path=new_path, name=new_name)
        return self._ask(JobStatus, "POST", f"/v1/disks/{self._disk(old)}/replace", request)

    def disk_calibrate(self, name: str | None = None, *, accept: bool = False) -> JobStatus:
        """Start to measure how fast a disk reads, or all disks; see `CalibrateRequest`."""
        request = CalibrateRequest(disk=name, accept=accept)
        return self._ask(JobStatus, "POST", "/v1/calibrate", request)

    def rebalance(self) -> JobStatus:
        """Start moving replicas until all disks are equally full."""
        return self._ask(JobStatus, "POST", "/v1/rebalance")

    def rebalance_plan(self) -> RebalancePlan:
        """Tell what a rebalance would move."""
        return self._ask(RebalancePlan, "GET", "/v1/rebalance")

    def capacity(self) -> Capacity:
        """Tell what fits, now and after the loss of any one disk."""
        return self._ask(Capacity, "GET", "/v1/capacity")

    def health(self, timeout_s: float = REQUEST_TIMEOUT_S) -> Health:
        """Tell whether all is well."""
        return self._ask(Health, "GET", "/v1/health", timeout_s=timeout_s)

    def warnings(self) -> list[Notice]:
        """List what a person should know."""
        return self._list(Notice, "/v1/warnings")

    # ---- Jobs ---------------------------------------------------------------------------------

    def jobs(self) -> list[JobStatus]:
        """List the jobs that run and the last ones that ended."""
        return self._list(JobStatus, "/v1/jobs")

    def job(self, job_id: str, wait_s: float = 0.0) -> JobStatus:
        """Describe a job as soon as it has ended, at the latest after `wait_s`."""
        path = f"/v1/jobs/{_identifier(job_id)}?wait_s={wait_s:g}"
        return self._ask(JobStatus, "GET", path, timeout_s=wait_s + REQUEST_TIMEOUT_S)

    def wait(
        self, job_id: str, on_progress: Callable[[JobStatus], None] | None = None
    ) -> JobStatus:
        """Return the job when it has ended, in whatever state; `on_progress` sees it meanwhile."""
        step_s = PROGRESS_STEP_S if on_progress else WAIT_STEP_S
        while True:
            job = self.job(job_id, step_s)
            if on_progress:
                on_progress(job)
            if job.state != "running":
                return job

    def cancel(self, job_id: str) -> JobStatus:
        """Ask a job to stop; what it had acknowledged stays."""
        return self._ask(JobStatus, "POST", f"/v1/jobs/{_identifier(job_id)}/cancel")

    def report(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Stream a job's report line by line, and follow it until the job ends."""
        return self._transport.lines(f"/v1/jobs/{_identifier(job_id)}/report")

    def shutdown(self) -> None:
        """Ask the engine to stop; it answers before it does."""
        self._transport.call("POST", "/v1/shutdown")

    def _disk(self, name: str) -> str:
        """Return a disk's name as one quoted segment of a path; UsageError lists the names."""
        if check_identifier(name):
            name = find_disk(self.disks(), name).disk_id
        return quote(name, safe="")

    def _ask(
        self,
        model: type[Model],
        method: str,
        path: str,
        request: Document | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> Model:
        return model.model_validate(self._transport.call(method, path, request, timeout_s))

    def _list(self, model: type[Model], path: str) -> list[Model]:
        return [model.model_validate(item) for item in self._transport.call("GET", path)]


def check_key(key: str) -> str:
    """Return the key in lower case; UsageError when it is not a sha256 in hexadecimal."""
    lowered = key.lower()
    if len(lowered) != 64 or set(lowered) - set("0123456789abcdef"):
        raise UsageError(
            f"{key!a} is not a key: a key is a sha256, 64 hexadecimal digits "
            "(`drystone ls BATCH` shows them)"
        )
    return lowered


def _checked(name: str) -> str:
    """Return a name that can be one folder; UsageError when it cannot."""
    reason = check_identifier(name)
    if reason:
        raise UsageError(f"{name!a} cannot be used as a name: {reason}")
    return name


def _checked_layout(name: str) -> str:
    """Return a layout's id, or that of a part of one; UsageError when it cannot be one."""
    reason = check_layout(name)
    if reason:
        raise UsageError(f"{name!a} cannot be used as the id of a layout: {reason}")
    return name


def _identifier(name: str) -> str:
    """Return a name as one quoted segment of a path; UsageError when it cannot be one."""
    return quote(_checked(name), safe="")
