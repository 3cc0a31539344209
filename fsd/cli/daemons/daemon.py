"""The engine in the background: it owns how the engine is started, found and stopped.

It knows processes and the control socket, never objects. Every call is idempotent: starting what
runs and stopping what does not run do nothing. The mount's half is daemon_mount.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from base.errors import DrystoneError, UsageError
from base.processes import process
from fsd.cli.daemons import daemon_mount, daemon_process
from fsd.cli.daemons.daemon_process import ProcessMark
from fsd.client.client import Client
from fsd.disks.config import Config
from fsd.format.errors import EngineUnavailableError, FsdError
from fsd.process.address_space import address_space_problem

ENGINE_START_TIMEOUT_S = 900.0
"""A start after a crash recovers shards first; it shows its log when it dies before."""
ENGINE_NOTICE_INTERVAL_S = 5.0
ENGINE_STOP_TIMEOUT_S = 60.0
HEALTH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """What runs: pids where we started them, `mounted` as the kernel says."""

    engine_pid: int | None
    engine_answers: bool
    engine_uptime_s: float
    mount_point: str
    mount_pid: int | None
    mounted: bool


def status(config: Config) -> DaemonStatus:
    """Look at the engine and the configured mount."""
    engine = daemon_process.find(_engine_pid_path(config))
    mount = daemon_mount.find_mount(config)
    return DaemonStatus(
        engine_pid=engine.pid if engine else None,
        engine_answers=_answers(config),
        engine_uptime_s=daemon_process.started_ago_s(engine) if engine else 0.0,
        mount_point=config.mount,
        mount_pid=mount.pid if mount else None,
        mounted=daemon_mount.is_mounted(config.mount),
    )


def start_engine(
    config: Config, config_path: str, on_notice: Callable[[str], None] = lambda _: None
) -> bool:
    """Start the engine and wait until it answers; False when it ran already.

    Raises FsdError with the end of its log when it dies before, UsageError where it could not
    even open its index.
    """
    with daemon_process.start_lock(config.run_dir):
        mark = daemon_process.find(_engine_pid_path(config))
        if mark is None and _answers(config):
            return False  # Started by somebody else, such as a service manager.
        started = mark is None
        if mark is None:
            if problem := address_space_problem():
                raise UsageError(problem)
            arguments = ["-m", "fsd.engine_main", "--config", os.path.abspath(config_path)]
            mark = daemon_process.start(arguments, _engine_pid_path(config), engine_log(config))
        _wait_until_it_answers(config, mark, on_notice)
        return started


def _wait_until_it_answers(
    config: Config, mark: ProcessMark, on_notice: Callable[[str], None]
) -> None:
    begun = time.monotonic()
    notice_due = begun + ENGINE_NOTICE_INTERVAL_S
    while not _answers(config):
        if not daemon_process.is_alive(mark):
            raise FsdError(
                f"the engine {daemon_process.exit_status(mark)} before it answered; the end of "
                f"{engine_log(config)}:\n{process.log_tail(engine_log(config))}"
            )
        now = time.monotonic()
        if now - begun > ENGINE_START_TIMEOUT_S:
            raise EngineUnavailableError(
                f"the engine (process {mark.pid}) runs and does not answer; "
                f"see {engine_log(config)}"
            )
        if now >= notice_due:
            notice_due = now + ENGINE_NOTICE_INTERVAL_S
            on_notice(f"the engine is still starting ({now - begun:.0f} s)")
        time.sleep(process.POLL_INTERVAL_S)


def stop_engine(config: Config) -> bool:
    """Stop the engine, whoever started it; False when none ran."""
    path = _engine_pid_path(config)
    mark = daemon_process.find(path)
    if mark is None:
        return _shut_down(config)
    daemon_process.stop(mark, ENGINE_STOP_TIMEOUT_S)
    daemon_process.forget(path)
    return True


def _shut_down(config: Config) -> bool:
    """Ask an engine that is not our process to stop, and wait until it has."""
    if not _answers(config):
        return False
    Client(config.socket_path).shutdown()
    deadline = time.monotonic() + ENGINE_STOP_TIMEOUT_S
    while _answers(config):
        if time.monotonic() > deadline:
            raise FsdError("the engine was asked to stop and still answers; who started it?")
        time.sleep(process.POLL_INTERVAL_S)
    return True


def engine_log(config: Config) -> str:
    """Return the path of the engine's log."""
    return os.path.join(config.run_dir, "engine.log")


def _answers(config: Config) -> bool:
    try:
        Client(config.socket_path).health(timeout_s=HEALTH_TIMEOUT_S)
    except EngineUnavailableError:
        return False
    except DrystoneError:
        # It is up, and says what is wrong (its index is damaged): it can be asked to repair that.
        return True
    return True


def _engine_pid_path(config: Config) -> str:
    return os.path.join(config.run_dir, "engine.pid")
