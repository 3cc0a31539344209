"""The mount in the background: it owns how it is started, found and stopped.

The mount lives without the engine. It is looked up in the kernel's own table, because a look at the
path itself would hang with a mount that hangs. Every call is idempotent.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import subprocess
import time

from base.errors import UsageError
from base.processes import process
from fsd.cli.daemons import daemon_process
from fsd.cli.daemons.daemon_process import ProcessMark
from fsd.disks.config import Config
from fsd.format.errors import FsdError
from fsd.process.address_space import address_space_problem

MOUNT_START_TIMEOUT_S = 20.0
MOUNT_STOP_TIMEOUT_S = 10.0
UNMOUNT_TIMEOUT_S = 10.0
FUSE_DEVICE = "/dev/fuse"


class MountUnavailableError(FsdError):
    """This machine cannot mount now; the store works without it."""


def find_mount(config: Config) -> ProcessMark | None:
    """Return the process behind the configured mount, while it lives and we started it."""
    return daemon_process.find(_mount_pid_path(config, config.mount))


def mount_problem() -> str | None:
    """Say why this machine cannot mount at all; None when it looks as if it can."""
    if not os.path.exists(FUSE_DEVICE):
        return f"there is no {FUSE_DEVICE} here (a container without FUSE?)"
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        return f"{FUSE_DEVICE} may not be opened by this user"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is not installed (Debian, Ubuntu: apt-get install fuse3)"
    return address_space_problem()


def start_mount(config: Config, point: str | None = None) -> bool:
    """Mount the store at its configured point, or another; False when it was mounted already.

    Raises MountUnavailableError when this machine cannot mount, UsageError for a bad point.
    """
    point = point or config.mount
    with daemon_process.start_lock(config.run_dir):
        pid_path = _mount_pid_path(config, point)
        if is_mounted(point):
            if daemon_process.find(pid_path) or not _is_stale(point):
                return False
            _unmount(point, lazily=True)
        _check_point(point)
        arguments = ["-m", "fsd.mount", "--index-root", config.index_root]
        arguments += ["--status-dir", config.status_dir, "--engine-socket", config.socket_path]
        arguments += ["--log", config.log_folder, *config.log.words()]
        arguments.append(point)
        mark = daemon_process.start(arguments, pid_path, mount_log(config), note=point)
        _wait_until_mounted(config, mark, point)
        return True


def _check_point(point: str) -> None:
    problem = mount_problem()
    if problem:
        raise MountUnavailableError(f"cannot mount: {problem}; the store works without the mount")
    try:
        os.makedirs(point, exist_ok=True)
        occupied = any(os.scandir(point))
    except OSError as error:
        raise UsageError(f"cannot mount at {point}: {error.strerror}") from error
    if occupied:
        raise UsageError(f"cannot mount at {point}: it is not empty, and would be hidden")


def _wait_until_mounted(config: Config, mark: ProcessMark, point: str) -> None:
    deadline = time.monotonic() + MOUNT_START_TIMEOUT_S
    while not is_mounted(point):
        dead = not daemon_process.is_alive(mark)
        if dead or time.monotonic() > deadline:
            how = daemon_process.exit_status(mark) if dead else "did not mount in time"
            daemon_process.stop(mark, MOUNT_STOP_TIMEOUT_S)
            raise MountUnavailableError(
                f"the mount {how}; the store works without it; the end of "
                f"{mount_log(config)}:\n{process.log_tail(mount_log(config))}"
            )
        time.sleep(process.POLL_INTERVAL_S)


def stop_mount(config: Config, point: str | None = None) -> bool:
    """Unmount, also when files in it are still open; False when nothing was mounted there."""
    return _stop_mount_at(point or config.mount, _mount_pid_path(config, point or config.mount))


def stop_all_mounts(config: Config) -> int:
    """Unmount everything of this store; returns how many mounts there were."""
    points = {config.mount: _mount_pid_path(config, config.mount)}
    for pid_path in glob.glob(os.path.join(glob.escape(config.run_dir), "mount*.pid")):
        mark = daemon_process.find(pid_path)
        if mark is not None:
            points[mark.note] = pid_path
    return sum(_stop_mount_at(point, pid_path) for point, pid_path in points.items())


def _stop_mount_at(point: str, pid_path: str) -> bool:
    mark = daemon_process.find(pid_path)
    mounted = is_mounted(point)
    clean = mounted and _unmount(point)
    if mounted and not clean:
        # Busy: somebody's shell stands in it. Lazily it leaves the tree now, for them at the end.
        _unmount(point, lazily=True)
    if mark is not None:
        if not (clean and daemon_process.wait_ended(mark, MOUNT_STOP_TIMEOUT_S)):
            daemon_process.stop(mark, MOUNT_STOP_TIMEOUT_S)
        daemon_process.forget(pid_path)
    if is_mounted(point):
        raise FsdError(f"{point} could not be unmounted; `fusermount3 -uz {point}` tells why")
    return mounted or mark is not None


def mount_log(config: Config) -> str:
    """Return the path of the mount's log."""
    return os.path.join(config.run_dir, "mount.log")


def is_mounted(point: str) -> bool:
    """Tell whether a FUSE filesystem is mounted exactly there, without touching it."""
    wanted = os.path.join(os.path.realpath(os.path.dirname(point)), os.path.basename(point))
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            before, _, after = line.partition(b" - ")
            path = before.split()[4].decode("unicode_escape").encode("latin-1")
            if path == os.fsencode(wanted) and after.startswith(b"fuse"):
                return True
    return False


def _is_stale(point: str) -> bool:
    """Tell whether the process behind a mount is gone."""
    try:
        # Not stat, which the kernel may answer from its cache although nobody is there any more.
        os.statvfs(point)
    except OSError as error:
        return error.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    return False


def _unmount(point: str, lazily: bool = False) -> bool:
    command = ["fusermount3", "-uz" if lazily else "-u", "--", point]
    try:
        done = subprocess.run(command, capture_output=True, timeout=UNMOUNT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _mount_pid_path(config: Config, point: str) -> str:
    if point == config.mount:
        return os.path.join(config.run_dir, "mount.pid")
    mark = hashlib.sha256(os.fsencode(point)).hexdigest()[:12]
    return os.path.join(config.run_dir, f"mount-{mark}.pid")
