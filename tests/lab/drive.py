"""The drive below a filesystem: it owns the device program, its FUSE mount and its loop device.

Nothing here knows what is written on it. Whatever happened to the drive, `close` leaves no mount,
no loop device and no process behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from typing import Any

from .model import HddModel

SOURCES = ("hdd.c", "hdd_head.c", "hdd_media.c", "hdd_control.c", "hdd.h")
FOLDER = os.path.dirname(os.path.abspath(__file__))
COMMAND_TIMEOUT_S = 60.0
START_TIMEOUT_S = 10.0
END_TIMEOUT_S = 10.0
DETACH_TIMEOUT_S = 0.5


class LabError(Exception):
    """The lab itself could not do something: a program failed, or the machine lacks a part."""


def why_not(filesystem: str = "ext4") -> str:
    """Return what this machine lacks for emulated disks; empty when it has everything."""
    if os.geteuid() != 0:
        return "emulated disks need root"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            return f"emulated disks need {path}"
    for program in ("cc", "pkg-config", "losetup", f"mkfs.{filesystem}", "mount", "umount"):
        if shutil.which(program) is None:
            return f"emulated disks need the program {program}"
    probe = subprocess.run(["pkg-config", "--exists", "fuse3 >= 3.14"], check=False)
    return "emulated disks need libfuse3-dev" if probe.returncode else ""


def run(*arguments: str) -> str:
    """Run a program and return its output; LabError with what it said when it fails."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(arguments)} did not end in {COMMAND_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise LabError(f"{' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def build() -> str:
    """Compile the device program where it is not compiled yet; returns its path."""
    digest = hashlib.sha256()
    for name in SOURCES:
        with open(os.path.join(FOLDER, name), "rb") as file:
            digest.update(file.read())
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(cache, "drystone-lab")
    program = os.path.join(folder, f"hdd-{digest.hexdigest()[:16]}")
    if os.path.exists(program):
        return program
    os.makedirs(folder, mode=0o700, exist_ok=True)
    flags = run("pkg-config", "--cflags", "--libs", "fuse3").split()
    sources = [os.path.join(FOLDER, name) for name in SOURCES if name.endswith(".c")]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = os.path.join(scratch, "hdd")
        warnings = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11"]
        run("cc", *warnings, *sources, "-o", made, *flags, "-lm", "-lpthread")
        os.rename(made, program)
    return program


def ask(control_path: str, *words: object, timeout_s: float = COMMAND_TIMEOUT_S) -> dict[str, Any]:
    """Send one line to a control socket and return its answer; LabError if refused."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(control_path)
        connection.sendall(" ".join(map(str, words)).encode() + b"\n")
        with connection.makefile("r", encoding="utf-8") as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    if "error" in answer:
        raise LabError(f"{' '.join(map(str, words))}: {answer['error']}")
    return answer


class Drive:
    """An emulated drive as a block device, from construction until `close`."""

    def __init__(
        self, folder: str, image: str, model: HddModel, *, fast: bool = False, log: str = ""
    ) -> None:
        """Start the drive on an image, which is made when it is not there.

        `folder` gets the mount and the control socket: it must have a short path. A `log` file
        records every write and flush. `fast` switches the latency off.
        """
        self.image = image
        self.model = model
        self.device = ""
        self._mount = os.path.join(folder, "drive")
        self.control_path = os.path.join(folder, "control")
        self._messages = os.path.join(folder, "messages")
        os.makedirs(self._mount, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.control_path)
        with open(self._messages, "wb") as messages:
            self._process = subprocess.Popen(
                [build(), *self._arguments(fast, log)],
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                start_new_session=True,
            )
        try:
            self._wait_started()
            self.device = run(
                "losetup", "--find", "--show", "--direct-io=on",
                "--sector-size", str(model.sector_bytes), self._file,
            )  # fmt: skip
            self._turn()
        except BaseException:
            self.close()
            raise

    def _turn(self) -> None:
        """Tell the kernel that this device rotates: filesystems lay files out by that."""
        name = os.path.basename(self.device)
        with open(f"/sys/block/{name}/queue/rotational", "w", encoding="ascii") as file:
            file.write("1")

    @property
    def _file(self) -> str:
        return os.path.join(self._mount, "disk")

    def _arguments(self, fast: bool, log: str) -> list[str]:
        model = self.model
        options = {
            "mount": self._mount,
            "socket": self.control_path,
            "image": self.image,
            "size": model.size_bytes,
            "outer": model.rate_outer_bytes_per_s,
            "inner": model.rate_inner_bytes_per_s,
            "seek-min": model.seek_min_s,
            "seek-max": model.seek_max_s,
            "rpm": model.rpm,
            "cache": model.cache_bytes,
            "queue": model.queue_depth,
            **({"log": log} if log else {}),
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return [*words, "--fast"] if fast else words

    def _wait_started(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not os.path.ismount(self._mount):
            if self._process.poll() is not None or time.monotonic() > deadline:
                with open(self._messages, encoding="utf-8", errors="replace") as file:
                    raise LabError(f"the emulated drive did not start: {file.read().strip()}")
            time.sleep(0.005)

    def control(self, *words: object) -> dict[str, Any]:
        """Ask the running drive something (the verbs are in hdd_control.c); LabError if refused."""
        return ask(self.control_path, *words)

    def kill(self) -> None:
        """Make the drive dead for all that is waiting and all that comes; it cannot hang after."""
        with contextlib.suppress(OSError, ValueError, LabError):
            self.control("die")
            self.control("resume")

    def close(self) -> None:
        """Take the device away. Whoever still uses it keeps a dead one, until the last lets go."""
        released = True
        if self.device:
            with contextlib.suppress(LabError):
                run("losetup", "--detach", self.device)
            released = self._wait_detached()
            self.device = ""
        with contextlib.suppress(LabError):
            if os.path.ismount(self._mount):
                run("umount", "--lazy", self._mount)
        self._end_process(END_TIMEOUT_S if released else 0.0)

    def _wait_detached(self) -> bool:
        backing = f"/sys/block/{os.path.basename(self.device)}/loop/backing_file"
        deadline = time.monotonic() + DETACH_TIMEOUT_S
        while os.path.exists(backing) and time.monotonic() < deadline:
            time.sleep(0.002)
        return not os.path.exists(backing)

    def _end_process(self, timeout_s: float) -> None:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            # Its death aborts the FUSE connection: what waits in the kernel gets an error.
            self._process.kill()
            self._process.wait()
