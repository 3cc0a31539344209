"""The runners' settings: it owns what `[jobs.runners]` of drystone.toml may say of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from base.config import read_config

FREE_BYTES_MIN = 256 << 20
GRACE_S = 10.0
LOG_BYTES_MAX = 16 << 20
HEARTBEAT_S = 5.0

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$")]


class Volume(BaseModel):
    """Where pods find the stage area: a path of each machine, or a claim.

    The folders of a part lie below `root` on the worker. With `hostPath` the cluster's machines
    have the area at `host_root` (the same path when left out); with `pvc` the claim holds what lies
    below `root`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["hostPath", "pvc"] = "hostPath"
    root: str = "/"
    host_root: str | None = None
    claim: Word | None = None


class RunnerSettings(BaseModel):
    """What the machine of a worker says about how programs run there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    free_bytes_min: Annotated[int, Field(ge=0)] = FREE_BYTES_MIN
    """A program is stopped when its output's file system has less."""
    grace_s: Annotated[float, Field(gt=0, le=600)] = GRACE_S
    """Between the request to end (SIGTERM) and the kill."""
    log_bytes_max: Annotated[int, Field(ge=4096)] = LOG_BYTES_MAX
    """Beginning and end of what a program says are kept, the middle is left out."""
    heartbeat_s: Annotated[float, Field(gt=0, le=60)] = HEARTBEAT_S

    docker_program: str = "docker"
    docker_user: str | None = None
    """`uid:gid` in the container; the owner of the output folder when left out."""
    docker_network: Word = "none"
    docker_pids_max: Annotated[int, Field(ge=16)] = 4096

    kubectl_program: str = "kubectl"
    k8s_namespace: Word = "default"
    k8s_context: str | None = None
    k8s_volume: Volume = Volume()
    k8s_poll_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    k8s_cpu: Word | None = None


def load_runner_settings(config_path: str | None) -> RunnerSettings:
    """Return the section [jobs.runners]; without a file, what holds when nobody says otherwise.

    Raises ConfigError with each field that is wrong.
    """
    if config_path is None:
        return RunnerSettings()
    return read_config(config_path).checked(RunnerSettings, "jobs", "runners")
