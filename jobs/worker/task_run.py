"""One attempt of a task: it owns its heartbeat, its log and the answers that a step gets.

A thread beats while the step works. It carries progress to the database and brings back whether
the run was cancelled. When no beat got through for the length of a lease the task may be somebody
else's already: the step is told to stop at its next border, and what it says afterwards is refused
anyway.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from base.errors import DrystoneError
from base.logging.secrets import without_secrets
from jobs.core.errors import CancelledError, GivenBackError, JobsError, LeaseLostError
from sql import Claim, Progress, StaleAttemptError

if TYPE_CHECKING:
    from jobs.runs.task_state import TaskState
    from sql import Database


class TaskRun:
    """The TaskContext of an attempt; a context manager, in which the heartbeat goes on."""

    def __init__(
        self,
        state: TaskState,
        claim: Claim,
        *,
        config_path: str,
        log_path: str,
        database: Callable[[], Database] | None,
        beat_s: float,
        lease_s: float,
        asked_s: float,
    ) -> None:
        """`asked_s` is when the claim was asked for, by `boot_s`: from then on the lease counts."""
        self._state = state
        self._claim = claim
        self._config_path = config_path
        self._log_path = log_path
        self._open_database = database
        self._beat_s, self._lease_s = beat_s, lease_s
        self.heeds_cancel = True  # Not by a step that puts things in order after a cancel.
        self._progress: Progress | None = None
        self._cancelled = False
        self._lost = False
        self._stopped = False
        self._last_heard = asked_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    # ---- What a step asks ------------------------------------------------------------------------

    @property
    def config_path(self) -> str:
        """The drystone.toml."""
        return self._config_path

    @property
    def run_id(self) -> int:
        """The run."""
        return self._claim.run_id

    @property
    def task_id(self) -> int:
        """The task, the same for every attempt."""
        return self._claim.task_id

    @property
    def token(self) -> int:
        """Number of this attempt."""
        return self._claim.token

    @property
    def part(self) -> int:
        """Number of the part, 0 for a step that is done once."""
        return self._claim.part

    @property
    def parameters(self) -> dict[str, Any]:
        """The run's parameters."""
        return self._claim.parameters

    @property
    def spec(self) -> dict[str, Any]:
        """The part, plus what was passed on."""
        return self._claim.spec

    @property
    def requested_by(self) -> str:
        """Who asked for the run."""
        return self._claim.requested_by

    @property
    def log_path(self) -> str:
        """The log file of this attempt."""
        return self._log_path

    @property
    def database(self) -> Database:
        """The database; JobsError where there is none."""
        if self._open_database is None:
            raise JobsError("this worker is on another machine and has no database")
        return self._open_database()

    def log(self, text: str) -> None:
        """Add a line to the log."""
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        encoding = sys.stderr.encoding or "utf-8"
        line = f"{stamp} {without_secrets(text)}\n".encode(encoding, "backslashreplace")
        # The attempt's stderr is its log; written at once, in one piece. A full disk loses words,
        # not the task, nor the heartbeat.
        with contextlib.suppress(OSError):
            os.write(2, line)

    def progress(self, done: int, total: int = 0, unit: str = "", text: str = "") -> None:
        """Say how far it is; told with the next heartbeat."""
        self._progress = Progress(done=done, total=total, unit=unit, text=text)

    def cancelled(self) -> bool:
        """Tell whether to stop at the next border."""
        if self.lost:
            # It stops now, even when a beat gets through before it has: that is no cancel then.
            self._stopped = True
            return True
        return self._cancelled and self.heeds_cancel

    def check_cancelled(self) -> None:
        """Raise CancelledError, LeaseLostError or GivenBackError if it is to stop."""
        if self.lost:
            why = "was taken back" if self._lost else "was not heard of for the time of a lease"
            raise LeaseLostError(f"attempt {self.token} of task {self.task_id} {why}")
        if self._cancelled and self.heeds_cancel:
            raise CancelledError("the run was cancelled")
        if self._stopped:
            raise GivenBackError("no heartbeat got through for the time of a lease; begun again")

    @property
    def taken_back(self) -> bool:
        """Whether a beat was told so: the task is somebody else's, or nobody's."""
        return self._lost

    @property
    def lost(self) -> bool:
        """Whether the task is, or must be taken to be, somebody else's."""
        return self._lost or self.lease_left_s() <= 0

    def lease_left_s(self) -> float:
        """Return how long the task is surely this attempt's, if no heartbeat gets through.

        Counted from before the last beat was sent, so it is over here before it is anywhere else.
        """
        return self._last_heard + self._lease_s - boot_s()

    # ---- The heartbeat ---------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._stop.wait(self._beat_s):
            progress, self._progress = self._progress, None
            asked = boot_s()
            try:
                self._cancelled = self._state.beat(self.task_id, self.token, progress)
                self._last_heard = asked
            except StaleAttemptError:
                self._lost = True
                return
            except (DrystoneError, OSError) as error:
                # The server is away: the next beat may reach it.
                self._progress = self._progress or progress
                self.log(f"no heartbeat: {error}")
            except Exception as error:
                # Never without a trace: a beat that dies silently would lose the task.
                self.log(f"no heartbeat: {type(error).__name__}: {error}")


def boot_s() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps: the server's does."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
