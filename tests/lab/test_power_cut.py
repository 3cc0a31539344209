"""Power cuts of a whole store: nothing acknowledged is lost, nothing sealed is wrong.

All disks, the SSD too, lose their power at one moment: at a flush boundary or anywhere. Un-flushed
writes are lost, kept, torn or kept in part, each disk by its own seed. Every second time the index
comes back older than the disks, or not at all. The life after a cut may be cut again, in the middle
of its recovery.

`--power-cuts N` sets how many, `--power-seed S` replays a run.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
import traceback

import pytest
from store_harness import Store

from . import why_not
from .store_life import Cut, Life, first_store, kill_engine
from .store_work import StoreWork

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

SEED_OF_THE_SHORT_FORM = "drystone"
CUTS_PER_STORE = 20


@pytest.mark.seconds(33)
@pytest.mark.fault
@pytest.mark.timeout(0)
def test_power_cut_at_any_moment(pytestconfig: pytest.Config):
    cuts = pytestconfig.getoption("--power-cuts")
    seed = pytestconfig.getoption("--power-seed") or SEED_OF_THE_SHORT_FORM
    for number, first in enumerate(range(0, cuts, CUTS_PER_STORE)):
        PowerRun(f"{seed}-{number}").run(min(CUTS_PER_STORE, cuts - first))


class PowerRun:
    """One store, lived once in peace, then cut again and again."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="ds-")
        self.lives: list[Life] = []
        self.history: list[str] = []
        self.store: Store | None = None

    def run(self, cuts: int) -> None:
        try:
            self.cut_again_and_again(self.live_in_peace(), cuts)
        except BaseException:
            log = self.store.log()[-3000:] if self.store else ""
            steps = "\n".join(self.history)
            self.power_off()
            raise AssertionError(
                f"seed {self.seed}, kept in {self.folder}:\n{steps}\n"
                f"{traceback.format_exc()}\n{log}"
            ) from None
        self.power_off()
        self.remove()

    def remove(self) -> None:
        for life in self.lives:
            life.forget()
        shutil.rmtree(self.folder)

    def cut_again_and_again(self, first: Life, cuts: int) -> None:
        parent = first
        for number in range(1, cuts + 1):
            life = self.cut_and_go_on(parent, number)
            parent = self.choose_parent(first, life)

    def live_in_peace(self) -> Life:
        life = Life(self.folder, 0, [None] * 4)
        self.lives.append(life)
        life.power_on()
        self.store = first_store(self.folder, life)
        self.work = self.make_work()
        self.store.start()
        # Cuts before this moment would meet a store that nobody was told to have.
        life.begun_ns = time.monotonic_ns()
        self.work.live(life)
        self.power_off()
        return life

    def make_work(self) -> StoreWork:
        assert self.store is not None
        return StoreWork(self.store, self.folder, self.chance)

    def choose_parent(self, first: Life, last: Life) -> Life:
        """Return the life to cut next: the last one, in its recovery, or the first one again."""
        return first if self.chance.random() < 0.5 else last

    def choose_cut(self, parent: Life, number: int) -> Cut:
        return parent.choose_cut(self.chance)

    def cut_and_go_on(self, parent: Life, number: int) -> Life:
        cut = self.choose_cut(parent, number)
        begun = time.monotonic()
        life = self.life_after(parent, cut, number)
        self.history.append(f"cut {number}: {cut.describe(parent)}: {self.work.summary(life)}")
        self.lives.append(life)
        life.power_on()
        self.go_on(life, cut)
        self.power_off()
        self.history[-1] += f" ({time.monotonic() - begun:.1f} s)"
        print(self.history[-1])
        return life

    def life_after(self, parent: Life, cut: Cut, number: int) -> Life:
        return parent.after(cut, number)

    def start_again(self, cut: Cut) -> None:
        assert self.store is not None
        shutil.rmtree(self.store.config.run_dir)
        if cut.index == "none" and os.path.exists(self.store.config.index_root):
            shutil.rmtree(self.store.config.index_root)
        self.store.start()

    def go_on(self, life: Life, cut: Cut) -> None:
        self.start_again(cut)
        self.work.check_told(life)
        self.work.check_sealed_folders()
        self.work.check_care()
        self.work.put_again(life)
        self.work.check_told(life)
        self.work.check_care()

    def power_off(self) -> None:
        if self.store is not None:
            kill_engine(self.store)
        for life in self.lives:
            life.power_off()
