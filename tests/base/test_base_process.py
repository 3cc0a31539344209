"""Processes that outlive who started them: one holder of a claim, its end, its log."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from base.errors import DrystoneError
from base.processes import process

HOLDER = """
import signal, sys, time
from base.processes import process
if {deaf}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
assert process.claim({path!r}) is not None
print("holds it", flush=True)
time.sleep(300)
"""


def start(path: str, log: str, deaf: bool = False) -> bool:
    return process.start(["-c", HOLDER.format(path=path, deaf=deaf)], path, log)


@pytest.fixture
def path(tmp_path: Path):
    path = str(tmp_path / "run" / "a.claim")
    yield path
    process.kill_session(path)


@pytest.mark.parametrize("deaf", [False, True])
def test_one_process_holds_a_claim_until_it_is_stopped(path: str, tmp_path: Path, deaf: bool):
    log = str(tmp_path / "run" / "log")
    assert process.find(path) is None and not process.stop(path, 1)
    assert start(path, log, deaf) and not start(path, log, deaf)
    pid = process.find(path)
    assert pid and os.getsid(pid) == pid != os.getpid()
    assert process.claim(path, 0) is None and process.find(path) == pid
    assert process.log_tail(log) == "holds it"
    assert process.stop(path, 0.2 if deaf else 60)
    assert process.find(path) is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_claim_dies_with_whom_it_names_however_that_ends(path: str, tmp_path: Path):
    start(path, str(tmp_path / "log"))
    pid = process.find(path)
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert process.wait_for_end(path, 60)
    held = process.claim(path)
    assert held is not None and process.find(path) == os.getpid()
    os.close(held)


def test_whom_a_claim_names_is_not_signalled_when_nobody_holds_it(path: str):
    os.makedirs(os.path.dirname(path))
    Path(path).write_text(f"{os.getpid()}\n")
    assert process.ask_to_stop(path) is None and not process.stop(path, 1)
    process.kill_session(path)


def test_who_wrote_no_number_is_named_by_the_caller(path: str, tmp_path: Path):
    start(path, str(tmp_path / "log"))
    pid = process.find(path)
    Path(path).write_text("")
    assert pid and process.find(path) == 0
    assert process.stop(path, 60, pid) and process.find(path) is None


def test_a_folder_is_a_claim_too(tmp_path: Path):
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    assert process.find(str(tmp_path)) is None
    assert process.take_lock(descriptor, 1)
    assert process.find(str(tmp_path)) == 0
    os.close(descriptor)
    assert process.find(str(tmp_path)) is None


def test_who_waits_for_a_claim_gets_it(path: str, tmp_path: Path):
    held = process.claim(path)
    assert held is not None
    code = f"from base.processes import process; assert process.claim({path!r}, 300); print('mine')"
    log = str(tmp_path / "log")
    child = process.spawn([sys.executable, "-c", code], log)
    assert child.poll() is None
    os.close(held)
    assert child.wait(60) == 0 and process.log_tail(log) == "mine"


def test_the_end_of_the_log_says_why_it_did_not_start(path: str, tmp_path: Path):
    with pytest.raises(DrystoneError, match=r"did not start:\n(.*\n)*ValueError: no luck"):
        process.start(["-c", "raise ValueError('no luck')"], path, str(tmp_path / "log"))


def test_what_cannot_be_started_or_logged_is_one_error(tmp_path: Path):
    with pytest.raises(process.ProcessError, match=r"none cannot be started: .*No such file"):
        process.spawn([str(tmp_path / "none")], str(tmp_path / "log"))
    with pytest.raises(process.ProcessError, match="cannot be written: Is a directory; make room"):
        process.spawn([sys.executable, "-c", ""], str(tmp_path))


def test_logs_are_bounded(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(process, "LOG_SIZE_BYTES_MAX", 100)
    log = tmp_path / "log"
    for number in range(30):
        descriptor = process.open_log(str(log))
        os.write(descriptor, b"%02d " % number + b"\xff" * 50 + b"\n")
        os.close(descriptor)
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]
    assert sum(os.path.getsize(tmp_path / name) for name in os.listdir(tmp_path)) < 400
    assert process.log_tail(str(log)).splitlines()[-1].startswith("29 \\xff")
    assert process.log_tail(str(tmp_path / "none")) == ""
    assert len(process.log_tail(str(log)).splitlines()) <= process.LOG_LINES_SHOWN


def test_the_dead_are_reaped(tmp_path: Path):
    first = process.spawn([sys.executable, "-c", ""], str(tmp_path / "log"))
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    process.reap()
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOHANG)


def test_a_turn_is_waited_for(tmp_path: Path):
    path, log = str(tmp_path / "turn"), str(tmp_path / "log")
    code = f"from base.processes import process\nwith process.turn({path!r}): print('in')"
    with process.turn(path):
        child = process.spawn([sys.executable, "-c", code], log)
        time.sleep(0.5)
        assert child.poll() is None and process.log_tail(log) == ""
    assert child.wait(60) == 0 and process.log_tail(log) == "in"
