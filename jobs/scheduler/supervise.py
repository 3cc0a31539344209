"""Keeping the processes up: it owns the list of what should run, and starting what is missing.

`up` writes a file that says so, `down` takes it away. While it is there the scheduler starts Redis
and workers that died, and a worker that is idle starts the scheduler. Under systemd there is none.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from base.errors import DrystoneError
from base.logging.ids import about
from base.processes import process
from jobs.core.marks import WHILE_UP, scheduler_mark, worker_mark
from jobs.queues import redis_server

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig
    from jobs.scheduler.periodic_task import Watch

IDLE_LOOK_EVERY_S = 15.0
MODULE = ("-m", "jobs.process_main")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WantedWorker:
    """A worker that should run."""

    name: str
    queues: tuple[str, ...]


def wanted_workers(config: JobsConfig) -> list[WantedWorker]:
    """Return the workers that the configuration asks for."""
    return [
        WantedWorker(f"{group}-{number}", found.queues)
        for group, found in config.workers.items()
        for number in range(1, found.count + 1)
    ]


def set_should_run(config: JobsConfig, *, up: bool) -> None:
    """Say whether everything should run; durable enough for a machine that stays up."""
    path = _should_run_path(config)
    if up:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path + ".tmp", "w", encoding="ascii") as file:
            json.dump({"up": True}, file)
        os.replace(path + ".tmp", path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def should_run(config: JobsConfig) -> bool:
    """Tell whether everything should run."""
    return os.path.exists(_should_run_path(config))


def start_scheduler(config: JobsConfig, config_path: str, *, while_up: bool = False) -> bool:
    """Start the scheduler; False when one runs. With `while_up` it ends where none should run."""
    log = os.path.join(config.run_dir, "scheduler.log")
    arguments = [*MODULE, "scheduler", config_path, *_while_up(while_up)]
    return process.start(arguments, scheduler_mark(config), log)


def start_worker(
    config: JobsConfig, config_path: str, wanted: WantedWorker, *, while_up: bool = False
) -> bool:
    """Start a worker; False when it runs. With `while_up` it ends where none should run."""
    log = os.path.join(config.run_dir, f"worker-{wanted.name}.log")
    arguments = [*MODULE, "worker", config_path, wanted.name, *wanted.queues, *_while_up(while_up)]
    return process.start(arguments, worker_mark(config, wanted.name), log)


def running_workers(config: JobsConfig) -> dict[str, int]:
    """Return pids by name of all workers of this store on this machine, wanted or not."""
    found: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(os.listdir(config.run_dir)):
            if entry.startswith("worker-") and entry.endswith(".mark"):
                pid = process.find(os.path.join(config.run_dir, entry))
                if pid is not None:
                    found[entry.removeprefix("worker-").removesuffix(".mark")] = pid
    return found


def revive(watch: Watch) -> None:
    """Start Redis and the workers that should run and do not; a periodic task of the scheduler."""
    config = watch.config
    if not should_run(config):
        return
    if config.embedded and redis_server.find(config) is None:
        _log.warning("Redis is gone; it is started again", extra=about("redis.gone"))
        redis_server.start(config)
    for wanted in wanted_workers(config):
        if process.find(worker_mark(config, wanted.name)) is None and should_run(config):
            _log.warning(
                "worker %s is gone; it is started again",
                wanted.name,
                extra=about("worker.gone", worker=wanted.name),
            )
            start_worker(config, watch.config_path, wanted, while_up=True)


class Reviver:
    """Lets idle workers start a scheduler that is gone."""

    def __init__(self, config: JobsConfig, config_path: str) -> None:
        self._config, self._config_path = config, config_path
        self._due_s = time.monotonic() + IDLE_LOOK_EVERY_S

    def scheduler(self) -> None:
        """Start the scheduler when it should run and does not; cheap when called often."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + IDLE_LOOK_EVERY_S
        try:
            if should_run(self._config) and process.find(scheduler_mark(self._config)) is None:
                _log.warning(
                    "the scheduler is gone; it is started again", extra=about("scheduler.gone")
                )
                start_scheduler(self._config, self._config_path, while_up=True)
        except (DrystoneError, OSError) as error:
            _log.warning(
                "the scheduler cannot be started: %s", error, extra=about("scheduler.start_failed")
            )


def _while_up(while_up: bool) -> tuple[str, ...]:
    return (WHILE_UP,) if while_up else ()


def _should_run_path(config: JobsConfig) -> str:
    return os.path.join(config.run_dir, "wanted.json")
