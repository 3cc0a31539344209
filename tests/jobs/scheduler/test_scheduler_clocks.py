"""Schedulers whose time is not that of others: frozen and back, or with a clock that jumps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from command import ROOT
from jobs_harness import Yard, kill, until

from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.scheduler.periodic_task import Watch
from jobs.scheduler.periodic_tasks import TakeBack, run_keeping_tasks
from jobs.scheduler.scheduler_loop import SchedulerLoop

# Freezes in the middle of every periodic task of a scheduler, as a machine that is suspended does.
FREEZER = """
import contextlib, os, signal, sys
from sql import Database, DatabaseUnavailableError
with Database.open(sys.argv[1], start=False) as database, contextlib.ExitStack() as stack:
    for task in sys.argv[2:]:
        assert stack.enter_context(database.runs.sole_turn(task, 1.0)), task
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        stack.close()
    except DatabaseUnavailableError:
        print("lost its turns")
"""


def _watch(yard: Yard) -> Watch:
    deliverer = Deliverer(connect(yard.config), yard.config.queues)
    return Watch(yard.config_path, yard.config, yard.database, deliverer)


def test_a_scheduler_that_is_frozen_over_its_tasks_stops_nobody(yard: Yard):
    names = [task.name for task in run_keeping_tasks()]
    frozen = subprocess.Popen(
        [sys.executable, "-c", FREEZER, yard.config_path, *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    scheduler = SchedulerLoop(yard.config, yard.config_path, run_keeping_tasks())
    thread = threading.Thread(target=scheduler.run)
    try:
        _, status = os.waitpid(frozen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status
        thread.start()
        yard.start_worker()
        # Both the delivery and the return of a dead worker's task are a scheduler's work.
        run = yard.start(parts=2, hold=True)
        until(lambda: yard.traces("work"))
        for pid in [yard.worker_pid(), *yard.horses()]:
            kill(pid)
        yard.start_worker("two")
        yard.touch("go")
        yard.wait(run.run_id)
        yard.check_done_once(run.run_id)
        frozen.send_signal(signal.SIGCONT)
        said, _ = frozen.communicate(timeout=60)
        assert said == "lost its turns\n"
    finally:
        scheduler.stop()
        if thread.is_alive():
            thread.join()
        frozen.kill()
        frozen.communicate()


def test_a_scheduler_that_was_frozen_between_two_tasks_goes_on_beside_the_other(yard: Yard):
    first = yard.start_scheduler()
    other = SchedulerLoop(yard.config, yard.config_path, run_keeping_tasks())
    thread = threading.Thread(target=other.run)
    thread.start()
    try:
        yard.start_worker()
        runs = []
        for number in range(4):
            os.kill(first, signal.SIGSTOP if number % 2 == 0 else signal.SIGCONT)
            runs.append(yard.start(parts=2, tag=str(number)))
        for run in runs:
            yard.wait(run.run_id)
            yard.check_done_once(run.run_id)
        assert len(yard.traces("work")) == 8
    finally:
        os.kill(first, signal.SIGCONT)
        other.stop()
        thread.join()


def test_a_clock_that_jumps_ahead_kills_nobody(yard: Yard):
    wall_s, steady_s = 1_000.0, 10.0
    take_back = TakeBack(lambda _: wall_s, lambda: steady_s)
    run = yard.start("nothing")
    task_id = yard.database.runs.show(run.run_id).tasks[0].task_id
    claim = yard.database.runs.claim(task_id, "somebody")
    assert claim is not None

    def let_an_hour_go_by() -> None:
        with yard.database.connection() as connection:
            connection.execute("UPDATE run_task SET heartbeat = heartbeat - interval '1 hour'")

    def state() -> str:
        return yard.database.runs.show(run.run_id).tasks[0].state

    take_back(_watch(yard))
    let_an_hour_go_by()
    wall_s += 3_600
    take_back(_watch(yard))
    assert state() == "running"
    # It is heard again, and the time for that is over.
    yard.database.runs.beat(claim.task_id, claim.token)
    wall_s, steady_s = wall_s + 60, steady_s + 60
    take_back(_watch(yard))
    assert state() == "running"
    # A scheduler that is new knows not what the clocks did before; nor does one of another machine.
    let_an_hour_go_by()
    another = TakeBack(steady=lambda: steady_s)
    another(_watch(yard))
    assert state() == "running"
    yard.database.runs.beat(claim.task_id, claim.token)
    steady_s += 60
    another(_watch(yard))
    assert state() == "running"
    # Nobody hears of it any more while both clocks go on as ever.
    let_an_hour_go_by()
    wall_s, steady_s = wall_s + 60, steady_s + 60
    take_back(_watch(yard))
    assert state() == "queued"
