"""What programs on the worker's own machine may try: forking away, growing, filling the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from command import ROOT
from runner_harness import Bench, alive, write_stand_ins

from base.errors import UsageError
from jobs.runners import load_runner_settings
from jobs.runners.program import runner_named
from jobs.runners.settings import RunnerSettings

# Writes the process ids of a child in a session of its own and of an orphaned grandchild.
FORKING = """
import os, signal, sys, time
def note(name):
    with open(name + '.new', 'w') as file: file.write(str(os.getpid()))
    os.rename(name + '.new', name)
def hang():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: time.sleep(600)
if os.fork() == 0:
    os.setsid(); note('child'); hang()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid(); note('orphan'); hang()
    os._exit(0)
while not (os.path.exists('child') and os.path.exists('orphan')): time.sleep(0.01)
"""


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(str(tmp_path / "area"), "python")


def noted(bench: Bench, name: str) -> int:
    with open(os.path.join(bench.output, name), encoding="utf-8") as file:
        return int(file.read())


@pytest.mark.parametrize("ending", ["return", "cancel", "timeout"])
def test_grandchildren_never_outlive_the_run(bench: Bench, ending: str):
    bench.settings["grace_s"] = 0.1
    orphan = os.path.join(bench.output, "orphan")
    source = FORKING + ("" if ending == "return" else "time.sleep(600)")
    outcome = bench.run(
        source,
        timeout_s=3 if ending == "timeout" else 60,
        cancelled=lambda: ending == "cancel" and os.path.exists(orphan),
    )
    assert outcome.state == {"return": "done", "cancel": "cancelled", "timeout": "failed"}[ending]
    # With the timeout it may not have come so far, on a busy machine.
    names = [name for name in ("child", "orphan") if name in os.listdir(bench.output)]
    assert ending == "timeout" or len(names) == 2
    assert not any(alive(noted(bench, name)) for name in names)


def test_a_fork_bomb_is_cleared_away(bench: Bench):
    bench.settings["grace_s"] = 0.1
    # Each process makes two until there are a hundred; all refuse to end softly.
    source = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "for _ in range(7):\n    os.fork()\n"
        "os.setpgid(0, 0) if os.getpid() != os.getsid(0) else None\n"
        "open(f'p{os.getpid()}', 'w').close()\ntime.sleep(600)\n"
    )
    outcome = bench.run(source, cancelled=lambda: len(os.listdir(bench.output)) == 128)
    assert outcome.state == "cancelled"
    assert not [name for name in os.listdir(bench.output) if alive(int(name[1:]))]


WORKER = """
import json, sys
from jobs.runners import run_program
run_program(json.load(sys.stdin), log_path=sys.argv[1], heartbeat=lambda progress: None,
            cancelled=lambda: False)
