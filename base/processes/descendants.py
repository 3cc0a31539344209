"""The processes below one process: it owns how they are found, measured and killed.

The guard is a subreaper: whatever its program leaves behind, in whichever session or process
group, becomes its child and is found here. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

KILL_S = 10.0
KILL_ROUND_S = 0.005
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_PROC = "/proc"


def become_subreaper() -> None:
    """Adopt orphans among the descendants instead of init. Raises OSError."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


_LIBC = ctypes.CDLL(None, use_errno=True)


def descendants(root_pid: int) -> list[int]:
    """Return the living processes below root_pid; those that only wait to be reaped are not."""
    children: dict[int, list[int]] = {}
    for name in os.listdir(_PROC):
        if name.isdigit() and (parent := _living_parent(int(name))) is not None:
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    waiting = [root_pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _living_parent(pid: int) -> int | None:
    try:
        with open(f"{_PROC}/{pid}/stat", "rb") as file:
            # The name may hold blanks and parentheses; what follows the last one is regular.
            state, parent = file.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else int(parent)


def memory_bytes(pids: list[int], enough_bytes: int | None = None) -> int:
    """Return what these processes hold in memory that is not the page cache.

    Memory that several share counts for each of them, unless the sum exceeds `enough_bytes`: then
    it is measured again by the kernel's proportional count, which is exact and slow.
    """
    total = sum(_status_bytes(pid) for pid in pids)
    if enough_bytes is None or total <= enough_bytes:
        return total
    return sum(_proportional_bytes(pid) for pid in pids)


def _status_bytes(pid: int) -> int:
    return _kib_fields(f"{_PROC}/{pid}/status", (b"RssAnon:", b"RssShmem:"))


def _proportional_bytes(pid: int) -> int:
    return _kib_fields(f"{_PROC}/{pid}/smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))


def _kib_fields(path: str, names: tuple[bytes, ...]) -> int:
    try:
        with open(path, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))


def kill_all(root_pid: int, within_s: float = KILL_S) -> dict[int, int]:
    """Kill everything below root_pid, and return the exit status of what was reaped.

    All are stopped before any is killed, round after round, so that none can fork away. What hangs
    in the kernel is still there after `within_s`.
    """
    deadline = time.monotonic() + within_s
    ended: dict[int, int] = {}
    while living := descendants(root_pid):
        for pid in living:
            _signal(pid, signal.SIGSTOP)
        for pid in living:
            _signal(pid, signal.SIGKILL)
        ended |= reap()
        if time.monotonic() > deadline:
            break
        time.sleep(KILL_ROUND_S)
    return ended | reap()


def reap() -> dict[int, int]:
    """Take over the exit status of every ended child; returns status by process id."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended[pid] = status
    return ended


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
