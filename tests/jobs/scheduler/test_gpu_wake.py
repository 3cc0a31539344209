"""A GPU machine that is woken for what waits, watched, and put to sleep, by real scripts."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from jobs_harness import Yard, until

from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.scheduler.gpu_wake import watch_gpu
from jobs.scheduler.periodic_task import PeriodicTask, Watch
from jobs.scheduler.periodic_tasks import run_keeping_tasks
from jobs.scheduler.scheduler_loop import SchedulerLoop

COMMANDS = ("wake", "health", "sleep")


@pytest.fixture
def machine(yards, short_tmp) -> Yard:
    """A machine of shell scripts: each notes that it was called, and does what its file says."""
    lines = ["[jobs.gpu]", 'host = "big"', "wake_timeout_s = 3600", "command_timeout_s = 60"]
    for name in COMMANDS:
        path = os.path.join(short_tmp, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\necho {name} >> {short_tmp}/calls\n. {short_tmp}/{name}.does\n")
        os.chmod(path, stat.S_IRWXU)
        lines.append(f"{name}_command = ['{path}']")
        _does(short_tmp, name, "exit 0")
    made = yards(tables="\n".join(lines))
    made.start_redis()
    return made


def _does(folder: str, name: str, what: str) -> None:
    with open(os.path.join(folder, f"{name}.does"), "w", encoding="ascii") as file:
        file.write(what + "\n")


def _calls(folder: str) -> list[str]:
    try:
        with open(os.path.join(folder, "calls"), encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _gate(yard: Yard) -> tuple[str, str]:
    (gate,) = yard.database.runs.gpus()
    return gate.state, gate.reason or ""


def _look(yard: Yard) -> None:
    deliverer = Deliverer(connect(yard.config), yard.config.queues)
    watch_gpu(Watch(yard.config_path, yard.config, yard.database, deliverer))


def _ago(yard: Yard, column: str) -> None:
    """Let time pass in the database, in place of waiting for it."""
    with yard.database.connection() as connection:
        connection.execute(f"UPDATE gpu_gate SET {column} = now() - interval '1 day'")


def _wait_behind_the_gate(yard: Yard) -> int:
    run = yard.start("infer")
    yard.start_worker()
    until(lambda: "waiting_gpu_ready" in yard.task_states(run.run_id).values())
    return run.run_id


def test_nothing_is_woken_when_nothing_waits(machine, short_tmp):
    _look(machine)
    assert _calls(short_tmp) == [] and machine.database.runs.gpus() == []


def test_it_is_woken_and_what_waits_runs_there_and_then_it_sleeps(machine, short_tmp):
    run_id = _wait_behind_the_gate(machine)
    _does(short_tmp, "health", "exit 1")
    _look(machine)
    assert _gate(machine) == ("waking", "") and _calls(short_tmp) == ["wake"]
    _look(machine)
    assert _gate(machine)[0] == "waking" and _calls(short_tmp) == ["wake", "health"]
    _does(short_tmp, "health", "exit 0")
    _look(machine)
    assert _gate(machine)[0] == "ready"
    machine.wait(run_id)
    _look(machine)
    assert _gate(machine)[0] == "ready"  # It was busy a moment ago.
    _ago(machine, "last_busy")
    _look(machine)
    assert _gate(machine) == ("asleep", "it was idle") and _calls(short_tmp)[-1] == "sleep"
    _look(machine)
    assert _calls(short_tmp)[-1] == "sleep"


def test_one_that_does_not_wake_is_told_and_left_alone_for_a_while(machine, short_tmp):
    _wait_behind_the_gate(machine)
    _does(short_tmp, "wake", "echo no such host >&2; exit 3")
    _does(short_tmp, "health", "exit 1")
    _look(machine)
    assert _gate(machine) == ("waking", f"{short_tmp}/wake ended with 3 no such host")
    _ago(machine, "since")
    _look(machine)
    assert _gate(machine)[0] == "asleep" and "did not wake within 3600 s" in _gate(machine)[1]
    assert "gpu.not_woken" in [event.kind for event in machine.database.events.events()]
    calls = _calls(short_tmp)
    _look(machine)
    assert _calls(short_tmp) == calls
    _ago(machine, "since")
    _look(machine)
    assert _calls(short_tmp) == [*calls, "wake"]


def test_one_that_answers_no_more_closes_its_gate(machine, short_tmp):
    machine.control.gpu_ready()
    _does(short_tmp, "health", "exit 1")
    _look(machine)
    assert _gate(machine)[0] == "asleep" and "does not answer" in _gate(machine)[1]
    assert _calls(short_tmp) == ["health"]


@pytest.mark.parametrize(
    ("what", "timeout_s", "reason"),
    [
        ("sleep 600", 0.3, "did not end within"),
        ("rm -f $0; exec /nowhere", 60, "ended with"),
    ],
)
def test_a_health_command_that_hangs_or_breaks_is_no_answer(
    yards, short_tmp, what, timeout_s, reason
):
    path = os.path.join(short_tmp, "health")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\n{what}\n")
    os.chmod(path, stat.S_IRWXU)
    yard = yards(
        tables="[jobs.gpu]\nhost = 'big'\nwake_command = ['/bin/true']\n"
        f"health_command = ['{path}']\ncommand_timeout_s = {timeout_s}"
    )
    yard.start_redis()
    yard.control.gpu_ready()
    _look(yard)
    assert _gate(yard)[0] == "asleep" and reason in _gate(yard)[1]


def test_a_task_that_hangs_keeps_no_other_from_being_done(yard):
    hangs, goes_on = threading.Event(), threading.Event()
    done: list[str] = []

    def hang(_watch: Watch) -> None:
        hangs.set()
        goes_on.wait()
        done.append("hang")

    def note(_watch: Watch) -> None:
        if hangs.is_set():
            done.append("note")

    tasks = [
        PeriodicTask("hang", 0.01, hang, apart=True),
        PeriodicTask("note", 0.01, note),
        *run_keeping_tasks(),
    ]
    scheduler = SchedulerLoop(yard.config, yard.config_path, tasks)
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        until(lambda: done.count("note") > 3)
        assert "hang" not in done
        goes_on.set()
        until(lambda: done.count("hang") > 1)
    finally:
        goes_on.set()
        scheduler.stop()
        thread.join()
