"""One life of a store on emulated disks: from power on to the moment the power is cut.

The store's HDDs and its SSD are all emulated and log what reaches them, so that one life can be cut
at any moment afterwards: `Cut` makes the images that a power cut then leaves of every disk, and the
next life starts on those. What a client was told, with the time, says what must be there.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from store_harness import MIB, Store, with_settings

from fsd.cli.daemons import daemon_process
from fsd.engine.setup import init_store

from . import MODES, EmulatedDisk, HddModel, copy_image, flush_times, replay

DISK_SIZES_MIB = (160, 128, 144)
SSD_SIZE_MIB = 512
END_S_MAX = 60.0

_telling = threading.Lock()


@dataclass(frozen=True)
class Told:
    """What the store said, and when the client had heard it (CLOCK_MONOTONIC, and by the wall)."""

    time_ns: int
    kind: str  # file, batch, view or export; putting, purging and purged where batches are purged
    name: str
    path: str = ""
    key: str = ""
    wall_s: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Cut:
    """A power cut: when, and what becomes of un-flushed writes of each disk (SSD last).

    `index` says what the SSD is after it: `cut` like the disks, `old` as it was at `ssd_ns`,
    `none` without its index.
    """

    time_ns: int
    ssd_ns: int
    index: str
    fates: tuple[tuple[int, str], ...]

    def describe(self, life: Life) -> str:
        after_s = (self.time_ns - life.begun_ns) / 1e9
        modes = ", ".join(f"{mode}/{seed}" for seed, mode in self.fates)
        return f"{after_s:.3f} s into life {life.number}, index {self.index}, {modes}"


@dataclass
class Life:
    """A store that runs, or did: its disks with their logs, and what it told.

    One that is the `last` is not cut again: it has no logs, and runs on its base images themselves.
    """

    folder: str
    number: int
    bases: list[str | None]
    sizes_mib: tuple[int, ...] = (*DISK_SIZES_MIB, SSD_SIZE_MIB)
    last: bool = False
    disks: list[EmulatedDisk] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    begun_ns: int = 0
    ended_ns: int = 0

    def power_on(self) -> None:
        """Start the disks; the store's engine is the caller's to start."""
        ssd = len(self.sizes_mib) - 1
        for number, (base, size) in enumerate(zip(self.bases, self.sizes_mib, strict=True)):
            name = "ssd" if number == ssd else f"d{number + 1}"
            image = base if self.last else base and copy_image(base, f"{base}-run")
            disk = EmulatedDisk(
                os.path.join(self.folder, name),
                HddModel(size * MIB),
                fast=True,
                keep_log=not self.last,
                work=self.folder,
                image=image,
            )
            self.disks.append(disk)
        self._of_all_disks(EmulatedDisk.start)
        self.begun_ns = time.monotonic_ns()

    def power_off(self) -> None:
        """Take the disks away; their logs stay until `forget`."""
        self.ended_ns = self.ended_ns or time.monotonic_ns()
        self._of_all_disks(EmulatedDisk.vanish)

    def _of_all_disks(self, work: Callable[[EmulatedDisk], None]) -> None:
        # Most of it is waiting for the kernel.
        with ThreadPoolExecutor(len(self.sizes_mib)) as threads:
            list(threads.map(work, self.disks))

    def forget(self) -> None:
        """Remove everything of this life."""
        for disk in self.disks:
            disk.close()
        for base in self.bases:
            for path in (base, f"{base}-run"):
                if base and path and os.path.exists(path):
                    os.unlink(path)

    def tell(self, kind: str, name: str, path: str = "", key: str = "") -> None:
        with _telling:
            self.told.append(Told(time.monotonic_ns(), kind, name, path, key))

    def told_until(self, time_ns: int) -> list[Told]:
        return [one for one in self.told if one.time_ns <= time_ns]

    def choose_cut(self, chance: random.Random, window: tuple[int, int] | None = None) -> Cut:
        """Choose a moment: at a flush of some disk (just before or just after), or anywhere.

        A `window` (two times in nanoseconds) limits it to a part of the life.
        """
        begin, end = window or (self.begun_ns, self.ended_ns)
        kind = chance.choice(("before a flush", "after a flush", "anywhere"))
        moment = chance.randrange(begin, end)
        if kind != "anywhere":
            disk = chance.choice(self.disks)
            times = [one for one in flush_times(disk.log) if begin < one < end]
            if times:
                moment = chance.choice(times) - (kind == "before a flush")
        fates = tuple((chance.randrange(1 << 30), chance.choice(MODES)) for _ in self.disks)
        index = chance.choice(("cut", "cut", "old", "none"))
        old_ns = chance.randrange(self.begun_ns, moment + 1)
        return Cut(moment, old_ns if index == "old" else moment, index, fates)

    def after(self, cut: Cut, number: int) -> Life:
        """Return the life after a cut of this one: not powered on yet, all told before kept."""
        bases: list[str | None] = []
        for place, disk in enumerate(self.disks):
            is_ssd = place == len(self.disks) - 1
            seed, mode = cut.fates[place]
            image = os.path.join(self.folder, f"base-{number}-{place}")
            moment = cut.ssd_ns if is_ssd else cut.time_ns
            size = disk.model.size_bytes
            replay(disk.log, image, size, moment, seed, mode, base=self.bases[place])
            bases.append(image)
        return self.with_images(bases, cut, number)

    def with_images(
        self, bases: list[str | None], cut: Cut, number: int, *, last: bool = False
    ) -> Life:
        """Return the life after a cut that left these images."""
        # What was told before counts from the first moment of the next life on.
        told = [replace(one, time_ns=0) for one in self.told_until(cut.time_ns)]
        if cut.index == "old":
            # Exports are folders of the SSD alone.
            told = [one for one in told if one.kind != "export"]
        return Life(self.folder, number, bases, self.sizes_mib, last, told=told)


def first_store(folder: str, life: Life, copies_raw: int = 3) -> Store:
    """Make the store of a first life, whose disks are on and empty."""
    root = os.path.join(folder, "s")
    paths = [disk.path for disk in life.disks]
    init_store(
        root,
        paths[:-1],
        paths[-1],
        min_free_bytes=MIB,
        shard_size_bytes=2 * MIB,
        copies_raw=copies_raw,
    )
    return Store(root, with_settings(root, batch_size_bytes=MIB), paths[:-1])


def kill_engine(store: Store) -> None:
    """End the engine and its disk processes as a power cut does: at once."""
    mark = daemon_process.find(os.path.join(store.config.run_dir, "engine.pid"))
    if mark is not None:
        os.killpg(mark.pid, signal.SIGKILL)
        assert daemon_process.wait_ended(mark, END_S_MAX)
