"""Keeping the processes up: it owns the list of what should run, and starting what is missing.

`up` writes the wish, `down` takes it away. While it is there the keeper starts Redis and workers
that died, and a worker that is idle starts the keeper. Under systemd nobody wishes anything here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from base import process
from base.errors import DrystoneError
from jobs.process_main import WISHED, keeper_mark, worker_mark
from jobs.queues import redis_server

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig
    from jobs.scheduler.keeper import Watch

IDLE_LOOK_EVERY_S = 15.0
MODULE = ("-m", "jobs.process_main")

_log = logging.getLogger("drystone.supervise")


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


def wish(config: JobsConfig, *, up: bool) -> None:
    """Say whether everything should run; durable enough for a machine that stays up."""
    path = _wish_path(config)
    if up:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path + ".tmp", "w", encoding="ascii") as file:
            json.dump({"up": True}, file)
        os.replace(path + ".tmp", path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def is_wished(config: JobsConfig) -> bool:
    """Tell whether everything should run."""
    return os.path.exists(_wish_path(config))


def start_keeper(config: JobsConfig, config_path: str, *, wished: bool = False) -> bool:
    """Start the keeper; False when one runs. With `wished` it goes away where nobody wants it."""
    log = os.path.join(config.run_dir, "keeper.log")
    arguments = [*MODULE, "keeper", config_path, *_wished(wished)]
    return process.start(arguments, keeper_mark(config), log)


def start_worker(
    config: JobsConfig, config_path: str, wanted: WantedWorker, *, wished: bool = False
) -> bool:
    """Start a worker; False when it runs. With `wished` it goes away where nobody wants it."""
    log = os.path.join(config.run_dir, f"worker-{wanted.name}.log")
    arguments = [*MODULE, "worker", config_path, wanted.name, *wanted.queues, *_wished(wished)]
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
    """Start Redis and the workers that should run and do not; a duty of the keeper."""
    config = watch.config
    if not is_wished(config):
        return
    if config.embedded and redis_server.find(config) is None:
        _log.warning("Redis is gone; it is started again")
        redis_server.start(config)
    for wanted in wanted_workers(config):
        if process.find(worker_mark(config, wanted.name)) is None and is_wished(config):
            _log.warning("worker %s is gone; it is started again", wanted.name)
            start_worker(config, watch.config_path, wanted, wished=True)


class Reviver:
    """Lets idle workers start a keeper that is gone."""

    def __init__(self, config: JobsConfig, config_path: str) -> None:
        self._config, self._config_path = config, config_path
        self._due_s = time.monotonic() + IDLE_LOOK_EVERY_S

    def keeper(self) -> None:
        """Start the keeper when it should run and does not; cheap when called often."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + IDLE_LOOK_EVERY_S
        try:
            if is_wished(self._config) and process.find(keeper_mark(self._config)) is None:
                _log.warning("the keeper is gone; it is started again")
                start_keeper(self._config, self._config_path, wished=True)
        except (DrystoneError, OSError) as error:
            _log.warning("the keeper cannot be started: %s", error)


def _wished(wished: bool) -> tuple[str, ...]:
    return (WISHED,) if wished else ()


def _wish_path(config: JobsConfig) -> str:
    return os.path.join(config.run_dir, "wanted.json")
