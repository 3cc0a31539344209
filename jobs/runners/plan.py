"""The agreement between the runners: it owns what a runner makes of a request, and runs nothing.

A runner only plans: which process stands for the program on this machine, and which commands leave
nothing behind. `jobs.runners.program` runs the plan the same way for all of them, so that timeout,
cancel, log, watching and exit codes are one thing, proven by one suite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jobs.runners.request import RunRequest
from jobs.runners.settings import RunnerSettings


class RefusedError(Exception):
    """The runner cannot do what is asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """A process on this machine, and what belongs to it.

    `before` and `after` are commands whose failure does not matter: `before` removes what an
    earlier attempt left, `after` runs at every end, even when the worker was killed. The last word
    of `after` goes to the log. `memory_bytes` is None where something else keeps that limit.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    memory_bytes: int | None = None
    file_bytes_max: int | None = None
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()


class Runner(Protocol):
    """One way to run a program."""

    def missing(self, request: RunRequest, settings: RunnerSettings) -> str | None:
        """Return what this machine lacks for it and how to get it, or None."""
        ...

    def plan(
        self, request: RunRequest, settings: RunnerSettings, environment: dict[str, str]
    ) -> ProcessPlan:
        """Return how to run it. `environment` is what the program may see.

        Raises RefusedError for what this runner cannot do.
        """
        ...
