"""Measuring the disks: it owns when each one is measured, and what its model warns of.

A disk is measured when somebody asks (`disk calibrate`), and by itself, briefly, when no job has
run for a while and there is no model yet, a copy put it in doubt, the disk holds twice as much as
then, or it was slow. One disk at a time: they may share a bus.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

from base.errors import DrystoneError, UsageError
from base.logging.ids import about
from fsd.disk_io.calibration.calibration import Samples, estimate_model
from fsd.disk_io.calibration.calibration_reads import FILES_MAX, LIMIT_S
from fsd.disks.disk_models import Measurement
from fsd.disks.disks import Disk
from fsd.documents.models import DiskModelStatus
from fsd.format.errors import CalibrationError, DiskError, NotFoundError
from fsd.store.job import CANCEL_POLL_S, Job, timestamp
from fsd.store.store import Store

STORED_BYTES_MIN = 64 << 20
AUTOMATIC_STORED_BYTES_MIN = 256 << 20
GROWN_BYTES_MIN = 1 << 30
QUIET_S = 20.0
LOOK_PERIOD_S = 30.0
AGAIN_S = 3600.0
"""Between two tries of a disk that is measured by itself."""
WAIT_S = 180.0
"""For the answer: a scrub of one shard may be ahead in the disk's process."""


class Calibrator:
    """Measures disks, on demand and by itself; `jobs_run` tells whether it must wait."""

    def __init__(self, store: Store, jobs_run: Callable[[], bool]) -> None:
        self._store = store
        self._jobs_run = jobs_run
        # Held for one measurement: two would slow one another down. Outermost.
        self._one = threading.Lock()
        self._quiet_since = time.monotonic()
        self._look_at = 0.0
        self._tried: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def run(self, disks: list[Disk], accept: bool, job: Job) -> dict[str, Any]:
        """Measure these disks one after the other; a single one that cannot be is an error.

        With `accept` a disk that is slower than it was is no longer warned of.
        """
        job.phase, job.total_files = "measuring", len(disks)
        measured: dict[str, Any] = {}
        skipped: dict[str, str] = {}
        for disk in disks:
            job.check()
            try:
                made = self.measure(disk, job, accept=accept)
            except (CalibrationError, DiskError, UsageError) as error:
                if len(disks) == 1:
                    raise
                skipped[disk.name] = str(error)
            else:
                measured[disk.name] = model_status(made).model_dump()
            job.advance(1, 0)
        return {"measured": measured, "skipped": skipped, "incomplete": not measured}

    def measure(self, disk: Disk, job: Job | None = None, *, accept: bool = False) -> Measurement:
        """Measure one disk and keep its model, as the best it ever had with `accept`.

        Raises UsageError when it holds too little, CalibrationError when it is never idle, and
        DiskError.
        """
        store = self._store
        shard_ids, stored_bytes = self._replicas_on(disk)
        if stored_bytes < STORED_BYTES_MIN:
            raise UsageError(
                f"disk {disk.name} holds {stored_bytes:,} bytes; "
                f"{STORED_BYTES_MIN:,} at least are needed to measure it"
            )
        with self._one if job is None else job.holding(self._one):
            future = disk.request("calibrate", shard_ids)
            deadline = time.monotonic() + WAIT_S + LIMIT_S
            while not wait([future], CANCEL_POLL_S).done:
                if job is not None:
                    job.check()
                if time.monotonic() > deadline:
                    raise CalibrationError(f"disk {disk.name} was never idle; try again later")
        try:
            samples: Samples = future.result()
        except DiskError as error:
            store.disks.note_error(disk, error)
            reason = f"disk {disk.name} could not be measured: {error}"
            raise DiskError(reason, disk.name, error.errno) from error
        model = estimate_model(samples)
        return store.models.put(disk.disk_id, model, stored_bytes, accept=accept)

    def tick(self) -> None:
        """Begin to measure a disk by itself when it is time; returns at once."""
        now = time.monotonic()
        if self._jobs_run():
            self._quiet_since = now
        alive = self._thread is not None and self._thread.is_alive()
        if alive or now - self._quiet_since < QUIET_S or now < self._look_at:
            return
        self._look_at = now + LOOK_PERIOD_S
        for disk in self._store.disks.disks.values():
            if now - self._tried.get(disk.disk_id, float("-inf")) > AGAIN_S and self._due(disk):
                self._tried[disk.disk_id] = now
                name = f"calibrate-{disk.name}"
                self._thread = threading.Thread(
                    target=self._measure_quietly, args=(disk,), name=name, daemon=True
                )
                self._thread.start()
                return

    def _measure_quietly(self, disk: Disk) -> None:
        try:
            self.measure(disk)
        except CalibrationError:
            return  # Others used the disk: the next try is an hour away.
        except DrystoneError as error:
            told = about("calibration.failed", disk=disk.name)
            self._store.disks.log.warning("%s", error, extra=told)

    def _due(self, disk: Disk) -> bool:
        if not disk.readable:
            return False
        _, stored_bytes = self._replicas_on(disk)
        if stored_bytes < AUTOMATIC_STORED_BYTES_MIN:
            return False
        known = self._store.models.get(disk.disk_id)
        if known is None or known.slow or self._store.models.doubted(disk.disk_id):
            return True
        return stored_bytes > 2 * known.stored_bytes + GROWN_BYTES_MIN

    def _replicas_on(self, disk: Disk) -> tuple[list[str], int]:
        """Some of the replicas on a disk, evenly over their ages, and the bytes of all.

        Those that still grow are among them: in a young store, or one of large shards, they are
        most of what there is, and what a group has written is never written again.
        """
        store = self._store
        sealed: list[tuple[int, str, int]] = []
        growing: list[tuple[int, str, int]] = []
        with store.lock:
            for shard in store.shards.state.shards.values():
                lost = (shard.shard_id, disk.disk_id) in store.shards.lost
                if shard.vacated or lost or disk.disk_id not in shard.disks:
                    continue
                if shard.sealed:
                    sealed.append((shard.sealed_ns, shard.shard_id, shard.length_bytes))
                else:
                    growing.append((store.shards.numbers.get(shard.shard_id, 0), shard.shard_id, 0))
        shards = sorted(sealed) + self._written(growing)
        stride = max(1, -(-len(shards) // FILES_MAX))
        return [shard_id for _, shard_id, _ in shards[::stride]], sum(s[2] for s in shards)

    def _written(self, growing: list[tuple[int, str, int]]) -> list[tuple[int, str, int]]:
        """Fill in how long shards (by number) are that the catalog does not know to be sealed."""
        found: list[tuple[int, str, int]] = []
        with self._store.index.read() as reader:
            for number, shard_id, _ in sorted(growing):
                with contextlib.suppress(NotFoundError):  # None of its groups is in the index yet.
                    found.append((number, shard_id, reader.shard(number).length_bytes))
        return found


def model_status(known: Measurement) -> DiskModelStatus:
    """Return a model as the API shows it."""
    model = known.model
    return DiskModelStatus(
        bandwidth_bytes_per_s=model.bandwidth_bytes_per_s,
        average_seek_s=model.average_seek_s(),
        seek_min_s=model.seek_min_s,
        seek_max_s=model.seek_max_s,
        span_bytes=model.span_bytes,
        measured=timestamp(known.measured_s),
        best_bandwidth_bytes_per_s=known.best_bandwidth_bytes_per_s,
        best=timestamp(known.best_s),
    )
