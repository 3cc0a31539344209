"""The runner of all checks: what fails a run, what it says of failures, and its seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import run as runner
from test_command_line import command_line
from test_launcher import ROOT, run, write

PLAIN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}
"""It starts pytest several times; most of that would be plugins that it has no use for."""


def run_tests(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the runner as it is, on the tests below `root`."""
    os.makedirs(root / "tests", exist_ok=True)
    with open(os.path.join(ROOT, "tests", "run.py"), encoding="utf-8") as file:
        write(str(root / "tests" / "run.py"), file.read())
    environment = {**os.environ, **PLAIN}
    environment.pop("DRYSTONE_TEST_SEED", None)
    return run([sys.executable, str(root / "tests" / "run.py"), *arguments], env=environment)


FLAKY = """
import os
import pytest
@pytest.mark.parametrize("number", range({count}))
def test_one(number):
    path = os.path.join(os.path.dirname(__file__), f"seen{{number}}")
    seen = os.path.exists(path)
    open(path, "w").close()
    assert seen and (number or {is_sound})
"""


@pytest.mark.parametrize(
    ("count", "is_sound", "told"),
    [
        (2, True, "test_flaky.py::test_one[0], test_flaky.py::test_one[1]"),
        (2, False, "test_flaky.py::test_one[1]"),
        (1, False, ""),
        (runner.ALONE_TESTS_MAX + 1, True, ""),
    ],
)
def test_what_fails_beside_others_has_failed_and_what_passes_alone_is_named(
    tmp_path, count, is_sound, told
):
    write(str(tmp_path / "test_flaky.py"), FLAKY.format(count=count, is_sound=is_sound))
    result = run_tests(tmp_path, "--fast")
    assert (result.returncode, result.stderr) == (1, "drystone: failed: pytest\n"), result.stdout
    assert ("what failed, alone" in result.stdout) == (count <= runner.ALONE_TESTS_MAX)
    told_lines = [line for line in result.stdout.splitlines() if "passed alone: " in line]
    assert told_lines == (
        [f"drystone: failed beside other tests, passed alone: {told}"] if told else []
    )


def test_what_passes_passes_and_a_chosen_test_that_fails_is_run_once(tmp_path):
    write(str(tmp_path / "test_fine.py"), "def test_fine(): pass")
    write(str(tmp_path / "test_bad.py"), "def test_bad(): assert False")
    assert run_tests(tmp_path, "--fast", "test_fine.py").returncode == 0
    result = run_tests(tmp_path, "--fast", "-k", "bad")
    assert result.returncode == 1
    assert result.stdout.count("== pytest") == 1


def test_fewer_tests_run_beside_each_other_where_processors_are_taken_away(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert runner.parallel([], 0.05) == ["-n", "6"]
    assert runner.parallel([], 0.2) == ["-n", "5"]
    assert runner.parallel(["tests/test_style.py"], 0.0) == []


TOLD = """
import pytest
def pytest_addoption(parser):
    parser.addoption("--long", action="store_true")
    parser.addoption("--seed")
def pytest_report_header(config):
    return f"TOLD {config.getoption('--long')} {config.getoption('--seed')}"
"""


def test_the_long_form_is_one_command_with_a_seed_that_it_says(tmp_path):
    write(str(tmp_path / "conftest.py"), TOLD)
    write(str(tmp_path / "test_one.py"), "def test_one(): assert False")
    result = run_tests(tmp_path, "--long", "--seed", "s7")
    assert "TOLD True s7" in result.stdout, result
    assert "ruff" not in result.stdout
    assert result.returncode == 1
    assert result.stderr == (
        "drystone: failed: pytest; to replay it: ./drystone test --long --seed s7\n"
    )


SEEDED = """
import os
def test_one():
    with open(os.path.join(os.path.dirname(__file__), "seen"), "a") as file:
        file.write(os.environ["DRYSTONE_TEST_SEED"] + " ")
    assert False
"""


@pytest.mark.parametrize("chosen", ["s7", ""])
def test_what_failed_is_played_again_with_the_seed_of_the_run(tmp_path, chosen):
    write(str(tmp_path / "test_one.py"), SEEDED)
    result = run_tests(tmp_path, "--fast", *(["--seed", chosen] if chosen else []))
    assert result.returncode == 1, result
    seeds = (tmp_path / "seen").read_text().split()
    assert len(seeds) == 2 and len(set(seeds)) == 1
    assert seeds[0] == chosen if chosen else len(seeds[0]) == 8
    assert f"== pytest; to replay its random faults: --seed {seeds[0]}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--help", "Usage: drystone test [OPTIONS]"),
        ("--fast tests/test_run.py --collect-only -q -k taken_away", "test_fewer_tests_run"),
    ],
)
def test_the_command_becomes_the_runner_and_hands_on_what_it_is_given(arguments, told):
    program = os.path.join(ROOT, "drystone.py")
    result = run([sys.executable, program, "test", *arguments.split()])
    assert (result.returncode, result.stderr) == (0, ""), result
    assert told in result.stdout


def test_without_a_checkout_there_is_nothing_to_run(tmp_path):
    code = f"drystone.FOLDERS = drystone.FOUNDATION = (); drystone.ROOT = {str(tmp_path)!r}"
    result = command_line("test", code=code)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("drystone: ") and result.stderr.count("\n") == 1
