"""The section [jobs] of drystone.toml: it owns its settings, frozen once they are read.

What lies below [jobs.alerts] and [jobs.runners] is read by those who own it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from typing import Annotated, Any

from pydantic import Field, IPvAnyNetwork

from base.config import read_config
from base.model import Document

SECTION = "jobs"
OTHERS = ("alerts", "runners")
SOCKET_PATH_BYTES_MAX = 107

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]


Lane = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}(\.high)?$")]
"""A queue, or `QUEUE.high`: what is of its high lane alone."""


class WorkerGroup(Document):
    """`count` workers that all listen on these queues, the first one first."""

    queues: tuple[Lane, ...] = Field(min_length=1)
    count: int = Field(default=1, ge=0, le=64)


class GpuConfig(Document):
    """A GPU machine that is woken when tasks wait for it, and put to sleep when it is idle.

    Commands are argument lists; one that is empty is not run. Without a wake command the gate is
    opened by hand (`drystone gpu ready`).
    """

    host: str = ""
    wake_command: tuple[str, ...] = ()
    health_command: tuple[str, ...] = ()
    sleep_command: tuple[str, ...] = ()
    wake_timeout_s: float = Field(default=300.0, gt=0)
    command_timeout_s: float = Field(default=30.0, gt=0, le=600)
    idle_s: float = Field(default=900.0, gt=0)


class WebhooksConfig(Document):
    """Where webhooks may be, and how much they are told together."""

    allowed_networks: tuple[IPvAnyNetwork, ...] = Field(default=(), max_length=100)
    """Networks, such as `10.0.0.0/8`, in which webhooks may be, though they are not public."""
    batch_max: int = Field(default=10, ge=1, le=100)
    """So many events a webhook may be told together."""


class ArrivalAction(Document):
    """An action that what came in gets by itself, with parameters of an AC4."""

    action: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    parameters: dict[str, int | float | str | bool] = Field(default_factory=dict[str, Any])


def _default_actions() -> tuple[ArrivalAction, ...]:
    frames: dict[str, Any] = {"every_s": 10.0, "frames_max": 3}
    return (
        ArrivalAction(action="image_probe"),
        ArrivalAction(action="audio_probe"),
        ArrivalAction(action="text_extract"),
        ArrivalAction(action="key_frames", parameters=frames),
    )


def _default_workers() -> dict[Name, WorkerGroup]:
    cores = os.cpu_count() or 1
    return {
        "io": WorkerGroup(queues=("io", "default"), count=2),
        "cpu": WorkerGroup(queues=("cpu", "default"), count=max(1, min(8, cores // 2))),
        "gpu": WorkerGroup(queues=("gpu",), count=1),
        # The slot that is kept for the high lane; a GPU has no room for a second program.
        "high": WorkerGroup(queues=("io.high", "cpu.high", "default.high"), count=1),
    }


class JobsConfig(Document):
    """How jobs run. `redis_url` is empty for the embedded server."""

    redis_url: str = Field(default="", repr=False)
    queues: tuple[Name, ...] = ("gpu", "io", "cpu", "default")
    workers: dict[Name, WorkerGroup] = Field(default_factory=_default_workers)
    gpu: GpuConfig = GpuConfig()
    webhooks: WebhooksConfig = WebhooksConfig()
    heartbeat_s: float = Field(default=5.0, gt=0, le=15)
    lease_s: float = Field(default=30.0, gt=0, le=45)
    """A worker that is silent for so long is thought dead, and its task is given to another."""
    stop_timeout_s: float = Field(default=120.0, gt=0)
    """So long `down` waits for tasks to end before it kills them; they are begun again later."""
    space_retry_s: float = Field(default=30.0, gt=0)
    """Between two looks whether there is space for a task that waits for some."""
    thumbnails_on_arrival: bool = True
    """Whether what came in gets thumbnails by itself, after the last of it came."""
    actions_on_arrival: tuple[ArrivalAction, ...] = Field(
        default_factory=_default_actions, max_length=50
    )
    """What else is done by itself then, in turn; of what this machine cannot run the log tells."""
    events_kept_days: float = Field(default=7.0, gt=0, le=3_650)
    """How long what happened can be read in the feed."""
    audit_kept_days: float = Field(default=731.0, ge=31, le=36_500)
    """How long the audit log keeps who changed what."""
    workflow_modules: tuple[str, ...] = ()
    """Python modules with workflows of one's own: each has them in a tuple WORKFLOWS."""
    root: str

    @property
    def embedded(self) -> bool:
        """Tell whether Redis is a server of our own."""
        return not self.redis_url

    @property
    def run_dir(self) -> str:
        """Folder of process marks, logs and the embedded server's data."""
        return os.path.join(self.root, "run", "scheduler")

    @property
    def log_dir(self) -> str:
        """Folder of the logs of attempts, `RUN/TASK-ATTEMPT.log` below it."""
        return os.path.join(self.root, "run", "task-logs")

    @property
    def socket_path(self) -> str:
        """Socket of the embedded server, elsewhere when its path would be too long."""
        near = os.path.join(self.run_dir, "redis.sock")
        if len(os.fsencode(near)) <= SOCKET_PATH_BYTES_MAX:
            return near
        name = hashlib.sha256(os.fsencode(os.path.realpath(self.run_dir))).hexdigest()[:16]
        return os.path.join(tempfile.gettempdir(), f"drystone-{os.geteuid()}", name, "redis.sock")

    @property
    def gpu_host(self) -> str:
        """Name of the GPU machine; this one when none is written down."""
        return self.gpu.host or socket.gethostname()


def load_jobs_config(path: str) -> JobsConfig:
    """Read and check the section [jobs]; ConfigError names the field that is wrong."""
    file = read_config(path)
    return file.checked(JobsConfig, SECTION, without=OTHERS, root=file.root)
