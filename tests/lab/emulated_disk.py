"""An emulated disk with a real filesystem on it, at a path that any software can be pointed at."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from typing import Any

from .drive import Drive, LabError, run
from .model import HddModel
from .write_log import add_survivors, copy_image, flush_times, replay

MAKE = {
    # An HDD has no discard. Blocks as on a large disk: mkfs takes smaller ones on a small disk.
    "ext4": ("mkfs.ext4", "-q", "-m0", "-b4096", "-E", "nodiscard"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K"),
}
MOUNT_OPTIONS = {
    "ext4": "noatime",
    # A disk that returns is the same filesystem again, also while somebody holds the dead one.
    "xfs": "noatime,nouuid",
}


class EmulatedDisk:
    """A disk that can die, hang, forget and come back. Use it as a context manager.

    `path` is where its filesystem is mounted; `image` is its durable content. With `keep_log` all
    that was ever written, in order, is in `log` (see write_log).
    """

    def __init__(
        self,
        path: str,
        model: HddModel,
        *,
        filesystem: str = "ext4",
        fast: bool = False,
        keep_log: bool = False,
        work: str | None = None,
        image: str | None = None,
    ) -> None:
        """Describe a disk; nothing happens before `start` or `with`.

        Images lie in a folder below `work` (a place with room for what will be written), which goes
        away at the end. With an `image` the disk starts with that content, and writes to it.
        """
        self.path = path
        self.model = model
        self.filesystem = filesystem
        self.drive: Drive | None = None
        self._fast = fast
        self._keep_log = keep_log
        self._work = work
        self.work_folder = ""
        self._images = 0
        self._given = image
        self.image = ""
        self.log = ""

    def __enter__(self) -> EmulatedDisk:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the disk, with a new filesystem unless an image was given, and mount it."""
        self.work_folder = tempfile.mkdtemp(prefix="hdd-", dir=self._work)
        self.image = self._given or self._new_image()
        self.log = os.path.join(self.work_folder, "log") if self._keep_log else ""
        try:
            self._start_drive(self.image, self.log)
            if self._given is None:
                run(*MAKE[self.filesystem], self._running.device)
            self._mount()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unmount and remove everything, whatever state the disk is in."""
        self.vanish()
        if os.path.isdir(self.work_folder):
            shutil.rmtree(self.work_folder)

    def control(self, *words: object) -> dict[str, Any]:
        """Switch a fault or ask for something; the verbs are in hdd_control.c."""
        return self._running.control(*words)

    @property
    def control_path(self) -> str:
        """Return the unix socket that `control` talks to, for other programs."""
        return self._running.control_path

    def statistics(self) -> dict[str, Any]:
        """Return what the drive did since its start or the last `control("reset-stats")`."""
        return self.control("stats")

    def unmount(self) -> None:
        """Unmount in order; the drive goes on running."""
        run("umount", self.path)

    def vanish(self) -> None:
        """Take the disk away at once, as if the cable was pulled: open files get I/O errors.

        Un-flushed writes are gone with it.
        """
        drive, self.drive = self.drive, None
        if drive is None:
            return
        # A filesystem in use is detached: it stays for those who use it, on a dead device.
        drive.kill()
        if os.path.ismount(self.path):
            with contextlib.suppress(LabError):
                run("umount", "--lazy", self.path)
        drive.close()

    def remount_from(self, image: str | None = None, path: str | None = None) -> None:
        """Bring the disk (back) with the content of an image, perhaps at another path.

        The drive runs on the image itself from then on, without a log; default is its own last one.
        """
        self.vanish()
        self.image = image or self.image
        self.path = path or self.path
        try:
            self._start_drive(self.image, "")
            self._mount()
        except BaseException:
            self.vanish()
            raise

    def snapshot(self) -> str:
        """Return a copy of the image as it is now, synced, for a return with old content.

        The copy is removed with the disk.
        """
        run("sync", "--file-system", self.path)
        self.control("settle")
        return self.copy_of(self.image)

    def copy_of(self, image: str) -> str:
        """Return a copy of an image that nobody writes to. It is removed with the disk."""
        return copy_image(image, self._new_image())

    def replayed(self, flush: int, seed: int, mode: str) -> str:
        """Return the image that a power cut between a flush and the next leaves of the first life.

        Flushes count from 1; 0 is the empty disk. What was written after the flush has the fate
        that `mode` and `seed` decide (see write_log): `lost` is the state at the flush.
        """
        if self._given is not None:
            raise LabError("what the disk held before its log began is not known any more")
        times = [0, *flush_times(self.log)]
        until_ns = times[flush + 1] - 1 if flush + 1 < len(times) else time.monotonic_ns()
        image = self._new_image()
        replay(self.log, image, self.model.size_bytes, until_ns, seed, mode)
        return image

    def crash(self, seed: int, mode: str = "some") -> str:
        """Cut the power; returns the image that is left. The disk answers with errors only.

        `mode` and `seed` decide what becomes of un-flushed writes (see write_log). To go on, call
        `remount_from` with the image.
        """
        image, pending = self._new_image(), os.path.join(self.work_folder, "pending")
        self.control("power-cut", pending)
        copy_image(self.image, image)
        add_survivors(pending, image, seed, mode)
        return image

    @property
    def _running(self) -> Drive:
        if self.drive is None:
            raise LabError(f"the disk of {self.path} is not there now")
        return self.drive

    def _new_image(self) -> str:
        self._images += 1
        return os.path.join(self.work_folder, f"image{self._images}")

    def _start_drive(self, image: str, log: str) -> None:
        self.drive = Drive(self.work_folder, image, self.model, fast=self._fast, log=log)

    def _mount(self) -> None:
        os.makedirs(self.path, exist_ok=True)
        kind = self.filesystem
        run("mount", "-t", kind, "-o", MOUNT_OPTIONS[kind], self._running.device, self.path)
