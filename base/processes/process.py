"""Processes that outlive who started them: their claims, their start, their end and their logs.

A claim is a file (or folder) whose flock a process holds for as long as it lives, with its pid
inside. The kernel drops the lock with the last process that holds it, so a claim never lies,
whatever was killed how. Signals go through a pidfd that was opened while the claim was held, so a
number that the kernel gave to somebody else is never signalled.
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
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from base.errors import DrystoneError

APPLICATION_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOG_SIZE_BYTES_MAX = 10 << 20
LOG_LINES_SHOWN = 15
LOG_TAIL_SIZE_BYTES = 16 << 10
START_TIMEOUT_S = 60.0
KILL_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02
LOOK_S_MAX = 0.2
"""So long somebody who only looks whether a claim is held may be in the way of who takes it."""

# Our own children, kept so that they are reaped.
_children: list[subprocess.Popen[Any]] = []


class ProcessError(DrystoneError):
    """A process did not start or does not stop; the message has the end of its log."""


# ---- Claims ----------------------------------------------------------------------------------


def claim(path: str, timeout_s: float = LOOK_S_MAX) -> int | None:
    """Take a claim for this process; None when another one holds it all the time.

    The descriptor holds it: a child that must not keep it closes that, or is closed on exec.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not take_lock(descriptor, timeout_s):
        os.close(descriptor)
        return None
    write_pid(descriptor, os.getpid())
    return descriptor


def take_lock(descriptor: int, timeout_s: float) -> bool:
    """Take the lock of an open file or folder; False when others had it all the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        else:
            return True


def write_pid(descriptor: int, pid: int) -> None:
    """Write into a claim whose it is."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % pid, 0)


def find(path: str) -> int | None:
    """Return the pid of the process that holds a claim, None when none lives; 0 is not told."""
    reap()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(IsADirectoryError):
            return written_pid(descriptor)
        return 0
    finally:
        os.close(descriptor)
    return None


def written_pid(descriptor: int) -> int:
    """Return the pid that a claim names; 0 when it names none."""
    text = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else 0


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


# ---- Start -----------------------------------------------------------------------------------


def spawn(
    arguments: Sequence[str],
    log_path: str,
    pass_fds: Sequence[int] = (),
    *,
    folder: str = APPLICATION_ROOT,
    environment: Mapping[str, str] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> subprocess.Popen[Any]:
    """Start a process in a session of its own, its output in a log. Raises ProcessError.

    `python -m` searches its folder first: ours, and never one that happens to hold a package of our
    names. It also keeps the process off the filesystems that people want to unmount. `identity` has
    what Popen needs for another user or umask.
    """
    reap()
    try:
        log = open_log(log_path)
    except OSError as error:
        raise ProcessError(
            f"the log {log_path} cannot be written: {error.strerror}; make room for it"
        ) from error
    try:
        child: subprocess.Popen[Any] = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
            start_new_session=True,
            pass_fds=list(pass_fds),
            **(identity or {}),
        )
    except OSError as error:
        raise ProcessError(f"{arguments[0]} cannot be started: {error}") from error
    finally:
        os.close(log)
    _children.append(child)
    return child


def start(arguments: Sequence[str], path: str, log_path: str) -> bool:
    """Start `python ARGUMENTS`, which takes the claim itself; False when one holds it already.

    Raises ProcessError with the end of its log when it ends first.
    """
    if find(path) is not None:
        return False
    child = spawn([sys.executable, *arguments], log_path)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not find(path):
        if child.poll() is not None or time.monotonic() > deadline:
            if find(path):
                break  # Somebody else was faster, and ours went away.
            raise ProcessError(f"{' '.join(arguments[:3])} did not start:\n{log_tail(log_path)}")
        time.sleep(POLL_INTERVAL_S)
    return True


def reap() -> None:
    """Collect those of our children that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


# ---- End -------------------------------------------------------------------------------------


def stop(path: str, timeout_s: float, pid: int = 0) -> bool:
    """Ask the holder of a claim to end, kill it when it does not; False when there was none.

    `pid` names the holder where its claim does not. Raises ProcessError when it stays.
    """
    if ask_to_stop(path, pid) is None:
        return False
    if not wait_for_end(path, timeout_s, pid):
        kill(path, pid)
    return True


def ask_to_stop(path: str, pid: int = 0) -> int | None:
    """Send SIGTERM to the process that holds a claim; returns its pid, None when there is none."""
    return _signal_holder(path, signal.SIGTERM, pid)


def wait_for_end(path: str, timeout_s: float, pid: int = 0) -> bool:
    """Wait until nobody holds a claim; False when somebody still does."""
    deadline = time.monotonic() + timeout_s
    while (found := find(path)) is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        _wait_for_pid(found or pid, min(left, 1.0))
    return True


def wait_for_all(paths: Sequence[str], timeout_s: float) -> list[str]:
    """Wait until nobody holds any of these claims; returns those that somebody still holds."""
    deadline = time.monotonic() + timeout_s
    return [path for path in paths if not wait_for_end(path, max(0.0, deadline - time.monotonic()))]


def kill_session(path: str) -> None:
    """Kill the process that holds a claim and all that it started; ProcessError when it stays."""
    pid = find(path)
    if pid is None:
        return
    for member in _session(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)
    kill(path)


def kill(path: str, pid: int = 0) -> None:
    """Kill the process that holds a claim; ProcessError when it stays."""
    found = _signal_holder(path, signal.SIGKILL, pid)
    if found is not None and not wait_for_end(path, KILL_TIMEOUT_S, pid):
        raise ProcessError(f"process {found} does not end even when killed; a disk may hang")


def has_ended(pidfd: int, timeout_s: float) -> bool:
    """Tell whether the process of a pidfd ends within the time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _signal_holder(path: str, number: signal.Signals, pid: int) -> int | None:
    found = find(path)
    if found is None:
        return None
    pid = found or pid
    with contextlib.suppress(ProcessLookupError, PermissionError):
        descriptor = os.pidfd_open(pid) if pid else -1
        try:
            # The claim is still held: the number has not become somebody else's.
            if descriptor >= 0 and find(path) == found:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    return pid


def _session(leader: int) -> list[int]:
    """Return the processes of a session; one that works may have a group of its own in it."""
    members: list[int] = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry)) == leader:
                    members.append(int(entry))
    return members


def _wait_for_pid(pid: int, timeout_s: float) -> None:
    """Wait for the end of a process, and look at the claim again now and then."""
    try:
        descriptor = os.pidfd_open(pid) if pid else -1
    except OSError:
        descriptor = -1
    if descriptor < 0:
        time.sleep(POLL_INTERVAL_S)
        return
    try:
        if has_ended(descriptor, timeout_s):
            # It is gone; whoever inherited its claim may hold it a moment longer.
            time.sleep(POLL_INTERVAL_S)
    finally:
        os.close(descriptor)


# ---- Logs ------------------------------------------------------------------------------------


def open_log(path: str) -> int:
    """Open a log to append to; one that has grown large is moved aside, as `.1`."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if os.path.getsize(path) > LOG_SIZE_BYTES_MAX:
            os.replace(path, path + ".1")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def log_tail(path: str) -> str:
    """Return the last lines of a log, for a message."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - LOG_TAIL_SIZE_BYTES))
            lines = file.read().decode("utf-8", "backslashreplace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES_SHOWN:])
