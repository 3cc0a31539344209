"""One suite for all runners: exit codes, limits, cancel, log, environment, nothing left behind.

docker and kubectl are stand-ins here (see runner_harness): no container can run in the tests.
"""

from __future__ import annotations

import os

import pytest
from runner_harness import Bench, alive, write_stand_ins

from base.logging.ids import bind

RUNNERS = ["python", "shell", "docker", "k8s"]
SLEEP = "import time\nprint('here', flush=True)\ntime.sleep(600)\n"


@pytest.fixture(params=RUNNERS)
def bench(request: pytest.FixtureRequest, tmp_path, monkeypatch) -> Bench:
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    write_stand_ins(str(stand_ins))
    monkeypatch.setenv("PATH", f"{stand_ins}:{os.environ['PATH']}")
    return Bench(str(tmp_path / "area"), request.param)


def pid_written(bench: Bench, name: str = "pid") -> int | None:
    try:
        with open(os.path.join(bench.output, name), encoding="utf-8") as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return None


def test_a_program_reads_its_input_and_writes_its_output(bench: Bench):
    with open(os.path.join(bench.input, "a b.txt"), "w", encoding="utf-8") as file:
        file.write("word")
    source = (
        "import os, sys\n"
        "text = open(os.path.join(sys.argv[1], 'a b.txt')).read()\n"
        "open('out.txt', 'w').write(text.upper())\n"
        "print('said', sys.argv[3]); print('wrong', file=sys.stderr)\n"
    )
    outcome = bench.run(source, "$(touch x); 'quoted'")
    assert (outcome.state, outcome.cause, outcome.exit_code) == ("done", "exit", 0), bench.log
    with open(os.path.join(bench.output, "out.txt"), encoding="utf-8") as file:
        assert file.read() == "WORD"
    assert outcome.output_files == 1
    assert outcome.output_bytes >= 4
    assert "said $(touch x); 'quoted'" in bench.log
    assert "wrong" in bench.log
    assert sorted(os.listdir(os.path.dirname(bench.log_path))) == ["run.log"]  # No scratch left.


@pytest.mark.parametrize(("code", "state"), [(0, "done"), (3, "partial"), (4, "failed")])
def test_exit_codes_are_the_contract_s(bench: Bench, code: int, state: str):
    outcome = bench.run(f"raise SystemExit({code})", partial_codes=[3])
    assert (outcome.state, outcome.exit_code) == (state, code)
    assert (str(code) in outcome.reason) == (state != "done")


def test_a_hung_program_ends_at_its_timeout_even_when_it_ignores_sigterm(bench: Bench):
    bench.settings["grace_s"] = 0.2
    source = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('pid', 'w').write(str(os.getpid()))\n"
        "while True: time.sleep(600)\n"
    )
    outcome = bench.run(source, timeout_s=2)
    assert (outcome.state, outcome.cause) == ("failed", "timeout")
    assert "timeout_s" in outcome.reason
    pid = pid_written(bench)  # On a busy machine it may not have come so far.
    assert pid is None or not alive(pid)


def test_a_cancel_is_soft_first(bench: Bench):
    source = (
        "import signal, sys, time\n"
        "def end(*_):\n    open('tidy', 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\nopen('ready', 'w').close()\ntime.sleep(600)\n"
    )
    ready = os.path.join(bench.output, "ready")
    outcome = bench.run(source, cancelled=lambda: os.path.exists(ready))
    assert (outcome.state, outcome.cause) == ("cancelled", "cancelled")
    if bench.runner != "k8s":  # A Job is deleted; its pod gets its SIGTERM from the cluster.
        assert os.path.exists(os.path.join(bench.output, "tidy"))


def test_what_the_heartbeat_raises_ends_the_program(bench: Bench):
    class TakenBackError(Exception):
        pass

    def beat(progress: object) -> None:
        if pid_written(bench):
            raise TakenBackError

    bench.beats = type("Beats", (), {"append": staticmethod(beat)})()
    source = f"import os\nopen('pid', 'w').write(str(os.getpid()))\n{SLEEP}"
    with pytest.raises(TakenBackError):
        bench.run(source)
    pid = pid_written(bench)
    assert pid and not alive(pid)


def test_too_much_output_stops_the_program(bench: Bench):
    source = (
        "import time\nwith open('large', 'wb') as file:\n"
        "    for _ in range(64):\n        file.write(bytes(1 << 20)); file.flush()\n"
        "time.sleep(600)\n"
    )
    outcome = bench.run(source, output_bytes_max=20 << 20)
    assert (outcome.state, outcome.cause) == ("failed", "output_bytes")
    assert outcome.output_bytes > 20 << 20


