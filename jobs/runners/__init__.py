"""Runners: they start the program of an action, watch it, and say how it ended.

This is the sub-folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.runners.outcome import RunOutcome, RunProgress
    from jobs.runners.plan import ProcessPlan, Runner
    from jobs.runners.program import run_program, runner_named
    from jobs.runners.request import RunRequest
    from jobs.runners.settings import RunnerSettings, load_runner_settings

_HOMES = {
    "ProcessPlan": "jobs.runners.plan",
    "RunOutcome": "jobs.runners.outcome",
    "RunProgress": "jobs.runners.outcome",
    "RunRequest": "jobs.runners.request",
    "Runner": "jobs.runners.plan",
    "RunnerSettings": "jobs.runners.settings",
    "load_runner_settings": "jobs.runners.settings",
    "run_program": "jobs.runners.program",
    "runner_named": "jobs.runners.program",
}

__all__ = [
    "ProcessPlan",
    "RunOutcome",
    "RunProgress",
    "RunRequest",
    "Runner",
    "RunnerSettings",
    "load_runner_settings",
    "run_program",
    "runner_named",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module jobs.runners has no attribute {name}")
    return getattr(import_module(_HOMES[name]), name)
