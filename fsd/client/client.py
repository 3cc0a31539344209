"""The client of an engine: the store's operations as methods, for whoever works with a store.

Bytes of objects go by path, but for the pieces that somebody sends on. Every method raises the
error that the engine named, UsageError for what cannot be asked, and EngineUnavailableError when
nobody answers.
"""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from base.lazy import LateModule
from base.operations.remote import REQUEST_TIMEOUT_S, Remote
from fsd.disks.disk_names import find_disk
from fsd.documents.models import KNOWN_KEYS_MAX
from fsd.documents.names import check_key
from fsd.format.errors import EngineUnavailableError, FsdError
from fsd.format.paths import check_identifier

if TYPE_CHECKING:
    from pydantic import BaseModel

    from base.operations.operation import Operation
    from fsd.documents.models import BatchFile, Health, JobStatus, ViewKind
    from fsd.operations import care, deletion, disks, jobs, layouts, look
    from fsd.operations import files as _files
else:
    # A command asks one thing, and loads the models of that.
    care = LateModule("fsd.operations.care")
    deletion = LateModule("fsd.operations.deletion")
    disks = LateModule("fsd.operations.disks")
    jobs = LateModule("fsd.operations.jobs")
    layouts = LateModule("fsd.operations.layouts")
    look = LateModule("fsd.operations.look")
    _files = LateModule("fsd.operations.files")

__all__ = ["Client", "check_key"]

PREFIX = "/v1"
WAIT_STEP_S = 20.0
PROGRESS_STEP_S = 0.25
TREE_FIELDS = ("manifest", "target_id", "layout_id", "mode", "dedup_mode")

Answer = TypeVar("Answer")


def _asks(
    find: Callable[[], Operation[Any, Any, Answer]], *names: str, **defaults: Any
) -> Callable[..., Answer]:
    """Return a method that asks an operation: its fields by name, or the first of them in order.

    What it does, and what its fields mean, is said where the operation is.
    """

    def ask(client: Client, *values: Any, **fields: Any) -> Answer:
        named = dict(zip(names[: len(values)], values, strict=True))
        return client.do(find(), **{**defaults, **named, **fields})

    return ask


