"""The long form of the fault tests: what it runs, how long, with which seeds."""

from __future__ import annotations

import os
import subprocess
import sys

import long_form


def collect(*arguments: str, **variables: str) -> str:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, *arguments],
        cwd=long_form.ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_fault_tests_get_their_lengths_and_one_seed_and_others_stay_out():
    files = ("tests/fsd/engine/test_crash.py", "tests/test_run_order.py")
    told = collect("--long", "--seed", "s7", "--crash-points", "60", *files)
    assert (
        "--crash-points 60 --power-cuts 200 --flush-cuts 0 --jobs-kills 60 --door-seconds 600"
        " --up-cycles 200" in told
    )
    assert "--crash-seed s7 --power-seed s7 --jobs-seed s7" in told
    assert told.count("test_kill_at_any_moment") == 3
    assert "test_run_order" not in told.replace(files[1], "")


def test_the_seed_of_a_run_is_that_of_its_random_tests():
    told = collect("tests/test_run_order.py", DRYSTONE_TEST_SEED="s8")
    assert "random faults: --crash-seed s8 --jobs-seed s8" in told
    told = collect("tests/test_run_order.py", "--crash-seed", "s9", DRYSTONE_TEST_SEED="s8")
    assert "random faults: --crash-seed s9 --jobs-seed s8" in told
