"""A store on emulated disks for tests of what disks do: it owns both and their end, no fault."""

from __future__ import annotations

import os

from engine_processes import kill_engine
from lab import EmulatedDisk, HddModel
from store_checks import put
from store_harness import MIB, Store, with_settings, write_files

from fsd.engine.setup import init_store

DISKS = 4
DISK_BYTES = 160 * MIB
# Long enough for a healthy disk process on a machine that has no time for it.
STALL_TIMEOUT_S = 6.0


class Rig:
    """A started store on emulated disks."""

    def __init__(
        self, folder: str, copies: int = 2, stall_timeout_s: float = STALL_TIMEOUT_S
    ) -> None:
        self.folder = folder
        self.disks = [
            EmulatedDisk(
                os.path.join(folder, f"d{number}"), HddModel(DISK_BYTES), fast=True, work=folder
            )
            for number in range(1, DISKS + 1)
        ]
        for one in self.disks:
            one.start()
        root = os.path.join(folder, "s")
        paths = [one.path for one in self.disks]
        sizes = {"min_free_bytes": MIB, "shard_size_bytes": 2 * MIB}
        init_store(root, paths, None, copies_raw=copies, **sizes)
        self.store = Store(root, with_settings(root, stall_timeout_s=stall_timeout_s), paths)
        self.store.start()

    def put(self, name: str, count: int = 150) -> dict[str, bytes]:
        """Store a batch and return what is in it."""
        folder, files = self.source(name, count)
        put(self.store, folder, name)
        return files

    def source(self, name: str, count: int = 150) -> tuple[str, dict[str, bytes]]:
        files = {f"{n % 7}/{n}": os.urandom(300 + n * 739 % 40_000) for n in range(count)}
        return write_files(os.path.join(self.folder, name), files), files

    def begin_put(self, folder: str, name: str) -> str:
        """Start a put; returns its job when the first files are acknowledged."""
        job_id = self.store.client.batch_write(folder, name).job_id
        next(iter(self.store.client.report(job_id)))
        return job_id

    def slow_down(self, factor: float) -> None:
        """Let all disks take their time, so many times as long as they would; 0 for none at all."""
        for one in self.disks:
            one.control("latency", "on" if factor else "off")
            one.control("slow", factor or 1)

    def close(self) -> None:
        for one in self.disks:
            if one.drive is not None:
                one.control("resume")
        self.store.stop()
        kill_engine(self.store.config, group=True)
        for one in self.disks:
            one.close()
