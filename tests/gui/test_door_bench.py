"""`python -m bench.door` measures what it says; small here, and without its goals."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command import ROOT


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.door", "--json", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.seconds(20)
def test_it_tells_its_figures(tmp_path):
    sizes = ("--clients", "4", "--idle", "10", "--seconds", "2", "--size-mb", "4")
    done = bench(*sizes, "--folder", str(tmp_path))
    figures = json.loads(done.stdout)
    assert figures["requests"] == 24
    for name in ("alone_p95_ms", "idle_p95_ms", "takers_p95_ms", "download_mb_per_s"):
        assert figures[name] > 0, done.stderr
    assert figures["cpu_ms_per_request"] > 0 and "takers_change" in figures
    assert done.returncode == 0 or "the goals are" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_is_bounded():
    for wrong in (("--seconds", "61"), ("--idle", "0")):
        done = bench(*wrong)
        assert done.returncode == 2 and "--seconds is 1 to 60" in done.stderr
