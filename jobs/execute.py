"""What one job of a queue does: it owns the way from a task's number to its end in the database.

    claim -> step function, with a heartbeat and a log of its own -> finish

RQ calls `perform` with the number only. Everything else is read from the database (or over HTTP on
another machine), so a job that is delivered twice, late, or after Redis was emptied finds the task
taken and does nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from base.errors import DrystoneError, UsageError
from base.logging import spans
from base.logging.daemon import also_on_stderr
from base.logging.ids import about, bind
from jobs.core.errors import (
    CancelledError,
    GivenBackError,
    JobsError,
    LeaseLostError,
    PermanentError,
    WaitError,
)
from jobs.runs.local_state import log_path, pack_result
from jobs.runs.registry import workflow_named
from jobs.runs.workflow import Step, StepResult
from jobs.worker.spans import add_attempt
from jobs.worker.task_run import TaskRun, boot_s
from sql import BusyError, Claim, DatabaseUnavailableError, Outcome, StaleAttemptError

if TYPE_CHECKING:
    from jobs.runs.task_state import TaskState
    from sql import Database

_log = logging.getLogger(__name__)

PATIENCE_S = 600.0
"""So long the end of a task is told again and again while the database is away."""
PAUSE_S = 0.5
PAUSE_S_MAX = 10.0
ERROR_TEXT_MAX = 2_000


@dataclass(slots=True)
class Workplace:
    """Where tasks are done: this machine's, or another's without a database."""

    config_path: str
    state: TaskState
    worker: str
    log_dir: str
    database: Callable[[], Database] | None = None
    beat_s: float = 5.0
    lease_s: float = 30.0
    space_retry_s: float = 30.0
    is_remote: bool = False


_workplace: Workplace | None = None


def set_workplace(workplace: Workplace) -> None:
    """Say where `perform` works; called once by the worker, before it takes jobs."""
    global _workplace
    _workplace = workplace


def perform(task_id: int) -> str:
    """Do a task; called by RQ. Returns the state in which it ended, or why nothing was done."""
    if _workplace is None:
        raise JobsError("tasks are done by `drystone worker`, not by a bare RQ worker")
    return carry_out(_workplace, int(task_id))


def carry_out(place: Workplace, task_id: int) -> str:
    """Do a task at a workplace; never raises what the step raised."""
    # Looked at the clock first: on the other side the lease begins while this one still waits.
    asked_s, claim = _patiently(lambda: (boot_s(), place.state.claim(task_id, place.worker)))
    if claim is None:
        return "not to be begun"
    ids = {"run": claim.run_id, "task": claim.task_id, "attempt": claim.token}
    asked = {"request_id": claim.request_id, "trace_id": claim.trace_id}
    with bind(**ids, **asked, workflow=claim.workflow, step=claim.step):
        _log.info("%s of run %d starts", claim.step, claim.run_id, extra=about("task.started"))
        begin_ns = time.time_ns()
        state = _attempt(place, claim, asked_s)
        if spans.is_on():
            add_attempt(claim, state, begin_ns, place.database)
        level = logging.WARNING if state == "failed" else logging.INFO
        told = about("task.ended", state=state)
        _log.log(level, "%s of run %d: %s", claim.step, claim.run_id, state, extra=told)
    return state


def _attempt(place: Workplace, claim: Claim, asked_s: float) -> str:
    """Do an attempt that was claimed, with its output in its log; returns how it ended."""
    task_id = claim.task_id
    path = os.path.join(place.log_dir, log_path(claim.run_id, claim.task_id, claim.token))
    with _output_to(path), also_on_stderr():
        run = TaskRun(
            place.state,
            claim,
            config_path=place.config_path,
            log_path=path,
            database=place.database,
            beat_s=place.beat_s,
            lease_s=place.lease_s,
            asked_s=asked_s,
        )
        with run:
            outcome = _outcome_of(place, run, claim)
            if outcome is None:
                return "taken back"
            # Whoever is told of the end may read the log, which a worker elsewhere sends before.
            _flush()
            try:
                # The heartbeat goes on until the end is written: nobody may take it back before.
                _patiently(lambda: place.state.finish(task_id, claim.token, outcome))
            except StaleAttemptError as error:
                run.log(str(error))
                return "taken back"
            except (DatabaseUnavailableError, BusyError):
                raise
            except Exception as error:
                # The result cannot be kept, or what follows it cannot be made; say that instead.
                if not isinstance(error, DrystoneError):
                    _log.exception("the end cannot be kept", extra=about("task.end_failed"))
                failed = Outcome(state="failed", error=_line(error), retry=False)
                _patiently(lambda: place.state.finish(task_id, claim.token, failed))
                return "failed"
    return outcome.state


def _outcome_of(place: Workplace, run: TaskRun, claim: Claim) -> Outcome | None:
    """Call the step and put into words how it ended; None when it is somebody else's by now."""
    try:
        step = workflow_named(claim.workflow).step(claim.step)
        run.heeds_cancel = not step.always
        outcome = pack_result(_result_of(step, run))
    except LeaseLostError as error:
        run.log(str(error))
        if run.taken_back:
            return None
        # The server was away, or this process frozen, and perhaps nobody else has it yet.
        outcome = Outcome(state="queued", error=_line(error))
    except CancelledError as error:
        outcome = Outcome(state="cancelled", error=_line(error))
    except GivenBackError as error:
        outcome = Outcome(state="queued", error=_line(error), retry_in_s=error.retry_in_s)
    except WaitError as error:
        outcome = _waiting(place, error.state, error, error.retry_in_s)
    except PermanentError as error:
        outcome = Outcome(state="failed", error=_line(error), retry=False)
    except (Exception, SystemExit) as error:
        outcome = _failed(place, run, error)
    run.log(f"{claim.step}: {outcome.state} {outcome.error}".rstrip())
    return outcome


