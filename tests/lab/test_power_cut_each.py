"""A power cut in the middle of each operation by itself: nothing told is lost, nothing is wrong.

One life of a store does one thing after the other and notes when each began and ended. Then the
power is cut inside each of these windows, at a flush or anywhere, with another fate of un-flushed
writes for every disk. `--power-cuts N` makes N / 6 rounds, `--power-seed S` replays them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from store_harness import with_settings

from fsd.disks.config import load_config
from fsd.format.layout import CATALOG_NAME, IDENTITY_NAME

from . import why_not
from .store_life import SSD_SIZE_MIB, Cut, Life, first_store
from .store_work import SETTLE_S_MAX
from .test_power_cut import SEED_OF_THE_SHORT_FORM, PowerRun
from .test_power_cut_purge import PurgeWork

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

CUTS_PER_ROUND = 6
DISKS_MIB = (160, 128, 144, 112)
DAMAGED_BYTES = 4096
DAMAGED_APART_BYTES = 72 * 1024
"""No two places so far apart are in one block."""
WINDOWS = (
    "put",
    "seal",
    "replication",
    "export",
    "reindex",
    "scrub repair",
    "reconstruction",
    "compaction",
    "drain",
    "rebuild",
)
ON_THE_SSD = {"export", "reindex"}
"""Of these what is written there alone."""


@pytest.mark.seconds(14)
@pytest.mark.fault
@pytest.mark.timeout(0)
def test_power_cut_in_each_operation(pytestconfig: pytest.Config):
    rounds = max(1, pytestconfig.getoption("--power-cuts") // CUTS_PER_ROUND)
    seed = pytestconfig.getoption("--power-seed") or SEED_OF_THE_SHORT_FORM
    run = EachOperation(f"each-{seed}")
    run.run(rounds * len(WINDOWS))


class OneAfterTheOther(PurgeWork):
    """Every operation once, alone; `windows` says when each was (CLOCK_MONOTONIC)."""

    windows: dict[str, tuple[int, int]]
    damaged_ns: int
    overwritten: list[tuple[str, int, bytes]]

    @contextmanager
    def window(self, name: str) -> Generator[None]:
        begun_ns = time.monotonic_ns()
        yield
        self.windows[name] = (begun_ns, time.monotonic_ns())

    def live(self, life: Life) -> None:
        self.windows, self.overwritten = {}, []
        client = self.store.client
        names = [self.make_batch(one) for one in ("raw", "raw", "generated")]
        with self.window("put"):
            for name in names:
                self.put(life, name)
        with self.window("seal"):
            self.finish(client.verify().job_id)
        # What was sealed just now gets its third copies; those of the others are for the window.
        self.settle()
        self.store.stop()
        self.want_third_copies()
        self.store.start()
        before = self.replica_files()
        with self.window("replication"):
            # It has nothing to seal; the copies begin with its end.
            self.finish(client.verify().job_id)
            self.settle()
        assert self.replica_files() > before
        self.wait_for_disks()
        self._publish(life, "view")
        with self.window("export"):
            self._publish(life, "copy")
        with self.window("reindex"):
            self.finish(client.reindex().job_id)
        self.damaged_ns = time.monotonic_ns()
        self.damage_a_replica()
        # The first entry of a catalog and an identity: written again beside the shard.
        self.overwrite(os.path.join(self.store.disks[0], CATALOG_NAME), 0)
        self.overwrite(os.path.join(self.store.disks[1], IDENTITY_NAME), 0, size=64)
        with self.window("scrub repair"):
            found = client.wait(client.scrub().job_id)
            self.settle()
        assert found.result["problems"], found
        self.assert_healed()
        self.damage_all_replicas()
        with self.window("reconstruction"):
            client.wait(client.scrub().job_id)
            client.wait(client.verify().job_id)
            self.settle()
        self.assert_healed()
        self.purge(life, names[0])
        with self.window("compaction"):
            assert client.wait(client.compact(0.01).job_id).result["compacted"]
        self.wait_for_disks()
        last = client.disks()[-1]
        with self.window("drain"):
            assert self.finish(client.disk_drain(last.name).job_id)["moved"]
        client.disk_undrain(last.name)
        # What compaction vacated may be there still, until it is deleted: a rebuild copies none of
        # that. So until the disk that is to be lost has something else again.
        vacated = set(shard_files(last.path))
        while not set(shard_files(last.path)) - vacated:
            names.append(self.make_batch("raw"))
            self.put(life, names[-1])
            self.finish(client.verify().job_id)
            self.settle()
        with self.window("rebuild"):
            assert self.finish(client.rebuild(last.name).job_id)["copied"]

    def replica_files(self) -> int:
        return sum(len(shard_files(disk)) for disk in self.store.disks)

    def assert_healed(self) -> None:
        """What was overwritten is there no more: each file was rebuilt, or replaced."""
        assert self.overwritten
        for path, offset, wrong in self.overwritten:
            if os.path.exists(path) and not path.endswith(CATALOG_NAME):
                with open(path, "rb") as file:
                    file.seek(offset)
                    assert file.read(len(wrong)) != wrong, path
        self.overwritten.clear()

    def want_third_copies(self) -> None:
        """Ask for one copy more of all that can be made again: every shard of it needs a copy."""
        with open(self.store.config_path, encoding="utf-8") as file:
            text = file.read()
        assert "copies_generated = 2" in text
        with open(self.store.config_path, "w", encoding="utf-8") as file:
            file.write(text.replace("copies_generated = 2", "copies_generated = 3"))
        self.store.config = load_config(self.store.config_path)

    def has_damage(self, time_ns: int) -> bool:
        """Return whether something was damaged before a moment that was not reconstructed then."""
        return self.damaged_ns <= time_ns <= self.windows["reconstruction"][1]

    def operation(self, time_ns: int) -> str:
        """Return in which window a moment is; empty for what lies between them."""
        found = (name for name, (begin, end) in self.windows.items() if begin <= time_ns <= end)
        return next(found, "")

    def wait_for_disks(self) -> None:
        """Wait for a disk whose process was too slow for a moment; all have to take data now."""
        deadline = time.monotonic() + SETTLE_S_MAX
        while not all(one.state == "online" for one in self.store.client.disks()):
            assert time.monotonic() < deadline, self.store.client.disks()
            time.sleep(0.02)
        assert all(one.health != "failing" for one in self.store.client.disks()), (
            self.store.client.disks()
        )

    def settle(self) -> None:
        deadline = time.monotonic() + SETTLE_S_MAX
        while self.store.client.health().rebuild_queue:
            assert time.monotonic() < deadline, self.store.client.health()
            time.sleep(0.02)

    def damage_a_replica(self) -> None:
        """Overwrite a part of some shard on the first disk, durably."""
        path = shard_files(self.store.disks[0])[0]
        self.overwrite(path, os.path.getsize(path) // 2)

    def damage_all_replicas(self) -> None:
        """Overwrite another part of the largest shard on each disk that has it."""
        replicas: dict[str, list[str]] = {}
        for path in (path for disk in self.store.disks for path in shard_files(disk)):
            replicas.setdefault(os.path.basename(path), []).append(path)
        paths = max(replicas.values(), key=lambda found: os.path.getsize(found[0]))
        step = os.path.getsize(paths[0]) // (len(paths) + 1)
        assert step > DAMAGED_APART_BYTES
        for number, path in enumerate(paths, 1):
            self.overwrite(path, number * step)

    def overwrite(self, path: str, offset: int, size: int = DAMAGED_BYTES) -> None:
        wrong = self._chance.randbytes(size)
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(wrong)
            file.flush()
            os.fsync(file.fileno())
        self.overwritten.append((path, offset, wrong))


def shard_files(disk: str) -> list[str]:
    folders = os.walk(os.path.join(disk, "shards"))
    return sorted(os.path.join(folder, name) for folder, _, found in folders for name in found)


class EachOperation(PowerRun):
    """The cuts of one life, by turns in each of the windows."""

    def live_in_peace(self) -> Life:
        sizes = (*DISKS_MIB, SSD_SIZE_MIB)
        life = Life(self.folder, 0, [None] * len(sizes), sizes)
        self.lives.append(life)
        life.power_on()
        self.store = first_store(self.folder, life)
        self.store.config = with_settings(self.store.root, grace_s=0)
        self.work = self.made = OneAfterTheOther(self.store, self.folder, self.chance)
        self.store.start()
        life.begun_ns = time.monotonic_ns()
        self.work.live(life)
        self.power_off()
        return life

    def choose_parent(self, first: Life, last: Life) -> Life:
        # Nothing begins with the last one, and its images are large.
        last.forget()
        self.lives.remove(last)
        return first

    def choose_cut(self, parent: Life, number: int) -> Cut:
        name = WINDOWS[(number - 1) % len(WINDOWS)]
        self.history.append(f"in {name}")
        return parent.choose_cut(self.chance, self.made.windows[name])

    def go_on(self, life: Life, cut: Cut) -> None:
        assert self.store is not None
        self.start_again(cut)
        self.work.check_told(life)
        self.work.check_sealed_folders()
        if self.made.has_damage(cut.time_ns):
            # What was not repaired before the cut is found and repaired now.
            self.store.client.wait(self.store.client.verify().job_id)
            self.made.settle()
        self.work.check_care()
