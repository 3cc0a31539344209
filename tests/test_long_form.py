"""The long form of the fault tests: one command with one seed, and what it runs."""

from __future__ import annotations

import os
import subprocess
import sys

import long_form
import pytest
from test_command_line import command_line, write

TOLD = """
import pytest
def pytest_addoption(parser):
    parser.addoption("--long", action="store_true")
    parser.addoption("--seed")
def pytest_report_header(config):
    return f"TOLD {config.getoption('--long')} {config.getoption('--seed')}"
"""


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
    files = ("tests/fsd/test_crash.py", "tests/test_run_order.py")
    told = collect("--long", "--seed", "s7", "--crash-points", "60", *files)
    assert "--crash-points 60 --power-cuts 200 --flush-cuts 0 --jobs-kills 60" in told
    assert "--crash-seed s7 --power-seed s7 --jobs-seed s7" in told
    assert told.count("test_kill_at_any_moment") == 3
    assert "test_run_order" not in told.replace(files[1], "")


def test_what_the_document_names_is_found():
    found = long_form.fault_tests()
    assert ("tests/fsd/test_crash.py", "test_kill_at_any_moment") in found
    assert ("tests/lab/test_power_cut_flush.py", "test_power_cut_at_every_flush") in found


def test_one_command_with_a_seed_that_it_says(tmp_path):
    write(str(tmp_path / "conftest.py"), TOLD)
    write(str(tmp_path / "test_one.py"), "def test_one(): assert {ok}".format(ok="False"))
    plain = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}
    code = f"drystone.FOLDERS = drystone.FOUNDATION = (); drystone.ROOT = {str(tmp_path)!r}"
    result = command_line("test", "--long", "--seed", "s7", code=code, env=plain)
    assert "TOLD True s7" in result.stdout, result
    assert "ruff" not in result.stdout
    assert result.returncode == 1
    assert result.stderr == (
        "drystone: failed: pytest; to replay it: ./drystone test --long --seed s7\n"
    )


SEEDED = """
import os
def test_one():
    print("TOLD", os.environ["DRYSTONE_TEST_SEED"])
    with open(os.path.join(os.path.dirname(__file__), "seen"), "a+") as file:
        file.seek(0)
        seen = file.read()
        file.write(os.environ["DRYSTONE_TEST_SEED"] + " ")
    assert seen
"""


@pytest.mark.parametrize(("name", "excused"), [("test_one", True), ("test_crash", False)])
@pytest.mark.parametrize("chosen", ["s7", ""])
def test_what_failed_is_played_again_with_the_seed_of_the_run(tmp_path, name, excused, chosen):
    """Random faults that lost something are not excused by another run of them."""
    write(str(tmp_path / f"{name}.py"), SEEDED)
    plain = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}
    plain.pop("DRYSTONE_TEST_SEED", None)
    code = f"drystone.FOLDERS = drystone.FOUNDATION = (); drystone.ROOT = {str(tmp_path)!r}; "
    # Also where the host takes nearly all of the processors.
    code += "drystone._processor_ticks = iter([(5, 10), (5, 10), (104, 110)]).__next__"
    arguments = ["--seed", chosen] if chosen else []
    result = command_line("test", "--fast", *arguments, code=code, env=plain)
    assert result.returncode == (0 if excused else 1), result
    seeds = (tmp_path / "seen").read_text().split()
    assert len(seeds) == 1 + excused and len(set(seeds)) == 1
    assert seeds[0] == chosen if chosen else len(seeds[0]) == 8
    assert f"== pytest; to replay its random faults: --seed {seeds[0]}" in result.stdout


def test_the_seed_of_a_run_is_that_of_its_random_tests():
    told = collect("tests/test_run_order.py", DRYSTONE_TEST_SEED="s8")
    assert "random faults: --crash-seed s8 --jobs-seed s8" in told
    told = collect("tests/test_run_order.py", "--crash-seed", "s9", DRYSTONE_TEST_SEED="s8")
    assert "random faults: --crash-seed s9 --jobs-seed s8" in told
