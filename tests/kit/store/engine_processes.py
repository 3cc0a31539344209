"""The engine's processes as a test sees them: it owns finding, killing and stopping them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass

from store_checks import until

from fsd.cli.daemons import daemon_process
from fsd.cli.daemons.daemon_process import ProcessMark
from fsd.disks.config import Config

GONE_S_MAX = 180.0


@dataclass(frozen=True)
class ChildProcess:
    """One child of an engine: `label` is the disk's name, or what the job calls it."""

    pid: int
    module: str
    label: str


def engine_pid(config: Config) -> int:
    """Return the engine's process id, 0 when none was started."""
    mark = _mark(config)
    return 0 if mark is None else mark.pid


def _mark(config: Config) -> ProcessMark | None:
    try:
        with open(os.path.join(config.run_dir, "engine.pid"), encoding="utf-8") as file:
            return ProcessMark(**json.load(file))
    except FileNotFoundError:
        return None


def children(config: Config) -> list[ChildProcess]:
    """Return the engine's child processes that are alive: its fork server's forks."""
    engine, parents = engine_pid(config), dict[int, int]()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):  # It ends or begins now.
                parents[int(name)] = _parent_of(name)
    found = []
    for pid, parent in parents.items():
        if parents.get(parent) == engine:
            with contextlib.suppress(OSError, ValueError):
                found.append(_describe(pid))
    return found


def child(config: Config, label: str) -> ChildProcess:
    """Return the child with this label; one that begins now has it in a moment."""

    def look() -> ChildProcess | None:
        return next((one for one in children(config) if one.label == label), None)

    return until(look, f"the process {label}")


def kill_engine(config: Config, *, group: bool) -> None:
    """Kill the engine with all its children, or alone; returns when it is dead."""
    mark = _mark(config)
    if mark is None:
        return
    if _state(mark.pid) not in ("", "Z"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(mark.pid, signal.SIGKILL) if group else os.kill(mark.pid, signal.SIGKILL)
        _wait_dead(mark.pid)
    # Its threads outlive it for a moment, and nobody who finds it dead waits for these: what is not
    # reaped then warns at the end of a run.
    daemon_process.exit_status(mark)


def kill_fork_server(config: Config) -> None:
    """Kill the process that the engine's children are forks of, if there are some."""
    for found in children(config)[:1]:
        with contextlib.suppress(OSError, ValueError):
            parent = _parent_of(str(found.pid))
            with open(f"/proc/{parent}/cmdline", encoding="utf-8") as file:
                if file.read().startswith("drystone fork server"):  # Else it has just died.
                    kill_process(parent)


def kill_process(pid: int) -> None:
    """Kill one process; no error when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait_dead(pid: int) -> None:
    deadline = time.monotonic() + GONE_S_MAX
    while _state(pid) not in ("", "Z"):
        assert time.monotonic() < deadline, f"process {pid} does not die"
        time.sleep(0.005)


def _fields(pid: int | str) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _state(pid: int) -> str:
    try:
        return _fields(pid)[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _parent_of(pid: str) -> int:
    state, parent = _fields(pid)[:2]
    return 0 if state == "Z" else int(parent)


def _describe(pid: int) -> ChildProcess:
    """Read a process's title: `drystone disk_process d1`; ValueError before it has one."""
    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        program, module, label = file.read().rstrip("\0").split(" ", 2)
    if program != "drystone":
        raise ValueError(program)
    return ChildProcess(pid, module, label)