"""


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("runner", ["python", "docker"])
def test_nothing_runs_on_when_the_worker_is_killed(tmp_path, monkeypatch, runner: str):
    write_stand_ins(str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    bench = Bench(str(tmp_path / "area"), runner)
    source = FORKING + "note('main')\ntime.sleep(600)"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, bench.log_path],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    rendered = bench.rendered(source)
    assert worker.stdin
    json.dump(rendered, worker.stdin)
    worker.stdin.close()
    wait_for(lambda: os.path.exists(os.path.join(bench.output, "main")))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    names = ("main", "child", "orphan")
    wait_for(lambda: not any(alive(noted(bench, name)) for name in names))
    if runner == "docker":
        # A real container is no descendant of the command line: only `rm --force` ends it.
        calls = str(tmp_path / "containers" / "calls.jsonl")
        wait_for(lambda: [call[0] for call in read_calls(calls)] == ["ps", "run", "inspect", "rm"])


def read_calls(path: str) -> list[list[str]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_a_growing_program_is_stopped(bench: Bench):
    source = "import time\nheld = [b'x' * (1 << 20) for _ in range(150)]\ntime.sleep(600)\n"
    outcome = bench.run(source, memory_bytes=100 << 20)
    assert (outcome.state, outcome.cause) == ("failed", "memory")
    assert outcome.memory_bytes_peak > 100 << 20


def test_memory_of_all_its_processes_counts(bench: Bench):
    source = (
        "import os, time\nfor _ in range(3):\n"
        "    if os.fork() == 0:\n        held = bytearray(b'x' * (50 << 20)); time.sleep(600)\n"
        "time.sleep(600)\n"
    )
    assert bench.run(source, memory_bytes=100 << 20).cause == "memory"


def test_memory_that_processes_share_counts_once(bench: Bench):
    source = (
        "import os, time\nheld = bytearray(b'x' * (50 << 20))\n"
        "pids = []\nfor _ in range(3):\n    pid = os.fork()\n"
        "    if pid == 0:\n        time.sleep(1); os._exit(0)\n"
        "    pids.append(pid)\n"
        "[os.waitpid(pid, 0) for pid in pids]\n"
    )
    assert bench.run(source, memory_bytes=120 << 20).state == "done", bench.log


def test_one_huge_request_for_memory_fails_inside_the_program(bench: Bench):
    outcome = bench.run("held = bytearray(1 << 30)\n", memory_bytes=100 << 20)
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert "MemoryError" in bench.log


def test_a_program_that_fills_the_disk_is_stopped(tmp_path):
    mounted = str(tmp_path / "small")
    os.mkdir(mounted)
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", mounted]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        bench = Bench(os.path.join(mounted, "area"), "python")
        bench.settings["free_bytes_min"] = 16 << 20
        # Deleted at once: no count of files sees it.
        source = (
            "import os, time\nfile = open('large', 'wb', buffering=0); os.remove('large')\n"
            "for _ in range(56): file.write(bytes(1 << 20))\ntime.sleep(600)\n"
        )
        outcome = bench.run(source)
        assert (outcome.state, outcome.cause) == ("failed", "free_space")
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=True)


def test_a_file_with_holes_counts_with_its_length(bench: Bench):
    source = "import os\nos.truncate(os.open('holes', os.O_CREAT | os.O_WRONLY), 50 << 20)\n"
    assert bench.run(source, output_bytes_max=10 << 20).cause == "output_bytes"


def test_links_are_not_followed_when_outputs_are_counted(bench: Bench):
    source = "import os\nos.symlink('/', 'everything')\nos.symlink('nowhere', 'broken')\n"
    outcome = bench.run(source, output_bytes_max=1 << 20)
    assert (outcome.state, outcome.output_files) == ("done", 2)


def test_a_signal_is_named(bench: Bench):
    outcome = bench.run("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    assert (outcome.state, outcome.cause, outcome.exit_code) == ("failed", "signal", -11)
    assert "SIGSEGV" in outcome.reason


def test_a_guard_that_dies_takes_the_program_with_it_wherever_that_went(bench: Bench):
    source = FORKING + "note('main')\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)\n"
    outcome = bench.run(source)
    assert (outcome.state, outcome.cause) == ("failed", "guard")
    # All of it, when the run is over: the next attempt may begin at once.
    assert not any(alive(noted(bench, name)) for name in ("main", "child", "orphan"))


def test_an_output_folder_that_vanishes_ends_the_run(bench: Bench):
    source = "import os, sys, time\nos.rmdir(sys.argv[2])\ntime.sleep(600)\n"
    assert bench.run(source).cause == "guard"


def test_a_program_that_closes_its_words_goes_on(bench: Bench):
    source = "import os, time\nos.close(1); os.close(2)\ntime.sleep(0.3)\nopen('late', 'w')\n"
    assert bench.run(source).state == "done"
    assert os.listdir(bench.output) == ["late"]


def test_what_is_missing_says_what_to_install(bench: Bench):
    outcome = bench.run("pass", requires=["json", "not_there_at_all"], extra="vision")
    assert (outcome.state, outcome.cause) == ("failed", "missing")
    # From its own folder: a registry may have something else called drystone.
    assert "-m pip install -e '.[vision]'" in outcome.reason
    assert "drystone[" not in outcome.reason
    outcome = bench.run("pass", programs=["sh", "no-such-program"])
    assert "no-such-program is not on this machine" in outcome.reason
    rendered = {**bench.rendered("pass"), "argv": ["/not/here.py"]}
    assert "/not/here.py" in bench.run_rendered(rendered).reason


def test_a_program_that_may_not_be_executed_is_told(bench: Bench):
    script = os.path.join(bench.contract, "tool.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexit 0\n")
    rendered = {**bench.rendered("pass"), "runner": "shell", "argv": [script]}
    assert "chmod +x" in bench.run_rendered(rendered).reason
    os.chmod(script, 0o755)
    assert bench.run_rendered(rendered).state == "done"
    with open(script, "w", encoding="utf-8") as file:
        file.write("#!/no/such/interpreter\n")
    outcome = bench.run_rendered(rendered)
    assert (outcome.state, outcome.cause) == ("failed", "missing")


def test_names_of_runners():
    with pytest.raises(KeyError):
        runner_named("ssh")


def test_a_worker_that_is_held_up_does_not_hold_up_the_limits(bench: Bench):
    """The heartbeat hangs, as it does when the database is away, until the program is dead."""

    def beat(progress: object) -> None:
        if os.path.exists(os.path.join(bench.output, "pid")):
            wait_for(lambda: not alive(noted(bench, "pid")))

    bench.beats = type("Beats", (), {"append": staticmethod(beat)})()
    bench.settings["grace_s"] = 0.1
    source = (
        "import os, time\nopen('new', 'w').write(str(os.getpid())); os.rename('new', 'pid')\n"
        "time.sleep(600)\n"
    )
    assert bench.run(source, timeout_s=2).cause == "timeout"


def test_settings_are_read_from_the_file(tmp_path):
    path = tmp_path / "drystone.toml"
    path.write_text('[jobs.runners]\ngrace_s = 3\n\n[jobs.runners.k8s_volume]\nroot = "/srv"\n')
    settings = load_runner_settings(str(path))
    assert (settings.grace_s, settings.k8s_volume.root) == (3, "/srv")
    assert load_runner_settings(None) == RunnerSettings()
    path.write_text("[store]\n")
    assert load_runner_settings(str(path)) == RunnerSettings()
    path.write_text("[jobs.runners]\ngrace_s = -1\nkubectl = 'x'\n")
    with pytest.raises(UsageError) as caught:
        load_runner_settings(str(path))
    assert "jobs.runners.grace_s" in str(caught.value)
    assert "jobs.runners.kubectl" in str(caught.value)
