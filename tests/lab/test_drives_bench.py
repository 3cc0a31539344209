"""The bench of the drives runs: fio on a small fast drive. What the clock says is not judged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from bench.drives import Row, exit_code, parse, read_places, table

from . import why_not
from .test_lab import ROOT

WORDS = "--drives 4 --time-scale 0.5 --seconds 0.05 --reads 4"
WORKS = [
    *(
        f"sequential {work}, {edge} edge"
        for work in ("read", "write")
        for edge in ("outer", "inner")
    ),
    *(f"scattered reads of {size} KiB" for size in (4, 16)),
]


def run_bench(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.drives", *words]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")
@pytest.mark.skipif(shutil.which("fio") is None, reason="needs fio")
def test_fio_measures_every_work_and_nothing_stays_behind(short_tmp: str):
    report = os.path.join(short_tmp, "report.json")
    done = run_bench(*WORDS.split(), "--folder", short_tmp, "--json", report)
    assert done.returncode in (0, 1), done.stderr
    with open(report, encoding="utf-8") as file:
        rows = json.load(file)
    assert [row["work"] for row in rows] == WORKS
    assert all(row["model"] > 0 and row["fio"] > 0 for row in rows)
    assert done.returncode == (0 if all(row["met"] for row in rows) else 1)
    for work in WORKS:
        assert work in done.stdout
    # The rate of the place at half the time of a second: what the model says, and no drive.
    assert rows[0]["model"] == pytest.approx(200, rel=0.01)
    assert os.listdir(short_tmp) == ["report.json"]
    assert short_tmp not in subprocess.check_output(["losetup", "-l"], text=True)


def test_without_fio_it_says_what_to_install(short_tmp: str):
    done = run_bench(PATH=short_tmp)
    assert done.returncode == 1
    assert done.stderr == "bench.drives needs the program fio: apt-get install fio\n"


def test_one_ratio_that_misses_fails_the_bench():
    def row(fio: float) -> Row:
        return Row("a drive", "a work", 100.0, fio, "MB/s", 0.0)

    assert exit_code([row(95.1), row(104.9)]) == 0
    for missed in (94.9, 105.1):
        assert exit_code([row(100), row(missed), row(100)]) == 1
        assert "NO" in table([row(missed)])


def test_the_places_of_a_log_are_read_in_both_versions(short_tmp: str):
    path = os.path.join(short_tmp, "places")
    for stamp in ("", "17 "):
        lines = ["fio version 2 iolog", "/dev/x add", "/dev/x open", "/dev/x read 8192 4096"]
        lines += ["/dev/x read 0 4096", "/dev/x close"]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{stamp}{line}\n" for line in lines)
        assert read_places(path) == [(8192, 4096), (0, 4096)]


def test_a_drive_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["--drives", "1,5"])
    assert "5 is none of 1 to 4" in capsys.readouterr().err
