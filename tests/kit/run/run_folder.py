"""The folder of a run of pytest for temporary files: it owns where that lies, and its end.

Most of what tests wait for on a disk is the disk: each sync, and where freed blocks are discarded
at once each unlink as well. Kills of processes, which most tests are about, lose nothing that the
kernel has, be it on a disk or not. So a run works in memory where there is enough of it, and what
needs a disk (a power cut, another filesystem, a time that a disk takes) makes one or asks for
`disk_tmp`. Whoever sets TMPDIR decides for themselves.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import math
import os
import subprocess
import tempfile

MEMORY = "/dev/shm"
PREFIX = "ds-run-"
FREE_BYTES_MIN = 6 << 30
MARGIN_BYTES = 4 << 30

_DISK = "DRYSTONE_TESTS_DISK"
"""Tells the workers of a run in memory where temporary files would lie otherwise."""


def on_disk() -> str:
    """Return where temporary files lie that have to be on a disk."""
    return os.environ.get(_DISK) or tempfile.gettempdir()


def for_stores() -> str | None:
    """Return where a test's store may lie: on the disk as soon as memory becomes short."""
    return None if _memory_is_enough(MARGIN_BYTES) else on_disk()


def outside() -> str:
    """Return where something may lie that ends a moment after the run."""
    return MEMORY if _DISK in os.environ else tempfile.gettempdir()


class RunFolder:
    """The folder of one run, which its workers inherit as TMPDIR."""

    def __init__(self) -> None:
        self.path = ""
        self.has_failed = False
        self._lock = -1

    def open(self) -> None:
        """Make the folder and work there, unless somebody chose a place or memory is short."""
        if "TMPDIR" in os.environ or not _memory_is_enough(FREE_BYTES_MIN):
            return
        _remove_abandoned()
        os.environ[_DISK] = tempfile.gettempdir()
        self.path = tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY)
        os.chmod(self.path, 0o1777)  # As /tmp: some programs run as somebody else.
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.environ["TMPDIR"] = self.path
        tempfile.tempdir = None

    def close(self) -> None:
        """Let go of the folder; that of a failed run can be looked at until the next run begins."""
        if not self.path:
            return
        if not self.has_failed:
            _remove(self.path)
        os.close(self._lock)
        self.path = ""


def _memory_is_enough(needed_bytes: int) -> bool:
    try:
        place = os.statvfs(MEMORY)
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":") for line in file)
    except OSError:
        return False
    available_bytes = int(fields.get("MemAvailable", "0 kB").split()[0]) << 10
    return min(place.f_bavail * place.f_frsize, available_bytes, _allowed_bytes()) >= needed_bytes


def _allowed_bytes() -> float:
    """Return what a container may still take; of its host, the kernel shows all memory."""
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as file:
            return math.inf if limit == "max" else int(limit) - int(file.read())
    except (OSError, ValueError):
        return math.inf


def _remove_abandoned() -> None:
    """Remove the folders of runs that have ended; the kernel drops the lock of a killed one."""
    for path in glob.glob(os.path.join(MEMORY, PREFIX + "*")):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(descriptor)


def _remove(path: str) -> None:
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        if any(line.split()[1].startswith(path + "/") for line in file):
            return  # A mount that a killed test left: what lies behind it may be anything.
    # Not shutil: it gives up at a thousand folders in each other, which a killed test may leave.
    subprocess.run(["rm", "-rf", "--", path], check=False, stderr=subprocess.DEVNULL)
