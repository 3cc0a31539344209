"""Long operations: it owns their progress, report and cancellation, never their work."""

import contextvars
import ctypes
import datetime
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from base.errors import DrystoneError
from base.logging.ids import about, bind
from fsd.documents.models import JobState, JobStatus
from fsd.format.errors import CancelledError, NotFoundError

_log = logging.getLogger(__name__)

FINISHED_JOBS_MAX = 200
RATE_WINDOW_S = 5.0
CANCEL_POLL_S = 0.2


def timestamp(seconds: float | None = None) -> str:
    """Return a UTC time stamp of seconds since the epoch (now when None)."""
    moment = time.time() if seconds is None else seconds
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds")


def _return_memory() -> None:
    """Give freed memory back to the system: glibc keeps it per thread, and jobs have threads."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Lock(Protocol):
    """A lock of `threading`, of either kind."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Return whether it is held now; waits at most `timeout` seconds for that."""
        ...

    def release(self) -> None:
        """Let others have it."""


class Job:
    """One long operation; its work runs in one thread and calls `check` often."""

    def __init__(self, kind: str, description: str, report_path: str) -> None:
        self.job_id = uuid.uuid4().hex
        self.kind = kind
        self.description = description
        self.report_path = os.path.join(report_path, f"{self.job_id}.jsonl")
        self.state: JobState = "running"
        self._phase = ""
        self._phase_since = time.monotonic()
        self._phases_s: dict[str, float] = {}
        self.error: str | None = None
        self.failure: BaseException | None = None
        self.result: dict[str, Any] = {}
        self.done_files = self.total_files = self.done_bytes = self.total_bytes = 0
        self.started_s = time.time()
        self.finished_s: float | None = None
        self.finished = threading.Event()
        self.ready = threading.Event()
        self._cancelled = threading.Event()
        # Guards counts, samples and the report. Innermost.
        self._lock = threading.Lock()
        self._samples: list[tuple[float, int]] = []
        # Open for the life of the job, closed when it ends.
        self._report = open(self.report_path, "wb", buffering=1 << 16)  # noqa: SIM115

    @property
    def phase(self) -> str:
        """What it is doing now, in words."""
        return self._phase

    @phase.setter
    def phase(self, name: str) -> None:
        self._phases_s, self._phase = self.phases_s(), name
        self._phase_since = time.monotonic()

    def phases_s(self) -> dict[str, float]:
        """Return the seconds it was in each phase so far, the present one included."""
        spent_s = time.monotonic() - self._phase_since
        known = self._phases_s
        return {**known, self._phase: known.get(self._phase, 0.0) + spent_s}

    def check(self) -> None:
        """Raise CancelledError when somebody cancelled the job."""
        if self._cancelled.is_set():
            raise CancelledError(f"job {self.job_id} was cancelled")

    @contextmanager
    def holding(self, lock: Lock) -> Generator[None]:
        """Hold a lock; CancelledError when the job is cancelled before it has it."""
        while not lock.acquire(timeout=CANCEL_POLL_S):
            self.check()
        try:
            self.check()
            yield
        finally:
            lock.release()

    def cancel(self) -> None:
        """Ask the job to stop at its next check."""
        self._cancelled.set()

    def advance(self, files: int, size_bytes: int) -> None:
        """Count finished work."""
        with self._lock:
            self.done_files += files
            self.done_bytes += size_bytes

    def expect(self, files: int, size_bytes: int = 0) -> None:
        """Count work that is known of from now on; less than nothing for what need not be done."""
        with self._lock:
            self.total_files += files
            self.total_bytes += size_bytes

    def report(self, *lines: dict[str, Any]) -> None:
        """Append lines to the job's report (JSON Lines, ASCII)."""
        self.report_lines("".join(json.dumps(line) + "\n" for line in lines))

    def report_lines(self, lines: str) -> None:
        """Append whole lines that are JSON and ASCII already."""
        with self._lock:
            self._report.write(lines.encode("ascii"))

    def flush_report(self) -> None:
        """Make what was reported so far visible to readers."""
        with self._lock:
            if not self._report.closed:
                self._report.flush()

    def status(self) -> JobStatus:
        """Return the job as the API shows it."""
        rate, eta_s = self._rate()
        return JobStatus(
            job_id=self.job_id,
            kind=self.kind,
            state=self.state,
            description=self.description,
            started=timestamp(self.started_s),
            finished=None if self.finished_s is None else timestamp(self.finished_s),
            done_files=self.done_files,
            total_files=self.total_files,
            done_bytes=self.done_bytes,
            total_bytes=self.total_bytes,
            rate_bytes_per_s=rate,
            eta_s=eta_s,
            phase=self.phase,
            error=self.error,
            result=self.result,
        )

    def run(self, work: Callable[["Job"], dict[str, Any]]) -> None:
        """Run the work to its end; every outcome becomes a state, none escapes."""
        with bind(job=self.job_id, kind=self.kind):
            _log.info("%s starts", self._name(), extra=about("job.started"))
            self._do(work)
            self._tell_end()
        _forget_frames(self.failure)
        with self._lock, suppress(OSError):  # Its last lines may find no room.
            self._report.close()
        self.finished_s = time.time()
        _return_memory()
        self.finished.set()
        self.ready.set()

    def _do(self, work: Callable[["Job"], dict[str, Any]]) -> None:
        try:
            self.result = work(self)
            self.state = "incomplete" if self.result.get("incomplete") else "done"
        except CancelledError as error:
            self.state, self.error, self.failure = "cancelled", str(error), error
        except Exception as error:
            self.state, self.error = "failed", str(error) or type(error).__name__
            self.failure = error

    def _tell_end(self) -> None:
        level, trace = logging.INFO, None
        if self.state == "failed":
            level = logging.WARNING
            # A mistake of ours has its trace; what a person or a disk did wrong is one line.
            if not isinstance(self.failure, DrystoneError):
                level, trace = logging.ERROR, self.failure
        why = f": {self.error}" if self.error else ""
        told = about("job.ended", state=self.state, files=self.done_files, bytes=self.done_bytes)
        _log.log(level, "%s is %s%s", self._name(), self.state, why, exc_info=trace, extra=told)

    def _name(self) -> str:
        return f"job {self.kind} ({self.description})"

    def discard(self) -> None:
        """Close and delete the report of a job that nobody will ask about."""
        self._report.close()
        os.unlink(self.report_path)

    def _rate(self) -> tuple[float, float | None]:
        now = time.time() if self.finished_s is None else self.finished_s
        if self.finished_s is not None:
            return self.done_bytes / max(1e-9, now - self.started_s), None
        with self._lock:
            recent = [sample for sample in self._samples if now - sample[0] <= RATE_WINDOW_S]
            self._samples = [*recent, (now, self.done_bytes)]
            first = self._samples[0]
        span = now - first[0]
        rate = (self.done_bytes - first[1]) / span if span > 0 else 0.0
        if not self.total_bytes:
            return rate, self._eta_by_files(now)
        left = self.total_bytes - self.done_bytes
        return rate, left / rate if rate > 0 and left >= 0 else None

    def _eta_by_files(self, now: float) -> float | None:
        """Of work that has no bytes, since the start: it is done in few and large steps."""
        left, spent_s = self.total_files - self.done_files, now - self.started_s
        return left * spent_s / self.done_files if self.done_files and left >= 0 else None


