"""Programs on the worker's own machine: it owns the runners `python` and `shell`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

from jobs.runners.plan import ProcessPlan
from jobs.runners.request import RunRequest
from jobs.runners.settings import RunnerSettings

FILE_BYTES_MAX = 1 << 30
"""The kernel stops a single file at the limit of all outputs, but never below this: the limit holds
for temporary files too. The guard's watch sees to the smaller limits."""


class ShellRunner:
    """An existing program with its arguments; no shell reads them, so a file name is never code."""

    def missing(self, request: RunRequest, settings: RunnerSettings) -> str | None:
        """Return the program that is not there, with what to install."""
        return missing_programs(request, (request.argv[0], *request.programs))

    def plan(
        self, request: RunRequest, settings: RunnerSettings, environment: dict[str, str]
    ) -> ProcessPlan:
        """Run the arguments as they are."""
        return _plan(request, request.argv, environment)


class PythonRunner:
    """A script for the worker's own interpreter, which does not see the environment (`-I`).

    Nothing is put beside the script either (`-B`): the folder of a contract is often read-only.
    """

    def missing(self, request: RunRequest, settings: RunnerSettings) -> str | None:
        """Return the module or program that is not there, with what to install."""
        script = request.argv[0]
        if not os.path.isfile(os.path.join(request.cwd, script)):
            return f"the script {script} is not on this machine"
        lacking = [name for name in request.requires if not _importable(name)]
        if lacking:
            return f"the Python module {lacking[0]} is missing: {_cure(request, lacking[0])}"
        return missing_programs(request, request.programs)

    def plan(
        self, request: RunRequest, settings: RunnerSettings, environment: dict[str, str]
    ) -> ProcessPlan:
        """Put the interpreter before the arguments."""
        return _plan(request, (sys.executable, "-I", "-B", *request.argv), environment)


def _plan(request: RunRequest, argv: tuple[str, ...], environment: dict[str, str]) -> ProcessPlan:
    file_bytes_max = request.output_bytes_max
    if file_bytes_max is not None:
        file_bytes_max = max(file_bytes_max, FILE_BYTES_MAX)
    return ProcessPlan(
        argv=argv,
        environment=environment,
        cwd=request.cwd,
        memory_bytes=request.memory_bytes,
        file_bytes_max=file_bytes_max,
    )


def missing_programs(request: RunRequest, names: tuple[str, ...]) -> str | None:
    """Return what to say when a program is not on this machine, or None."""
    for name in names:
        place = os.path.join(request.cwd, name) if "/" in name else name
        found = shutil.which(place, path=request.environment_set.get("PATH"))
        if found is None and "/" in name and os.path.exists(os.path.join(request.cwd, name)):
            return f"the program {name} may not be executed: chmod +x it"
        if found is None:
            return f"the program {name} is not on this machine: install it, or correct PATH"
    return None


def _importable(name: str) -> bool:
    # The top-level package only: finding `a.b` would import `a` into the worker.
    return importlib.util.find_spec(name.split(".")[0]) is not None


def _cure(request: RunRequest, module: str) -> str:
    if request.extra:
        return (
            f"install the extra `{request.extra}`: call `.venv/bin/python -m pip install -e "
            f"'.[{request.extra}]'` in the folder of Drystone"
        )
    return f"install what brings {module} into the worker's environment"
