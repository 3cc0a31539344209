"""The jobs' branch of the errors; their root and a person's mistakes are in `base.errors`.

JobsError
├── RedisUnavailableError    Redis does not answer, or the embedded server does not start
├── CancelledError           raised inside a task whose run was cancelled; ends it as cancelled
├── LeaseLostError           raised inside a task that is somebody else's by now; changes nothing
├── GivenBackError           raised by a step: it was stopped, nobody's fault; it is begun again
├── PermanentError           raised by a step: it failed, and trying again is of no use
└── WaitError                raised by a step: it cannot go on now, and gives its worker back
    └── SpaceError           there is no space; the scheduler lets it try again
"""

from __future__ import annotations

from typing import Literal

from base.errors import DrystoneError


class JobsError(DrystoneError):
    """A run, a task or a process of the jobs failed."""


class RedisUnavailableError(JobsError):
    """Redis does not answer; no run is lost, and what is due is delivered when it is back."""


class CancelledError(JobsError):
    """The run was cancelled; a step lets it pass, after it has put its own things in order."""


class LeaseLostError(JobsError):
    """The task was taken back or could not be kept alive; a step lets it pass and stops at once."""


class GivenBackError(JobsError):
    """A step was stopped, and neither it nor a cancel is the reason; begun again, none counted."""

    def __init__(self, message: str, retry_in_s: float | None = None) -> None:
        self.retry_in_s = retry_in_s
        super().__init__(message)


class PermanentError(JobsError):
    """A step failed in a way that would be the same next time."""


class WaitError(JobsError):
    """The step waits in a durable state, without a worker, and is begun again later."""

    state: Literal["waiting_space", "waiting_labels"] = "waiting_labels"

    def __init__(self, message: str, retry_in_s: float | None = None) -> None:
        self.retry_in_s = retry_in_s
        super().__init__(message)


class SpaceError(WaitError):
    """There is no space now; the step is begun again when there may be some."""

    state = "waiting_space"