def _result_of(step: Step, run: TaskRun) -> StepResult:
    run.check_cancelled()
    answer = step.function(run)
    if isinstance(answer, StepResult):
        return answer
    return StepResult(values=answer or {})


def _failed(place: Workplace, run: TaskRun, error: BaseException) -> Outcome:
    from adapters import EngineUnavailableError, SpaceError

    # A server that is away is not the task's fault: it waits, however long that takes.
    if isinstance(error, (SpaceError, EngineUnavailableError, DatabaseUnavailableError)):
        return _waiting(place, "waiting_space", error, None)
    if run.lost:
        # Whatever it is, it may come from being too late; nobody asks any more.
        return Outcome(state="failed", error=_line(error))
    if not isinstance(error, DrystoneError):
        _log.error("a step failed", exc_info=error, extra=about("task.failed"))
        return Outcome(state="failed", error=f"{type(error).__name__}: {_line(error)}")
    # A mistake in what was asked is the same mistake next time.
    return Outcome(state="failed", error=_line(error), retry=not isinstance(error, UsageError))


def _waiting(
    place: Workplace, state: Any, error: BaseException, retry_in_s: float | None
) -> Outcome:
    if retry_in_s is None:
        # Labels are told when they come; still somebody looks once a day.
        retry_in_s = place.space_retry_s if state == "waiting_space" else 86_400.0
    return Outcome(state=state, error=_line(error), retry_in_s=retry_in_s)


def _line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text[:ERROR_TEXT_MAX]


def _patiently(call: Callable[[], Any]) -> Any:
    """Call, and again while the database is away or busy; the work done is worth waiting for."""
    deadline = time.monotonic() + PATIENCE_S
    pause_s = PAUSE_S
    while True:
        try:
            return call()
        except (DatabaseUnavailableError, BusyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, PAUSE_S_MAX)


@contextlib.contextmanager
def _output_to(path: str) -> Generator[None]:
    """Send stdout and stderr of this process, and of those it starts, into the attempt's log."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        log = os.open(path, flags, 0o600)
    except OSError as error:
        # A full disk loses words, not the task.
        with contextlib.suppress(OSError):
            print(f"the log {path} cannot be written: {error}", file=sys.stderr)
        log = os.open(os.devnull, flags)
    _flush()
    saved = os.dup(1), os.dup(2)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        _flush()
        for number, descriptor in enumerate(saved, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(log)


def _flush() -> None:
    """Let what was printed reach the log; one on a full disk loses words, not the task."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
