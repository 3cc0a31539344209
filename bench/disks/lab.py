"""Four unequal emulated HDDs for `bench.disks`: it owns their start, filesystems, cold caches and
statistics, and never knows who stores what on them.

Time can be scaled: disks that are slowed as a whole (rates and seeks alike) leave every ratio as it
is and give the machine below the lab more time, so that the disks are what is measured.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from tests.lab import Drive, HddModel, LabError, run

GB = 1_000_000_000
DISKS = ((8, 160e6), (6, 140e6), (5, 120e6), (4, 100e6))
"""Size in GB and bytes per second at the outer edge; half of that at the inner edge."""
MAKE_EXT4 = ("mkfs.ext4", "-q", "-F", "-m0", "-b4096", "-E")
# Everything is initialised at once: no thread of the kernel writes during a measurement.
EXT4_EXTENDED = "nodiscard,lazy_itable_init=0,lazy_journal_init=0"
EXT4_COMMIT_S, BTRFS_COMMIT_S = 5, 30
"""So often they commit by themselves, in the time of the disks: the defaults of both."""
WRITEBACK_TIMERS = ("dirty_writeback_centisecs", "dirty_expire_centisecs")
"""The kernel's, of all filesystems: so often it looks for what to write, when that is so old."""
UNMOUNT_TRIES = 50
LIMIT_SHARE = 0.9
PROBE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What one drive did in a span: seconds by its model, never by the clock."""

    busy_s: float
    seeks: int
    read_bytes: int
    written_bytes: int
    late_s: float


@dataclass(slots=True)
class Span:
    """A measured stretch of work; complete when its `with` block has ended."""

    seconds: float = 0.0
    disks: list[Usage] = field(default_factory=list[Usage])

    @property
    def seeks(self) -> int:
        """Head movements of all disks."""
        return sum(disk.seeks for disk in self.disks)

    @property
    def busy_share(self) -> float:
        """How much of the time the busiest disk was busy."""
        return max(disk.busy_s for disk in self.disks) / self.seconds

    @property
    def limit(self) -> str:
        """`disk` when one of them was busy for 90 % of the time, else whoever kept it waiting."""
        return "disk" if self.busy_share >= LIMIT_SHARE else "cpu or waits"


class Disks:
    """The drives, and a small fast filesystem in memory that stands for the SSD.

    Use it as a context manager: at the end nothing of it is left, whatever happened.
    """

    def __init__(
        self, folder: str, size_scale: float = 1.0, time_scale: float = 1.0, speed: float = 1.0
    ) -> None:
        """Describe the drives; images lie sparse below `folder`. `speed` multiplies the rates."""
        self.time_scale = time_scale
        self.models = [
            HddModel(
                int(size * size_scale * GB) // 4096 * 4096,
                rate_outer_bytes_per_s=rate * speed,
                rate_inner_bytes_per_s=rate * speed / 2,
                # No power is cut here: a flush has nothing left to do, as on a drive that has
                # written what it was given.
                cache_bytes=0,
            ).slowed(time_scale)
            for size, rate in DISKS
        ]
        self._parent = folder
        self._kept = contextlib.ExitStack()
        self.folder = ""
        self.drives: list[Drive] = []
        self.lost: set[int] = set()

    def __enter__(self) -> Disks:
        try:
            self._start()
        except BaseException:
            self._kept.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def _start(self) -> None:
        self.folder = self._kept.enter_context(
            # A short path: sockets lie below it.
            tempfile.TemporaryDirectory(prefix="ds-disks-", dir=self._parent)
        )
        os.chmod(self.folder, 0o755)  # Peers' servers run as users of their own.
        self.ssd = os.path.join(self.folder, "ssd")
        os.makedirs(self.ssd)
        self._kept.enter_context(slowed_writeback(self.time_scale))
        run("mount", "-t", "tmpfs", "-o", "size=75%", "tmpfs", self.ssd)
        self._kept.callback(unmount, self.ssd)
        for number, path in enumerate(self.paths):
            self.drives.append(self._new_drive(number))
            self._kept.callback(self._close_drive, number)
            os.makedirs(path)
        self._kept.callback(self.unmount_all)

    def _close_drive(self, number: int) -> None:
        self.drives[number].close()

    def _new_drive(self, number: int) -> Drive:
        place = os.path.join(self.folder, f"drive{number + 1}")
        os.makedirs(place, exist_ok=True)
        return Drive(place, os.path.join(place, "image"), self.models[number])

    @property
    def paths(self) -> list[str]:
        """Where the filesystems of the drives are mounted, once `format` has made them."""
        return [os.path.join(self.folder, f"d{number}") for number in range(1, len(DISKS) + 1)]

    @property
    def devices(self) -> list[str]:
        """The drives as block devices."""
        return [drive.device for drive in self.drives]

    def forget(self) -> None:
        """Begin with empty disks: unmount, and free what the images occupy."""
        self.unmount_all()
        for number in self.lost:
            # A new one: the kernel would not forget the errors of the old block device.
            self.drives[number].close()
            self.drives[number] = self._new_drive(number)
        self.lost.clear()
        for drive in self.drives:
            drive.control("settle")
            with open(drive.image, "r+b") as image:
                image.truncate(0)
                image.truncate(drive.model.size_bytes)

    def lose(self, number: int) -> None:
        """Let a drive die: errors are all that it answers, until `forget` brings a new one."""
        self.lost.add(number)
        self.drives[number].control("die")

    def format(self) -> None:
        """Make an empty ext4 on every drive and mount it."""
        self.forget()
        with self.instantly():
            for device in self.devices:
                run(*MAKE_EXT4, EXT4_EXTENDED, device)
        self.mount_all()

    def mount_all(self) -> None:
        """Mount the ext4 of every drive."""
        for device, path in zip(self.devices, self.paths, strict=True):
            options = f"noatime,{self.commit_every(EXT4_COMMIT_S)}"
            run("mount", "-t", "ext4", "-o", options, device, path)

    def commit_every(self, period_s: float) -> str:
        """Return the mount option for it: where the disks are slowed, timers are slowed as well."""
        return f"commit={max(1, round(period_s * self.time_scale))}"

    def unmount_all(self) -> None:
        """Unmount the drives; what the kernel knew of them is forgotten."""
        for path in self.paths:
            if os.path.ismount(path):
                unmount(path)

    def make_cold(self) -> None:
        """Let the kernel forget everything it keeps of the drives in memory, and nothing else."""
        with self.instantly():
            self.unmount_all()
        self.mount_all()

    @contextlib.contextmanager
    def instantly(self) -> Generator[None]:
        """Within, the drives take no time: for what is not measured."""
        for drive in self.drives:
            drive.control("latency", "off")
        try:
            yield
        finally:
            for drive in self.drives:
                with contextlib.suppress(LabError, OSError):
                    drive.control("latency", "on")

    @contextlib.contextmanager
    def measured(self) -> Generator[Span]:
        """Measure what happens within: the clock, and every drive's own statistics."""
        span = Span()
        for drive in self.drives:
            drive.control("reset-stats")
        begun = time.perf_counter()
        yield span
        span.seconds = time.perf_counter() - begun
        span.disks = [usage(drive) for drive in self.drives]

    def sync(self) -> None:
        """Make all that was written to the mounted drives durable, on all of them at once."""
        mounted = [path for path in self.paths if os.path.ismount(path)]
        at_once([["sync", "--file-system", path] for path in mounted])

    def honesty(self, megabytes: int) -> tuple[float, float]:
        """Return (write, read): the shares of the models' rates that all disks reach at once.

        Plain sequential transfers past every cache; the drives' content is lost.
        """
        self.forget()
        shares: list[float] = []
        for writing in (True, False):
            with self.measured() as span:
                workers = [
                    threading.Thread(target=_stream, args=(drive, megabytes, writing))
                    for drive in self.drives
                ]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
            shares.append(span.busy_share)
        return shares[0], shares[1]


