"""A power cut at every flush boundary of one life: nothing told is lost, nothing is wrong.

The life is that of `test_power_cut_each`: every operation once, alone. What each disk held just
before each flush is made anew from the logs, once with all un-flushed writes lost and once as the
seed says, and a store starts on it. The boundaries do not depend on each other, so a failure ends
nothing but its own cut.

`--flush-cuts N` cuts at about N of the boundaries, spread evenly from one that the seed chooses; 0
at all of them. `--power-seed S` chooses the same fates again. A run that fails keeps its folder
with the logs: `--flush-life FOLDER` cuts that very life again, `FOLDER:17` at boundary 17 only.
"""

from __future__ import annotations

import os
import pickle
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable

import pytest
from store_harness import Store

from base.config import CONFIG_NAME
from fsd.disks.config import load_config

from . import why_not
from .flush_cuts import Boundary, GrowingImage, boundaries, plan
from .store_life import Cut, Life
from .test_power_cut import SEED_OF_THE_SHORT_FORM
from .test_power_cut_each import ON_THE_SSD, WINDOWS, EachOperation, OneAfterTheOther

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

RECORDED = "recorded.pickle"
TOLD_EVERY = 25
FAILURES_MAX = 10


@pytest.mark.seconds(11, long_form=1800)
@pytest.mark.fault
@pytest.mark.timeout(0)
def test_power_cut_at_every_flush(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]):
    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    seed = pytestconfig.getoption("--power-seed") or SEED_OF_THE_SHORT_FORM
    run = EveryFlush(f"flush-{seed}", pytestconfig.getoption("--flush-life"), say)
    run.run(pytestconfig.getoption("--flush-cuts"))


class EveryFlush(EachOperation):
    """One life, recorded now or before, and a cut at each of its chosen flushes."""

    def __init__(self, seed: str, recorded: str, say: Callable[[str], None]) -> None:
        super().__init__(seed)
        self.say = say
        self.recorded, _, self.only = recorded.partition(":")
        self.failures: list[str] = []

    def live_in_peace(self) -> Life:
        if not self.recorded:
            life = super().live_in_peace()
            self.record(life)
            return life
        shutil.rmtree(self.folder)
        self.folder = self.recorded
        with open(os.path.join(self.folder, RECORDED), "rb") as file:
            life, work, root, disks = pickle.load(file)
        config = load_config(os.path.join(root, CONFIG_NAME))
        self.store = Store(root, config, disks)
        self.work = self.made = OneAfterTheOther(self.store, self.folder, self.chance)
        self.made.__dict__.update(work)
        self.lives.append(life)
        return life

    def remove(self) -> None:
        if not self.recorded:
            super().remove()

    def record(self, life: Life) -> None:
        """Keep the life in its folder, so that it can be cut again by another run."""
        assert self.store is not None
        shown = {
            name: value
            for name, value in vars(self.made).items()
            if name not in ("store", "_chance", "_folder")
        }
        with open(os.path.join(self.folder, RECORDED), "wb") as file:
            pickle.dump((life, shown, self.store.root, self.store.disks), file)

    def cut_again_and_again(self, first: Life, cuts: int) -> None:
        found = boundaries([disk.log for disk in first.disks], first.begun_ns, first.ended_ns)
        planned = plan(found, cuts, self.seed, len(first.disks))
        if self.only:
            every = plan(found, 0, self.seed, len(first.disks))
            planned = [one for one in every if one[0] == int(self.only)]
        self.tell(first, found, len(planned))
        self.images = [
            GrowingImage(
                disk.log, os.path.join(self.folder, f"grown-{place}"), disk.model.size_bytes
            )
            for place, disk in enumerate(first.disks)
        ]
        begun_s = time.monotonic()
        for done, (number, fates) in enumerate(planned, 1):
            self.boundary, self.fates = found[number], fates
            self.cut_once(first, number)
            if done % TOLD_EVERY == 0 or done == len(planned):
                each_s = (time.monotonic() - begun_s) / done
                self.say(f"{done} of {len(planned)} cuts, {each_s:.2f} s each")
        assert not self.failures, "\n\n".join(self.failures)

    def tell(self, first: Life, found: list[Boundary], cuts: int) -> None:
        names = Counter(self.made.operation(one.time_ns) or "between" for one in found)
        assert all(names[name] for name in WINDOWS), f"an operation without a flush: {names}"
        ssd = len(first.disks) - 1
        on_disks = {self.made.operation(one.time_ns) for one in found if one.place != ssd}
        assert on_disks >= set(WINDOWS) - ON_THE_SSD, f"nothing was written: {on_disks}"
        where = ", ".join(f"{name} {count}" for name, count in names.items())
        self.say(f"seed {self.seed}, {cuts} cuts at {len(found)} flush boundaries: {where}")

    def cut_once(self, first: Life, number: int) -> None:
        """Cut at a boundary; a failure is noted, and the next one starts from its own images."""
        assert self.store is not None
        try:
            self.cut_and_go_on(first, number)
        except Exception:
            where, log = " ".join(self.history[-2:]), self.store.log()[-3000:]
            self.failures.append(f"{where}\n{traceback.format_exc()}\n{log}")
            self.say(f"FAILED: {where}")
            assert len(self.failures) < FAILURES_MAX, "\n\n".join(self.failures)
        self.power_off()
        for life in self.lives[1:]:
            life.forget()
        del self.lives[1:]
        self.history.clear()

    def choose_cut(self, parent: Life, number: int) -> Cut:
        name = self.made.operation(self.boundary.time_ns) or "between operations"
        self.history.append(f"boundary {number} of disk {self.boundary.place}, in {name}")
        return Cut(self.boundary.time_ns, self.boundary.time_ns, "cut", self.fates)

    def life_after(self, parent: Life, cut: Cut, number: int) -> Life:
        bases: list[str | None] = [
            image.cut(cut.time_ns, seed, mode, os.path.join(self.folder, f"base-{place}"))
            for place, (image, (seed, mode)) in enumerate(zip(self.images, cut.fates, strict=True))
        ]
        return parent.with_images(bases, cut, number, last=True)
