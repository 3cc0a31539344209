"""No attempt beside another: leases, stopped guards, containers of earlier and later attempts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from threading import Thread

import pytest
from jobs_harness import until
from runner_harness import Bench, alive, write_stand_ins

from jobs.runners import RunOutcome
from jobs.runners.program import GUARD, ROOT

FOR_EVER = "import time\nopen('begun', 'w').close()\ntime.sleep(600)\n"
# Says who it is, and ends when it may; its third argument is the number of its attempt.
HOLDS = """
import os, sys, time
with open('new' + sys.argv[3], 'w') as file: file.write(str(os.getpid()))
os.rename('new' + sys.argv[3], sys.argv[3])
while not os.path.exists('go'): time.sleep(0.02)
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    write_stand_ins(str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return lambda runner: Bench(str(tmp_path / "area"), runner)


def boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def pid_of(bench: Bench, attempt: int) -> int:
    with open(os.path.join(bench.output, str(attempt)), encoding="utf-8") as file:
        return int(file.read())


# ---- The lease -----------------------------------------------------------------------------------


def test_a_worker_that_says_nothing_after_its_orders_has_given_a_lease(make):
    """Frozen, or cut off, right behind them: the program ends with the lease all the same."""
    bench = make("python")
    orders = {
        "argv": [sys.executable, "-c", FOR_EVER], "environment": {}, "cwd": bench.output,
        "memory_bytes": None, "file_bytes_max": None, "stdin": "", "sweep": None, "after": [],
        "command_environment": {}, "output_root": bench.output, "watched": [bench.output],
        "output_bytes_max": None, "timeout_s": 20, "free_bytes_min": 0, "grace_s": 0.1,
        "log_path": bench.log_path, "log_bytes_max": 4096, "lease_until_s": boot_s() + 1.5,
    }  # fmt: skip
    guard = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", GUARD, ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert guard.stdin and guard.stdout
    guard.stdin.write(json.dumps(orders).encode() + b"\n")
    guard.stdin.flush()
    ended = json.loads(guard.stdout.readlines()[-1])
    guard.stdin.close()
    guard.stdout.close()
    assert guard.wait() == 0
    assert (ended["event"], ended["cause"]) == ("ended", "lease")


def test_what_takes_longer_than_the_lease_before_the_program_keeps_it_from_starting(make, tmp_path):
    """What was said of the lease meanwhile is no lease from when it is read."""
    bench = make("docker")
    os.rename(tmp_path / "docker", tmp_path / "fast-docker")
    with open(tmp_path / "docker", "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\n[ "$1" = ps ] && sleep 1.5\nexec {tmp_path}/fast-docker "$@"\n')
    os.chmod(tmp_path / "docker", 0o755)
    until_s = boot_s() + 1.0
    bench.lease_left_s = lambda: until_s - boot_s()
    outcome = bench.run(FOR_EVER, timeout_s=5)
    assert (outcome.cause, outcome.started) == ("lease", False)
    assert os.listdir(bench.output) == []


def test_a_guard_that_is_stopped_goes_on(make):
    source = "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(30)\n"
    outcome = make("python").run(source, timeout_s=2)
    assert (outcome.state, outcome.cause) == ("failed", "timeout")


# ---- Containers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("runner", ["docker", "k8s"])
def test_an_attempt_ends_earlier_ones_and_never_a_later_one(make, runner: str):
    bench = make(runner)
    outcomes: dict[int, RunOutcome] = {}

    def attempt(number: int) -> None:
        outcomes[number] = bench.run(HOLDS, str(number), attempt=number)

    attempts = {number: Thread(target=attempt, args=[number]) for number in (1, 2, 3)}
    for number in (2, 1, 3):
        # The first comes late, as one that was frozen does, and finds the second there.
        attempts[number].start()
        until(lambda n=number: os.path.exists(os.path.join(bench.output, str(n))))
        if number == 1:
            assert alive(pid_of(bench, 2))
    for number in (1, 2):
        assert not alive(pid_of(bench, number))
        attempts[number].join()
        assert outcomes[number].state == "failed"
    # Both have put their own things in order by now.
    assert alive(pid_of(bench, 3))
    with open(os.path.join(bench.output, "go"), "w", encoding="ascii"):
        pass
    attempts[3].join()
    assert outcomes[3].state == "done", bench.log


def test_nothing_is_started_beside_what_cannot_be_removed(make, tmp_path):
    bench = make("docker")
    assert bench.run("raise SystemExit(4)").state == "failed"
    with open(tmp_path / "docker", "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\necho 'no daemon' >&2\nexit 1\n")
    outcome = bench.run(FOR_EVER, attempt=2)
    assert (outcome.state, outcome.cause, outcome.started) == ("failed", "guard", False)
    assert "earlier attempts cannot be ended: no daemon" in outcome.reason


@pytest.mark.parametrize("runner", ["docker", "k8s"])
def test_a_secret_is_in_nobody_s_arguments(make, tmp_path, monkeypatch, runner: str):
    secret = uuid.uuid4().hex
    monkeypatch.setenv("TOKEN_OF_THE_PROGRAM", secret)
    source = (
        "import glob, os\nsecret = os.environ['TOKEN_OF_THE_PROGRAM'].encode()\n"
        "open('arrived', 'wb').write(secret)\n"
        "for path in glob.glob('/proc/[0-9]*/cmdline'):\n"
        "    try: words = open(path, 'rb').read()\n"
        "    except OSError: continue\n"
        "    if secret in words: open('seen', 'wb').write(words)\n"
    )
    bench = make(runner)
    outcome = bench.run(source, environment_allow=["TOKEN_OF_THE_PROGRAM"])
    assert outcome.state == "done", bench.log
    assert os.listdir(bench.output) == ["arrived"]
    with open(os.path.join(bench.output, "arrived"), encoding="ascii") as file:
        assert file.read() == secret
    calls = tmp_path / ("containers" if runner == "docker" else "cluster") / "calls.jsonl"
    assert secret not in calls.read_text()
