"""Commands that hang are ended with all that came from them, wherever that went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from command import ROOT
from jobs_harness import full_disk, until
from runner_harness import alive

from base.processes.run_command import SAID_BYTES_MAX, run_command

# A child in a session of its own, and an orphan that leads another; both ignore a soft end.
AWAY = """
import os, signal, sys, time
def stay(name):
    signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with open(name + '.new', 'w') as file: file.write(str(os.getpid()))
    os.rename(name + '.new', name)
    while True: time.sleep(600)
os.chdir(sys.argv[1])
if os.fork() == 0: os.setsid(); stay('child')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.setpgid(0, 0); stay('orphan')
    os._exit(0)
while not (os.path.exists('child') and os.path.exists('orphan')): time.sleep(0.01)
print('both are there', flush=True)
"""
NAMES = ("child", "orphan")


def _away(folder, end: str) -> list[str]:
    return [sys.executable, "-c", AWAY + end, str(folder)]


def _pids(folder) -> list[int]:
    return [int((folder / name).read_text()) for name in NAMES if (folder / name).exists()]


def test_a_command_that_hangs_is_ended_with_all_that_left_its_session(tmp_path):
    ended = run_command(_away(tmp_path, "stay('main')"), 3)
    assert (ended.code, ended.problem) == (None, "did not end within 3 s")
    # On a busy machine it may not have come so far.
    assert not any(alive(pid) for pid in _pids(tmp_path))


def test_it_is_ended_too_when_nobody_waits_for_it_any_more(tmp_path):
    code = (
        "import sys; from base.processes.run_command import run_command; "
        "run_command(sys.argv[1:], 3)"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code, *_away(tmp_path, "stay('main')")], cwd=ROOT
    )
    until(lambda: len(_pids(tmp_path)) == 2)
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    until(lambda: not any(alive(pid) for pid in _pids(tmp_path)))


def test_what_a_command_leaves_behind_on_purpose_is_left_alone(tmp_path):
    try:
        ended = run_command(_away(tmp_path, "os._exit(0)"), 60)
        assert (ended.code, ended.said) == (0, b"both are there\n")
        assert all(alive(pid) for pid in _pids(tmp_path)) and len(_pids(tmp_path)) == 2
    finally:
        for pid in _pids(tmp_path):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "code", "said", "problem"),
    [
        (["/bin/sh", "-c", "cat; echo no >&2; exit 3"], 3, b"given no\n", ""),
        (["/bin/sh", "-c", "kill -SEGV $$"], -signal.SIGSEGV, b"", ""),
        (["/not/here"], None, b"", "cannot be run: [Errno 2]"),
        (["a\0b"], None, b"", "cannot be run: embedded null byte"),
        (["/bin/sh", "-c", "head -c 1000 /dev/zero | tr '\\0' x; echo end"], 0, b"xxxxxxend\n", ""),
    ],
)
def test_how_it_ended(command: list[str], code: int | None, said: bytes, problem: str):
    ended = run_command(command, 60, given=b"given ", said_bytes_max=10)
    assert (ended.code, ended.said) == (code, said)
    assert ended.problem.startswith(problem) if problem else not ended.problem


def test_a_command_runs_where_nothing_can_be_written(tmp_path, monkeypatch):
    with full_disk(str(tmp_path / "full"), "size=64k") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        ended = run_command(["/bin/sh", "-c", "cat; head -c 100000 /dev/zero"], 60, given=b"x")
    assert (ended.code, len(ended.said)) == (0, 500)


def test_a_command_that_would_fill_the_memory_is_ended():
    ended = run_command(["/bin/sh", "-c", "while :; do head -c 1000000 /dev/zero; done"], 60)
    assert ended.problem == f"wrote more than {SAID_BYTES_MAX:,} bytes"