@contextlib.contextmanager
def slowed_writeback(factor: float) -> Generator[None]:
    """Within, the kernel's timers of writing back are slowed as the disks are."""
    paths = [os.path.join("/proc/sys/vm", name) for name in WRITEBACK_TIMERS]
    former = [_read_number(path) for path in paths]
    try:
        for path, centiseconds in zip(paths, former, strict=True):
            _write_number(path, round(centiseconds * factor))
        yield
    finally:
        for path, centiseconds in zip(paths, former, strict=True):
            _write_number(path, centiseconds)


def _read_number(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def _write_number(path: str, number: int) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{number}\n")


def usage(drive: Drive) -> Usage:
    """What a drive did since its statistics were reset."""
    found = drive.control("stats")
    names = ("busy_s", "seeks", "read_bytes", "written_bytes", "late_s")
    return Usage(*(found[name] for name in names))


def at_once(commands: Sequence[Sequence[str]]) -> None:
    """Run programs side by side; SystemExit when one of them fails."""
    processes = [subprocess.Popen(command) for command in commands]
    codes = [process.wait() for process in processes]
    for command, code in zip(commands, codes, strict=True):
        if code:
            raise SystemExit(f"{' '.join(command)} ended with {code}")


def unmount(path: str) -> None:
    """Unmount, and wait for whoever lets go of it just now; lazily when nobody does."""
    for _ in range(UNMOUNT_TRIES):
        if subprocess.run(["umount", path], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "--lazy", path], check=False)


def _stream(drive: Drive, megabytes: int, writing: bool) -> None:
    # As many bytes as keep every drive busy for the same time.
    share = drive.model.rate_outer_bytes_per_s / max(rate for _, rate in DISKS)
    scale = 1 / (drive.model.rpm / 7200)
    count = max(1, int(megabytes * 1_000_000 * share * scale) // PROBE_BYTES)
    buffer = mmap.mmap(-1, PROBE_BYTES)
    descriptor = os.open(drive.device, (os.O_WRONLY if writing else os.O_RDONLY) | os.O_DIRECT)
    try:
        for number in range(count):
            if writing:
                os.pwrite(descriptor, buffer, number * PROBE_BYTES)
            else:
                os.preadv(descriptor, [buffer], number * PROBE_BYTES)
    finally:
        os.close(descriptor)
