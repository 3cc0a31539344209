"""Whoever starts an emulated disk from the command line controls all of it from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import keeper, run, why_not
from .__main__ import main
from .test_lab import BLOCK, ROOT, overwrite, read, write

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")

Tell = Callable[..., dict[str, Any]]


@pytest.fixture
def path(short_tmp: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a disk that was started by the command is mounted; it is gone after the test."""
    monkeypatch.chdir(short_tmp)
    path = os.path.join(short_tmp, "m")
    command = [sys.executable, "-m", "tests.lab", path, "--size", "64M", "--fast", "--log"]
    command += ["--work", short_tmp]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "is an emulated disk" in running.stderr.readline()
    yield path
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    running.stderr.close()
    assert [name for name in os.listdir(short_tmp) if name.startswith(("hdd-", "m."))] == []
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert short_tmp not in file.read()


@pytest.fixture
def tell(path: str, capsys: pytest.CaptureFixture[str]) -> Tell:
    """A function that tells the disk something by the command, and reads what that prints."""

    def tell(*words: str) -> dict[str, Any]:
        assert main(["m", "--control", *words]) == 0, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    return tell


def calm(path: str) -> None:
    """Let the filesystem commit nothing by itself, however slow the test is."""
    run("mount", "-o", "remount,commit=600", path)


def test_a_power_cut_decides_and_the_disk_goes_on(path: str, tell: Tell):
    file = write(os.path.join(path, "file"), b"s" * (32 * BLOCK))

    def blocks() -> bytes:
        return read(file)[::BLOCK]

    for mode, left in (("lost", b"s"), ("kept", b"n")):
        calm(path)
        overwrite(file, 0, b"n")
        assert tell("power-cut", mode)["mode"] == mode
        assert not os.path.exists(file)
        assert tell("return")["path"] == path
        assert blocks() == left + b"s" * 31
    calm(path)
    for number in range(32):
        overwrite(file, number, b"r")
    tell("power-cut", "some", "7")
    tell("return")
    # In no order: a later write may be there that an earlier one is not.
    assert 0 < blocks().count(b"r") < 32
    assert b"r" in blocks().lstrip(b"r")


def test_a_flush_is_gone_back_to(path: str, tell: Tell):
    calm(path)
    file = write(os.path.join(path, "file"), b"1" * BLOCK)
    first = tell("flushes")["flushes"]
    overwrite(file, 0, b"2")
    write(os.path.join(path, "other"), b"o")
    tell("replay", str(first))
    assert read(file) == b"1" * BLOCK
    assert not os.path.exists(os.path.join(path, "other"))
    assert tell("replay", str(first), "kept")["mode"] == "kept"
    assert read(file) == b"2" * BLOCK
    tell("replay", str(tell("flushes")["flushes"]))
    assert read(os.path.join(path, "other"))[:1] == b"o"


def test_a_disk_vanishes_and_returns_elsewhere_with_old_content(path: str, tell: Tell):
    file = write(os.path.join(path, "file"), b"old")
    tell("keep", "monday")
    write(file, b"new")
    tell("vanish")
    assert not os.path.exists(file)
    elsewhere = os.path.join(os.path.dirname(path), "else where")
    # The person's folder counts, not that of the running command.
    assert tell("return", "at", os.path.basename(elsewhere))["path"] == elsewhere
    assert read(os.path.join(elsewhere, "file"))[:3] == b"new"
    for _ in range(2):
        tell("return", "with", "monday", "at", path)
        assert read(file)[:3] == b"old"
        write(file, b"new")


def test_a_disk_that_hangs_below_a_verb_still_hears(path: str, tell: Tell):
    write(os.path.join(path, "file"), b"x", sync=False)
    tell("hang")
    codes: list[int] = []
    words = ["m", "--control", "keep", "monday"]
    keeping = threading.Thread(target=lambda: codes.append(main(words)), daemon=True)
    keeping.start()
    keeping.join(0.2)
    assert codes == []
    # Not by the command: what that prints belongs to the verb that waits.
    keeper.tell("m", ["resume"])
    keeping.join(120)
    assert codes == [0]


def test_what_cannot_be_is_said_in_one_line(path: str, capsys: pytest.CaptureFixture[str]):
    for words, message in {
        "power-cut sometimes": "sometimes is not one of lost, kept",
        "return with sunday": "nothing was kept as sunday",
        "return elsewhere": "say: return [with NAME] [at PATH]",
        "keep": "say: keep NAME",
        "replay 100000": "flushes",
        "explode": "Invalid argument",
    }.items():
        assert main(["m", "--control", *words.split()]) == 1
        said = capsys.readouterr()
        assert message in said.err
        assert said.err.count("\n") == 1
        assert said.out == ""
        # Nothing was begun: the disk works.
        write(os.path.join(path, "file"), b"x")
