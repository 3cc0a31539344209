"""A warning that nobody expected fails the test in which it was said."""

from __future__ import annotations

import os
import subprocess
import sys

import quiet_logs

TESTS = """
import logging

import pytest

log = logging.getLogger("sql.people")


def test_it_warns():
    log.warning("the third shelf is bent")


def test_others_warn():
    logging.getLogger("elsewhere").warning("not ours")
    log.info("all is well")


@pytest.mark.warns("the shelf is bent by the test")
def test_it_may_warn():
    log.warning("as it should")


def test_it_reads_what_is_said(caplog):
    log.warning("heard")
    assert caplog.messages == ["heard"]
"""


def test_what_nobody_expected_fails(tmp_path):
    for number, room in enumerate(("sql", "lab", "fsd/format")):
        (tmp_path / "tests" / room).mkdir(parents=True)
        (tmp_path / "tests" / room / f"test_{number}.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers = {quiet_logs.MARK}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "quiet_logs", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.path.dirname(quiet_logs.__file__)},
        capture_output=True,
        text=True,
    )
    assert "12 passed, 2 errors" in done.stdout, done.stdout + done.stderr
    assert "sql.people: WARNING: the third shelf is bent" in done.stdout
    assert "ERROR tests/sql/test_0.py::test_it_warns" in done.stdout
    assert "ERROR tests/fsd/format/test_2.py::test_it_warns" in done.stdout