def _forget_frames(failure: BaseException | None) -> None:
    """Let go of all that the frames of a failure hold: it is remembered with its job."""
    chain = [failure]
    while chain:
        error = chain.pop()
        if error is not None and error.__traceback__ is not None:
            error.__traceback__ = None
            chain += [error.__cause__, error.__context__]


class JobRegistry:
    """All jobs of this engine; finished ones are kept up to a limit."""

    def __init__(self, report_path: str) -> None:
        self._report_path = report_path
        self._jobs: dict[str, Job] = {}
        # Guards `_jobs`. After `Engine._starting`; innermost.
        self._lock = threading.Lock()
        os.makedirs(report_path, mode=0o700, exist_ok=True)
        for name in os.listdir(report_path):
            os.unlink(os.path.join(report_path, name))

    def start(self, kind: str, description: str, work: Callable[[Job], dict[str, Any]]) -> Job:
        """Start a job in a thread of its own and return it."""
        job = Job(kind, description, self._report_path)
        with self._lock:
            self._jobs[job.job_id] = job
            self._forget_old()
        # In a copy of the context: it goes on for the request that asked, when that has its answer.
        call = contextvars.copy_context().run
        threading.Thread(target=call, args=(job.run, work), name=f"job-{kind}", daemon=True).start()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job; NotFoundError when there is none of this id (any more)."""
        with self._lock:
            if job_id not in self._jobs:
                raise NotFoundError(f"there is no job {job_id}; a restart of the engine ends jobs")
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def running(self) -> list[Job]:
        """Return the jobs that are not finished."""
        return [job for job in self.all() if job.finished_s is None]

    def _forget_old(self) -> None:
        finished = [job for job in self._jobs.values() if job.finished_s is not None]
        for job in finished[: max(0, len(finished) - FINISHED_JOBS_MAX)]:
            del self._jobs[job.job_id]
            if os.path.exists(job.report_path):
                os.unlink(job.report_path)
