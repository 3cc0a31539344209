"""The bench on emulated disks runs: works of the store, on tiny fast disks, without peers."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from bench.disks.command import WORKS, measure, parse
from bench.disks.lab import WRITEBACK_TIMERS, slowed_writeback

from . import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

FIGURES = ("plan / achieved", "LP / plan", "fixed costs / whole time", "seeks per object")
WORDS = (
    "--corpora mixed --files-mixed 120 --peers= --size-scale 0.06 --speed 20 --time-scale 1 "
    "--shard-mib 8 --probe-mb 8 --rounds 1 --reads 10"
)


@pytest.mark.seconds(11)
def test_the_store_is_measured_and_nothing_stays_behind(
    request: pytest.FixtureRequest, short_tmp: str
):
    report = os.path.join(short_tmp, "report.json")
    # Each work restarts the engine: two of them only in the long form.
    works = WORKS if request.config.getoption("--slow") else ("ingest", "export", "rebuild")
    words = [*WORDS.split(), "--works", ",".join(works), "--folder", short_tmp, "--json", report]
    found = measure(parse(words))
    with open(report, encoding="utf-8") as file:
        assert json.load(file)["rows"] == json.loads(json.dumps(found["rows"]))
    names = [row["work"] for row in found["rows"]]
    for wanted in (*FIGURES, *works):
        assert any(wanted in name for name in names), (wanted, names)
    for row in found["rows"]:
        assert row["ratio"] > 0 or "read" in row["work"], row
    # No program beats a bound: what is above 1 was computed from the wrong bytes or rates.
    bounds = [row for row in found["rows"] if row["work"].endswith(("bound / time", "whole time"))]
    assert len(bounds) >= 3
    assert all(row["ratio"] <= 1.02 for row in bounds), bounds
    # Disks that hold so little cannot be measured: a plan that does not know them is no figure.
    assert len(found["about"]["unmeasured"]) == 4
    planned = [row["remark"] for row in found["rows"] if "LP / plan" in row["work"]]
    assert planned and all("ONLY 0 OF 4 DISKS WERE MEASURED" in remark for remark in planned)
    assert os.listdir(short_tmp) == ["report.json"]
    assert short_tmp not in subprocess.check_output(["mount"], text=True)
    assert short_tmp not in subprocess.check_output(["losetup", "-l"], text=True)


@pytest.mark.seconds(11)
def test_the_kernels_timers_are_slowed_like_the_disks_and_no_longer_than_these():
    def timers() -> list[int]:
        found = list[int]()
        for name in WRITEBACK_TIMERS:
            with open(f"/proc/sys/vm/{name}", encoding="ascii") as file:
                found.append(int(file.read()))
        return found

    former = timers()
    with pytest.raises(KeyError), slowed_writeback(2.5):
        assert timers() == [round(number * 2.5) for number in former]
        raise KeyError
    assert timers() == former