class Client(Remote):
    """A connection to one engine, by the path of its unix socket or by an `http://` address.

    Safe to use from several threads; there is nothing to close. Commands keep what they need for a
    moment in `run_dir`.
    """

    error = FsdError
    called = "the engine"

    def __init__(self, address: str, run_dir: str = "") -> None:
        super().__init__(address, PREFIX)
        self.run_dir = run_dir or os.path.dirname(address)

    def ask(
        self, one: Operation[Any, Any, Any], request: BaseModel, timeout_s: float | None = None
    ) -> Any:
        """Return the answer of an operation; of a stream, its items as they come."""
        # A disk may be named by its path, which is no part of an address.
        if "{disk}" in one.path and check_identifier(name := getattr(request, "disk", "")):
            disk_id = find_disk(self.disks(), name).disk_id
            request = request.model_copy(update={"disk": disk_id})
        return super().ask(one, request, timeout_s)

    def do(self, one: Operation[Any, Any, Answer], **fields: Any) -> Answer:
        """Return the answer of an operation; fields that are None are not given."""
        return self.ask(one, one.request_of(fields))

    def items(self, one: Operation[Any, Any, Any], **fields: Any) -> Iterator[Any]:
        """Yield what a stream tells."""
        yield from self.do(one, **fields)

    def away(self, reason: str) -> EngineUnavailableError:
        """Return the error for an engine that does not answer."""
        return EngineUnavailableError(
            {
                "late": "the engine does not answer in time; `drystone status` and its log tell "
                "more",
                "gone": "the engine went away before it had answered; `drystone status` tells more",
                "forbidden": f"the engine belongs to another user: {self.address} may not be "
                "opened",
                "down": "the engine is not running; start it with `drystone up`",
                "resting": "the engine did not answer; it is asked again in a moment",
            }[reason]
        )

    # ---- Batches ------------------------------------------------------------------------------

    batch_write = _asks(lambda: _files.put, "folder", "batch", "class_name", "files")
    seal = _asks(lambda: _files.seal, "batch")
    batches = _asks(lambda: _files.batches)
    batch = _asks(lambda: _files.batch, "batch")

    def batch_files(self, name: str) -> Iterator[BatchFile]:
        """Stream the files of a batch, in no particular order."""
        return self.items(_files.files, batch=name)

    # ---- Stages, exports, views ---------------------------------------------------------------

    stage_to_3c = _asks(lambda: layouts.stage, *TREE_FIELDS)
    export_to_3d = _asks(lambda: layouts.export, *TREE_FIELDS, mode="copy")
    stage_output = _asks(
        lambda: layouts.stage_output, "target_id", "layout_id", "size_bytes", "files"
    )
    release_stage = _asks(lambda: layouts.release_stage, "target_id", "layout_id")
    reserve_outbox = _asks(lambda: layouts.reserve_outbox, "package", "size_bytes", "files")
    release_outbox = _asks(lambda: layouts.release_outbox, "package")
    views = _asks(lambda: layouts.views)

    def unpublish(self, kind: ViewKind, view_id: str, layout_id: str) -> None:
        """Take a view out of the mount; the objects stay."""
        self.do(layouts.unpublish, name=f"{kind}/{view_id}/{layout_id}")

    # ---- Objects ------------------------------------------------------------------------------

    head = _asks(lambda: _files.head, "key")
    read = _asks(lambda: _files.read, "key", "output")

    def piece(self, key: str, number: int) -> bytes:
        """Return one piece (PIECE_BYTES, the last one less) of an object, its blocks verified.

        Whoever takes them all compares their sha256 with the key.
        """
        path = f"/objects/{check_key(key)}/pieces/{number}"
        with self._answer("GET", path, None, REQUEST_TIMEOUT_S) as response:
            return response.read()

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys whose objects are in the store; reads no object."""
        found: set[str] = set()
        for start in range(0, len(keys), KNOWN_KEYS_MAX):
            found.update(self.do(_files.known, keys=tuple(keys[start : start + KNOWN_KEYS_MAX])))
        return found

    def purged(self, keys: Sequence[str], batch: str | None = None) -> set[str]:
        """Return those of the keys that were purged by themselves, and not stored again since.

        With a `batch` only what it named when it was purged.
        """
        found: set[str] = set()
        for start in range(0, len(keys), KNOWN_KEYS_MAX):
            some = tuple(keys[start : start + KNOWN_KEYS_MAX])
            found.update(self.do(_files.purged, keys=some, batch=batch))
        return found

    # ---- Deletion -----------------------------------------------------------------------------

    purge = _asks(lambda: deletion.purge, "batch", "keys")
    compact = _asks(lambda: deletion.compact, "dead_share")
    compact_plan = _asks(lambda: deletion.compact_plan, "dead_share")
    pin_manifest = _asks(lambda: deletion.pin, "manifest", "name")
    unpin = _asks(lambda: deletion.unpin, "name")
    pins = _asks(lambda: deletion.pins)

    # ---- Care ---------------------------------------------------------------------------------

    rebuild = _asks(lambda: care.rebuild, "disk")
    alerts_test = _asks(lambda: care.alerts_test)
    scrub_status = _asks(lambda: care.scrub_status)
    scrub = _asks(lambda: care.scrub)
    reindex = _asks(lambda: care.reindex)
    fsck = _asks(lambda: care.fsck)
    losses = _asks(lambda: care.losses, "without")
    capacity = _asks(lambda: look.capacity)
    warnings = _asks(lambda: look.warnings)

    def verify(self, batch: str | None = None, sample: float | None = None) -> JobStatus:
        """Start to verify a batch, a share (0-1) of the shards, or everything."""
        everything = batch is None and sample is None
        return self.do(care.verify, batch=batch, sample=sample, everything=everything)

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        return self.do(look.metrics).metrics

    def health(self, timeout_s: float = REQUEST_TIMEOUT_S) -> Health:
        """Tell whether all is well."""
        return self.ask(look.health, look.health.request(), timeout_s)

    # ---- Disks --------------------------------------------------------------------------------

    disks = _asks(lambda: disks.list_disks)
    disk_add = _asks(lambda: disks.add, "path", "name")
    disk_drain = _asks(lambda: disks.drain, "disk")
    disk_undrain = _asks(lambda: disks.undrain, "disk")
    disk_removal = _asks(lambda: disks.removal, "disk")
    disk_retire = _asks(lambda: disks.retire, "disk")
    disk_replace = _asks(lambda: disks.replace, "disk", "path", "name")
    disk_calibrate = _asks(lambda: disks.calibrate, "disk")
    rebalance = _asks(lambda: disks.rebalance)
    rebalance_plan = _asks(lambda: disks.rebalance_plan)

    # ---- Jobs ---------------------------------------------------------------------------------

    jobs = _asks(lambda: jobs.list_jobs)
    cancel = _asks(lambda: jobs.cancel, "job_id")

    def job(self, job_id: str, wait_s: float = 0.0) -> JobStatus:
        """Describe a job as soon as it has ended, at the latest after `wait_s`."""
        found: Any = self.do(jobs.wait, job_id=job_id, wait_s=wait_s)
        return found

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

    def report(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Stream a job's report line by line, and follow it until the job ends."""
        return self.items(jobs.report, job_id=job_id)

    def shutdown(self) -> None:
        """Ask the engine to stop; it answers before it does."""
        self.call("POST", "/shutdown")
