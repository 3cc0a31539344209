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
class Sweep:
    """How what earlier attempts left is found and removed.

    `find` writes one name per line; those that are not above `name`, which is that of this attempt,
    go behind the words of `remove`: an attempt that comes late never ends a later one. Nothing is
    started while either fails.
    """

    find: tuple[str, ...]
    remove: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """A process on this machine, and what belongs to it.

    `sweep` comes before it. `after` are commands whose failure does not matter, which run at every
    end, even when the worker was killed; what they write counts for the judgement. `stdin` is what
    the process reads: what nobody else may see is not among its arguments. `memory_bytes` is None
    where something else keeps that limit.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    memory_bytes: int | None = None
    file_bytes_max: int | None = None
    stdin: str = ""
    sweep: Sweep | None = None
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
