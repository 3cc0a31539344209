"""The demo's four disks: it owns how they are made, killed and taken away. Used by the demo only.

Folders by default; with loop, ext4 filesystems of unequal size in sparse files. Killing is real:
what the store holds open afterwards gives nothing, or an I/O error.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess

from base.errors import UsageError
from fsd.format.errors import FsdError

DISK_SIZES_MIB = {"d1": 700, "d2": 500, "d3": 400, "d4": 300}
COMMAND_TIMEOUT_S = 60.0

_EXT4_IOC_SHUTDOWN = 0x8004587D
_EXT4_NO_LOG_FLUSH = 2


def make_folders(work: str) -> list[str]:
    """Make four folders that stand for disks; returns their paths."""
    paths = [os.path.join(work, "disks", name) for name in DISK_SIZES_MIB]
    for path in paths:
        os.makedirs(path)
    return paths


def check_loops() -> None:
    """Raise UsageError when this user or this machine cannot make loop filesystems."""
    if os.geteuid() != 0:
        raise UsageError("--loop mounts filesystems, which needs root; without it folders will do")
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            raise UsageError(f"--loop needs the program {program}, which is not installed")
    if not os.path.exists("/dev/loop-control"):
        raise UsageError("--loop needs /dev/loop-control, which this machine does not have")


def make_loops(work: str) -> list[str]:
    """Make and mount four ext4 filesystems of unequal size; returns where.

    UsageError when this user or this machine cannot.
    """
    if os.geteuid() != 0:
        raise UsageError(
            "--loop mounts filesystems, which needs root; without it the demo uses folders"
        )
    images = os.path.join(work, "images")
    os.makedirs(images)
    paths = make_folders(work)
    for (name, size_mib), path in zip(DISK_SIZES_MIB.items(), paths, strict=True):
        image = os.path.join(images, name + ".ext4")
        with open(image, "wb") as file:
            file.truncate(size_mib << 20)
        _command("mkfs.ext4", "-q", "-m0", "-F", image)
        _command("mount", "-o", "loop,noatime", image, path)
    return paths


def kill(path: str, loop: bool) -> None:
    """Kill a disk: every later read of it, by an open descriptor too, gives an error or nothing."""
    if loop:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _EXT4_NO_LOG_FLUSH))
        finally:
            os.close(descriptor)
        return
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            os.truncate(file, 0)
            os.unlink(file)
    for entry in os.scandir(path):
        shutil.rmtree(entry.path)


def unmount_loops(work: str) -> None:
    """Unmount the loop filesystems; their loop devices go with them."""
    for path in mounts_below(work):
        _command("umount", path)


def mounts_below(folder: str) -> list[str]:
    """Return all mount points below a folder, innermost first."""
    prefix = os.fsencode(os.path.realpath(folder)) + b"/"
    with open("/proc/self/mountinfo", "rb") as file:
        points = [line.split()[4].decode("unicode_escape").encode("latin-1") for line in file]
    return [
        os.fsdecode(point) for point in sorted(points, reverse=True) if point.startswith(prefix)
    ]


def _command(*arguments: str) -> None:
    command = " ".join(arguments)
    try:
        done = subprocess.run(
            arguments, capture_output=True, timeout=COMMAND_TIMEOUT_S, check=False, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise FsdError(f"{command} did not end within {COMMAND_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise FsdError(f"{command} failed: {done.stderr.strip()}")
