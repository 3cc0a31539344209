"""A background process of the store, found by its pid file: the engine and the mounts.

A pid file names a process by its pid, its start time and the boot it was started in, so a pid that
the kernel gave to somebody else is never taken for ours. Signals go through a pidfd that was opened
before that was checked. No claim (see `base.processes`): what the engine forks would hold it, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass

from base.files import parse_json
from base.processes import process
from fsd.format.errors import FsdError

KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """What a pid file says; `note` is the caller's, such as the mount point."""

    pid: int
    started_ticks: int
    boot_id: str
    note: str = ""


# Our own children, kept so that they are reaped and their end can be told.
_children: dict[ProcessMark, subprocess.Popen[bytes]] = {}


def start(arguments: Sequence[str], pid_path: str, log_path: str, note: str = "") -> ProcessMark:
    """Start `python <arguments>` in a session of its own and write its pid file."""
    child = process.spawn([sys.executable, *arguments], log_path)
    mark = ProcessMark(child.pid, _started_ticks(child.pid), _boot_id(), note)
    _children[mark] = child
    temporary = f"{pid_path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(asdict(mark), file)
    os.replace(temporary, pid_path)
    return mark


def find(pid_path: str) -> ProcessMark | None:
    """Return the process of a pid file while it lives; a file of a dead one is removed."""
    try:
        with open(pid_path, encoding="utf-8") as file:
            mark = ProcessMark(**parse_json(file.read()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        mark = None
    if mark is not None and is_alive(mark):
        return mark
    forget(pid_path)
    return None


def forget(pid_path: str) -> None:
    """Remove the pid file of a process that has been stopped."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pid_path)


@contextlib.contextmanager
def start_lock(run_dir: str) -> Generator[None]:
    """Let one command start things at a time; the kernel drops the lock when we die."""
    with process.turn(os.path.join(run_dir, "start.lock")):
        yield


def is_alive(mark: ProcessMark) -> bool:
    """Tell whether exactly this process still runs; a zombie does not."""
    _reap(mark)
    started_ticks = _started_ticks(mark.pid)
    return mark.boot_id == _boot_id() and 0 < started_ticks == mark.started_ticks


def exit_status(mark: ProcessMark) -> str:
    """Say how our own child ended, as far as is known."""
    code = _last_breath(mark)
    if code is None:
        return "ended"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def stop(mark: ProcessMark, timeout_s: float) -> bool:
    """Ask a process to end by SIGTERM and wait; kill its whole session when it does not.

    Returns False when it had to be killed.
    """
    try:
        descriptor = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_alive(mark):
            return True
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if process.has_ended(descriptor, timeout_s):
            return True
        # It is alive and leads its group, so this number cannot belong to somebody else.
        os.killpg(mark.pid, signal.SIGKILL)
        if not process.has_ended(descriptor, KILL_TIMEOUT_S):
            raise FsdError(f"process {mark.pid} does not end even when killed; a disk may hang")
        return False
    except ProcessLookupError:
        return True
    finally:
        os.close(descriptor)
        _reap(mark)


def wait_ended(mark: ProcessMark, timeout_s: float) -> bool:
    """Tell whether a process ended by itself within the time."""
    try:
        descriptor = os.pidfd_open(mark.pid)
    except ProcessLookupError:
        return True
    try:
        return not is_alive(mark) or process.has_ended(descriptor, timeout_s)
    finally:
        os.close(descriptor)
        _reap(mark)


def started_ago_s(mark: ProcessMark) -> float:
    """Return how long a process has been running."""
    with open("/proc/uptime", encoding="ascii") as file:
        uptime_s = float(file.read().split()[0])
    return max(0.0, uptime_s - mark.started_ticks / os.sysconf("SC_CLK_TCK"))


def _reap(mark: ProcessMark) -> int | None:
    """Return the exit code of a child of ours that has ended; None for all others."""
    child = _children.get(mark)
    return child.poll() if child is not None else None


def _last_breath(mark: ProcessMark) -> int | None:
    """Return the exit code of a child that is ending: its threads may outlive it for a moment."""
    with contextlib.suppress(KeyError, subprocess.TimeoutExpired):
        return _children[mark].wait(KILL_TIMEOUT_S)
    return None


def _started_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since the boot; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, the only field that may hold spaces and brackets, ends at the last bracket.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, started = fields[0], fields[19]
    return 0 if state in (b"Z", b"X") else int(started)


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
