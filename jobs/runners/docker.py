"""Programs in containers of this machine: it owns the arguments of docker's command line.

podman understands the same ones (`docker_program = "podman"`).
"""

from __future__ import annotations

import hashlib
import os
import shutil

from base.logging.ids import environment as ids_environment
from jobs.runners.plan import ProcessPlan, RefusedError, Sweep
from jobs.runners.request import RunRequest
from jobs.runners.settings import RunnerSettings

LABEL = "drystone.part"


def part_label(request: RunRequest) -> str:
    """Return what all attempts of one part have in common, so that the next removes the last."""
    return hashlib.sha256(request.output_root.encode()).hexdigest()[:24]


def attempt_name(request: RunRequest) -> str:
    """Return the name of one attempt: above those of all earlier ones, and nobody else's."""
    return f"drystone-{part_label(request)}-{request.attempt:06}"


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
        docker, name = settings.docker_program, attempt_name(request)
        options = _options(request, settings, name)
        inspect = "{{if .State.OOMKilled}}OOMKilled{{end}}"
        return ProcessPlan(
            argv=(docker, "run", *options, str(request.image), *request.argv),
            environment=dict(os.environ),  # docker's own; options say what goes into the container.
            cwd="/",
            sweep=Sweep(
                find=(
                    docker,
                    "ps",
                    "--all",
                    "--filter",
                    f"label={LABEL}={part_label(request)}",
                    "--format",
                    "{{.Names}}",
                ),
                remove=(docker, "rm", "--force", "--volumes"),
                name=name,
            ),
            after=(
                (docker, "inspect", "--format", inspect, name),
                (docker, "rm", "--force", "--volumes", name),
            ),
        )


def _options(request: RunRequest, settings: RunnerSettings, name: str) -> list[str]:
    options = ["--name", name, "--label", f"{LABEL}={part_label(request)}"]
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
        # Arguments are seen by everybody: docker takes the worker's values from its environment.
        own = variable in request.environment_allow and os.environ.get(variable) == value
        options += ["--env", variable if own else f"{variable}={value}"]
    return options


def mounts(request: RunRequest) -> list[tuple[str, bool]]:
    """Return the folders and files a container sees, each with whether it is read-only."""
    folders = [(request.input_root, True), (request.output_root, False)]
    if request.contract_folder:
        folders.append((request.contract_folder, True))
    return folders + [(path, True) for path in request.model_files]


def container_environment(request: RunRequest) -> dict[str, str]:
    """Return the variables for a container: its image says what PATH and the like are there."""
    allowed = {name: os.environ[name] for name in request.environment_allow if name in os.environ}
    base = {"HOME": "/tmp", "TMPDIR": "/tmp"} | ids_environment()
    return base | allowed | request.environment_set


def _owner(folder: str) -> str:
    status = os.stat(folder)
    return f"{status.st_uid}:{status.st_gid}"
