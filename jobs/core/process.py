"""Processes that outlive who started them: it owns their marks, their start and their end.

A mark is a file whose flock is held by the process for as long as it lives, with its pid inside.
The kernel drops the lock with the process, so a mark never lies, whatever was killed how.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from typing import Any

from jobs.core.errors import ProcessError

APPLICATION_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOG_SIZE_BYTES_MAX = 10 << 20
LOG_LINES_SHOWN = 12
START_TIMEOUT_S = 60.0
KILL_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02
TAKE_TRIES = 10

# Our own children, kept so that they are reaped.
_children: list[subprocess.Popen[Any]] = []


def take_mark(path: str) -> int | None:
    """Take a mark for this process; None when another one holds it.

    The descriptor holds it: a child that must not keep it closes that, or is closed on exec.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(TAKE_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Perhaps only somebody who looks whether it is held: that takes a moment.
            time.sleep(POLL_INTERVAL_S)
        else:
            write_pid(descriptor, os.getpid())
            return descriptor
    os.close(descriptor)
    return None


def write_pid(descriptor: int, pid: int) -> None:
    """Write into a mark whose it is."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % pid, 0)


def find(path: str) -> int | None:
    """Return the pid of the process that holds a mark, None when none lives."""
    _children[:] = [child for child in _children if child.poll() is None]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(descriptor)
    return None


@contextlib.contextmanager
def turn(path: str) -> Generator[None]:
    """Let one process at a time start or stop what this lock is for; waits for the other."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def spawn(arguments: Sequence[str], log_path: str, pass_fds: Sequence[int] = ()) -> int:
    """Start a process in a session of its own, its output in a log; returns its pid."""
    log = _open_log(log_path)
    try:
        child = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ours are found from here, and no filesystem that somebody wants to unmount is held.
            cwd=APPLICATION_ROOT,
            start_new_session=True,
            pass_fds=list(pass_fds),
        )
    except OSError as error:
        raise ProcessError(f"{arguments[0]} cannot be started: {error}") from error
    finally:
        os.close(log)
    _children.append(child)
    return child.pid


def start(arguments: Sequence[str], mark: str, log_path: str) -> bool:
    """Start `python ARGUMENTS`, which takes the mark itself; False when one holds it already.

    Raises ProcessError with the end of its log when it ends first.
    """
    if find(mark) is not None:
        return False
    pid = spawn([sys.executable, *arguments], log_path)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not find(mark):
        if not _lives(pid) or time.monotonic() > deadline:
            if find(mark):
                break  # Somebody else was faster, and ours went away.
            raise ProcessError(f"{' '.join(arguments[:3])} did not start:\n{log_tail(log_path)}")
        time.sleep(POLL_INTERVAL_S)
    return True


def ask_to_stop(mark: str) -> int | None:
    """Send SIGTERM to the process that holds a mark; returns its pid, None when there is none."""
    pid = find(mark)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    return pid


def wait_for_end(mark: str, timeout_s: float) -> bool:
    """Wait until nobody holds a mark; False when somebody still does."""
    deadline = time.monotonic() + timeout_s
    while (pid := find(mark)) is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        _wait_for_pid(pid, min(left, 1.0))
    return True


def wait_for_all(marks: Sequence[str], timeout_s: float) -> list[str]:
    """Wait until nobody holds any of these marks; returns those that somebody still holds."""
    deadline = time.monotonic() + timeout_s
    return [mark for mark in marks if not wait_for_end(mark, max(0.0, deadline - time.monotonic()))]


def kill_session(mark: str) -> None:
    """Kill the process that holds a mark and all that it started; ProcessError when it stays."""
    pid = find(mark)
    if pid is None:
        return
    for member in _session(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)
    kill(mark)


def kill(mark: str) -> None:
    """Kill the process that holds a mark; ProcessError when it stays."""
    pid = find(mark)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    if not wait_for_end(mark, KILL_TIMEOUT_S):
        raise ProcessError(f"process {pid} does not end; a disk may hang")


def log_tail(path: str) -> str:
    """Return the last lines of a log, for a message."""
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            return "\n".join(file.read().splitlines()[-LOG_LINES_SHOWN:])
    except OSError:
        return ""


def _open_log(path: str) -> int:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if os.path.getsize(path) > LOG_SIZE_BYTES_MAX:
            os.replace(path, path + ".1")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _session(leader: int) -> list[int]:
    """Return the processes of a session; a horse has a process group of its own in it."""
    members: list[int] = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry)) == leader:
                    members.append(int(entry))
    return members


def _lives(pid: int) -> bool:
    _children[:] = [child for child in _children if child.poll() is None]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_for_pid(pid: int, timeout_s: float) -> None:
    """Wait for the end of a process, and look at the mark again now and then."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        time.sleep(POLL_INTERVAL_S)
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if poll.poll(timeout_s * 1000):
            # It is gone; whoever inherited its mark may hold it a moment longer.
            time.sleep(POLL_INTERVAL_S)
    finally:
        os.close(descriptor)
