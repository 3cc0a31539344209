"""Real filesystems for fault tests: it owns small images, their mounts and their undoing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator

import pytest
from store_harness import MIB, Store

from fsd.engine.setup import init_store

IMAGE_BYTES = 112 << 20
EXT4_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_NO_LOG_FLUSH = 2

needs_loop = [
    pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount filesystems"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="needs loop devices"),
    pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="needs mkfs.ext4"),
]


class LoopDisk:
    """One ext4 filesystem in an image file, mounted at `path`."""

    def __init__(self, image: str, path: str, size_bytes: int = IMAGE_BYTES) -> None:
        self.image = image
        self.path = path
        os.makedirs(path)
        with open(image, "wb") as file:
            file.truncate(size_bytes)
        self.make()
        self.mount()

    def make(self) -> None:
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-I", "256", self.image)

    def mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", self.image, self.path)

    def mount_readonly(self) -> None:
        """Mount so that `remount_writable` is possible: the device below can be written."""
        device = _run("losetup", "-f", "--show", self.image).strip()
        _run("mount", "-o", "ro,errors=remount-ro", device, self.path)
        _run("losetup", "-d", device)  # When it is unmounted.

    def remount_writable(self) -> None:
        _run("mount", "-o", "remount,rw", self.path)

    def unmount(self, *, lazy: bool = False) -> None:
        _run("umount", *(["-l"] if lazy else []), self.path)

    def unmount_surely(self) -> None:
        """Take everything off the mount point that may be there."""
        while os.path.ismount(self.path):
            _run("umount", "-l", self.path)

    def die(self) -> None:
        """End the filesystem as a vanished device does: every access fails with EIO from now on."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("=I", SHUTDOWN_NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def turn_readonly(self) -> None:
        """Make ext4 find itself damaged; mounted with errors=remount-ro it takes no writes then."""
        device = os.stat(self.path).st_dev
        block = os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
        trigger = f"/sys/fs/ext4/{os.path.basename(block)}/trigger_fs_error"
        with open(trigger, "w", encoding="ascii") as file:
            file.write("a test")

    def repair(self) -> None:
        """Unmount, check and mount again."""
        self.unmount_surely()
        subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, check=False)
        self.mount()

    def fill(self) -> str:
        """Take all free space with one file; returns its path."""
        path = os.path.join(self.path, "filler")
        with open(path, "wb", buffering=0) as file:
            block = bytes(1 << 20)
            try:
                while True:
                    file.write(block)
            except OSError:
                pass
        return path

    def copy_image(self, target: str) -> str:
        """Copy the image as it is now, all written data in it."""
        _run("sync", "-f", self.path)
        shutil.copyfile(self.image, target)
        return target


MAKE_BTRFS = """
for point in $(awk '$3 ~ /fuse/ {print $2}' /proc/mounts); do umount -l "$point"; done
exec mkfs.btrfs -q -f "$0"
"""
"""In a mount namespace of its own: mkfs.btrfs stumbles over anybody's FUSE mount that died."""


class BtrfsDisk(LoopDisk):
    """The same with btrfs, which needs 109 MiB or more."""

    def make(self) -> None:
        _run("unshare", "-m", "--propagation", "private", "sh", "-c", MAKE_BTRFS, self.image)

    def mount(self) -> None:
        command = ["mount", "-o", "loop", self.image, self.path]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("btrfs cannot be mounted here")


@contextlib.contextmanager
def loop_store(
    folder: str, count: int, in_use: int | None = None
) -> Iterator[tuple[Store, list[LoopDisk]]]:
    """A started store of 1 MiB shards on the first `in_use` (or all) of so many disks."""
    root = os.path.join(folder, "s")
    os.makedirs(root)
    with contextlib.ExitStack() as undo:
        disks: list[LoopDisk] = []
        for number in range(count):
            image = os.path.join(folder, f"d{number}.ext4")
            disks.append(LoopDisk(image, os.path.join(root, f"d{number}")))
            undo.callback(disks[-1].unmount_surely)
        paths = [one.path for one in disks[:in_use]]
        config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=MIB)
        store = Store(root, config, paths)
        undo.callback(store.stop)
        store.start()
        yield store, disks


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout
