"""Programs in containers of this machine: it owns the arguments of docker's command line.

podman understands the same ones (`docker_program = "podman"`).
"""

from __future__ import annotations

import hashlib
import os
import shutil

from jobs.runners.plan import ProcessPlan, RefusedError
from jobs.runners.request import RunRequest
from jobs.runners.settings import RunnerSettings

LABEL = "drystone.part"


def part_name(request: RunRequest) -> str:
    """Return a name that every attempt of one part shares, so that the next removes the last."""
    return f"drystone-{hashlib.sha256(request.output_root.encode()).hexdigest()[:24]}"


class DockerRunner:
    """One container per run: no network, the input read-only, the outputs as the worker's user."""

    def missing(self, request: RunRequest, settings: RunnerSettings) -> str | None:
        """Return that docker is missing, with what to do."""
        if shutil.which(settings.docker_program) is None:
            return (
                f"the program {settings.docker_program} is not on this machine: install it, or "
                "send this action's queue to a worker that has it"
            )
        return None

    def plan(
        self, request: RunRequest, settings: RunnerSettings, environment: dict[str, str]
    ) -> ProcessPlan:
        """Run `docker run` in the foreground: it passes words, signals and the exit code on."""
        docker, name = settings.docker_program, part_name(request)
        options = _options(request, settings, name)
        inspect = "{{if .State.OOMKilled}}OOMKilled{{end}}"
        return ProcessPlan(
            argv=(docker, "run", *options, str(request.image), *request.argv),
            environment=dict(os.environ),  # docker's own; the container's is among the options.
            cwd="/",
            before=((docker, "rm", "--force", name),),
            after=(
                (docker, "inspect", "--format", inspect, name),
                (docker, "rm", "--force", "--volumes", name),
            ),
        )


def _options(request: RunRequest, settings: RunnerSettings, name: str) -> list[str]:
    options = ["--name", name, "--label", f"{LABEL}={os.path.basename(request.output_root)}"]
    options += ["--init", "--pull", "missing", "--network", settings.docker_network]
    options += ["--user", settings.docker_user or _owner(request.output_root)]
    options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    options += ["--pids-limit", str(settings.docker_pids_max)]
    options += ["--log-driver", "none"]  # The words come through the command line, and are kept.
    for folder, read_only in mounts(request):
        if "," in folder or "\n" in folder:
            raise RefusedError(f"docker cannot mount a folder with a comma in its path: {folder}")
        kind = ",readonly" if read_only else ""
        options += ["--mount", f"type=bind,source={folder},target={folder}{kind}"]
    options += ["--tmpfs", "/tmp", "--workdir", request.cwd]
    if request.memory_bytes is not None:
        # The same for memory and swap together: no swap.
        options += ["--memory", str(request.memory_bytes)]
        options += ["--memory-swap", str(request.memory_bytes)]
    if request.gpu:
        options += ["--gpus", "all"]
    for variable, value in container_environment(request).items():
        options += ["--env", f"{variable}={value}"]
    return options


def mounts(request: RunRequest) -> list[tuple[str, bool]]:
    """Return the folders a container sees, each with whether it is read-only."""
    folders = [(request.input_root, True), (request.output_root, False)]
    if request.contract_folder:
        folders.append((request.contract_folder, True))
    return folders


def container_environment(request: RunRequest) -> dict[str, str]:
    """Return the variables for a container: its image says what PATH and the like are there."""
    allowed = {name: os.environ[name] for name in request.environment_allow if name in os.environ}
    return {"HOME": "/tmp", "TMPDIR": "/tmp"} | allowed | request.environment_set


def _owner(folder: str) -> str:
    status = os.stat(folder)
    return f"{status.st_uid}:{status.st_gid}"