def test_too_much_output_counts_after_the_end_too(bench: Bench):
    outcome = bench.run("open('large', 'wb').write(bytes(2000))", output_bytes_max=100)
    assert (outcome.state, outcome.cause) == ("failed", "output_bytes")


def test_a_program_knows_the_task_the_request_and_the_trace_that_it_belongs_to(bench: Bench):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    names = ("DRYSTONE_TASK_ID", "DRYSTONE_REQUEST_ID", "TRACEPARENT")
    with bind(task=7, request_id="mine", trace_id=trace_id):
        outcome = bench.run(f"import os\nprint(*(os.environ[name] for name in {names}))")
    assert outcome.state == "done", bench.log
    assert f"7 mine 00-{trace_id}-" in bench.log


def test_only_allowed_names_of_the_environment_arrive(bench: Bench, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("LICENCE_OF_THE_PROGRAM", "42")
    source = "import json, os\nopen('environment', 'w').write('\\n'.join(sorted(os.environ)))\n"
    source += "print(os.environ['LICENCE_OF_THE_PROGRAM'], os.environ['MODE'])\n"
    outcome = bench.run(
        source,
        environment_allow=["LICENCE_OF_THE_PROGRAM", "NOT_THERE"],
        environment_set={"MODE": "fast, and = odd"},
    )
    assert outcome.state == "done", bench.log
    assert "42 fast, and = odd" in bench.log
    with open(os.path.join(bench.output, "environment"), encoding="utf-8") as file:
        names = set(file.read().split())
    assert names <= {
        "HOME", "LANG", "LC_CTYPE", "LICENCE_OF_THE_PROGRAM", "MODE", "OLDPWD", "PATH", "PWD",
        "SHLVL", "TMPDIR", "_",
    }  # fmt: skip


def test_a_talkative_program_leaves_beginning_and_end(bench: Bench):
    bench.settings["log_bytes_max"] = 8192
    source = "print('FIRST')\nfor n in range(20000): print('line', n)\nprint('LAST')\n"
    outcome = bench.run(source)
    assert outcome.state == "done"
    size = os.path.getsize(bench.log_path)
    assert "FIRST" in bench.log
    if bench.runner == "k8s":  # kubectl is asked for so many bytes.
        return
    assert size < 8192 + 200
    assert outcome.log_bytes > 200_000
    assert "bytes left out" in bench.log
    assert bench.log.rstrip().endswith("LAST")


def test_progress_is_told(bench: Bench):
    outcome = bench.run("import time\nopen('one', 'w').write('x')\ntime.sleep(1.2)\n")
    assert outcome.state == "done"
    assert bench.beats
    assert bench.beats[-1].output_files == 1
    assert [beat.duration_s for beat in bench.beats] == sorted(
        beat.duration_s for beat in bench.beats
    )


def test_a_second_attempt_starts_clean(bench: Bench):
    assert bench.run("raise SystemExit(4)").state == "failed"
    assert bench.run("print('again')").state == "done"
    assert "again" in bench.log


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": []}, "argv"),
        ({"argv": ["a\0b"]}, "argv"),
        ({"output_root": "relative"}, "output_root"),
        ({"output_root": "/tmp/../etc"}, "output_root"),
        ({"timeout_s": -1}, "timeout_s"),
        ({"runner": "ssh"}, "runner"),
        ({"environment_set": {"A=B": "x"}}, "environment_set"),
    ],
)
def test_a_wrong_request_is_refused_with_its_place(bench: Bench, changes, words: str):
    outcome = bench.run_rendered({**bench.rendered("pass"), **changes})
    assert (outcome.state, outcome.cause) == ("failed", "refused")
    assert words in outcome.reason


def test_a_folder_that_is_not_here_is_told(bench: Bench):
    outcome = bench.run_rendered({**bench.rendered("pass"), "input_root": "/not/here"})
    assert (outcome.state, outcome.cause) == ("failed", "missing")
    assert "stage area" in outcome.reason


def test_nothing_starts_without_free_space(bench: Bench):
    bench.settings["free_bytes_min"] = 1 << 60
    outcome = bench.run("open('started', 'w')")
    assert (outcome.state, outcome.cause) == ("failed", "free_space")
    assert os.listdir(bench.output) == []
