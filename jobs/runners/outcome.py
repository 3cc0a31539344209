"""How a program goes and how it ended: it owns the two records, and never a process."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["done", "partial", "failed", "cancelled"]
Cause = Literal[
    "exit", "signal", "timeout", "memory", "output_bytes", "free_space", "cancelled", "missing",
    "refused", "guard", "lease",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What is known of a running program; all but the time are from the last measurement."""

    duration_s: float
    output_bytes: int
    output_files: int
    memory_bytes: int
    log_bytes: int


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a program ended.

    `state`: done and partial by the exit codes of the contract; `cause` says why it is failed:

    - `exit`, `signal`: the program ended itself with a code that says so;
    - `timeout`, `memory`, `output_bytes`, `free_space`: it was stopped at that limit (with
      `free_space` and not `started` there was no room for it: it may be tried when there is);
    - `missing`: nothing was started, because a module, program or file is not on this machine;
    - `refused`: nothing was started, because the runner cannot do what is asked;
    - `guard`: the process that watches over the program died, or the machine went down; the program
      died with it;
    - `lease`: the worker was frozen or cut off so long that the task may be somebody else's.

    `reason` is for people, one line. `memory_bytes_peak` is what was measured, 0 in a container.
    """

    state: State
    cause: Cause
    reason: str
    exit_code: int | None = None
    duration_s: float = 0.0
    output_bytes: int = 0
    output_files: int = 0
    memory_bytes_peak: int = 0
    log_bytes: int = 0
    started: bool = False

    def document(self) -> dict[str, Any]:
        """Return this as JSON-able values."""
        return asdict(self)
