"""Runs from start to end by real workers over a real Redis: fan-out, retries, gates, cancels."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

import pytest
from command import ROOT
from jobs_harness import Yard, kill, until

from base.errors import UsageError
from base.processes import process
from jobs.core.marks import worker_mark
from jobs.queues import redis_server
from jobs.queues.redis_server import TRIES_MORE


def test_a_run_fans_out_and_comes_together(yard: Yard):
    yard.start_worker()
    run = yard.start(parts=5)
    yard.wait(run.run_id)
    yard.check_done_once(run.run_id)
    detail = yard.database.runs.show(run.run_id)
    assert detail.task_counts == {"done": 12}
    results = {task.step: task.result for task in detail.tasks}
    assert results["finish"] == {"parts": [1, 2, 3, 4, 5]}
    log_path = next(one.log_path for one in detail.attempts if "-1.log" in (one.log_path or ""))
    assert os.path.exists(os.path.join(yard.config.log_dir, log_path))


def test_no_parts_are_no_trouble(yard: Yard):
    yard.start_worker()
    run = yard.start(parts=0)
    yard.wait(run.run_id)
    assert yard.traces("finish") and not yard.traces("work")


def test_a_part_that_fails_is_tried_again_and_then_leaves_the_run_partial(yard: Yard):
    yard.start_worker()
    yard.start_scheduler()
    run = yard.wait(yard.start("fragile", parts=3, fail_parts=[2]).run_id, "partial", "failed")
    assert run.state == "partial" and run.reason == "work of part 2: RuntimeError: part 2 is broken"
    assert len([name for name in yard.traces("work") if name.startswith("work.2.")]) == 2
    # The third attempt succeeds, and what is done is not done again.
    yard.database.runs.retry_run(run.run_id)
    yard.control.push()
    assert yard.wait(run.run_id, "partial", "done").state == "partial"
    parameters = {**run.parameters, "fail_tries": 3}
    with yard.database.connection() as connection:
        connection.execute("UPDATE run SET parameters = %s", [__import__("json").dumps(parameters)])
    yard.control.retry(run.run_id)
    yard.wait(run.run_id)
    assert len([name for name in yard.traces("work") if name.startswith("work.1.")]) == 1


def test_what_can_never_work_is_tried_once(yard: Yard):
    yard.start_worker()
    run = yard.wait(yard.start("refuse").run_id, "failed")
    assert run.reason == "refuse: this can never work"
    assert len(yard.database.runs.show(run.run_id).attempts) == 1


def test_waiting_for_space_needs_no_worker_and_ends_by_itself(yard: Yard):
    yard.start_worker()
    yard.start_scheduler()
    run = yard.wait(yard.start("room").run_id, "waiting")
    # Other work is done meanwhile by the same worker.
    yard.wait(yard.start("nothing").run_id)
    yard.touch("room")
    yard.wait(run.run_id)


@pytest.mark.parametrize("modules", [[], ["short_horses"]])
def test_who_finds_no_space_lets_the_other_queues_go_first(yards, modules):
    """Whether the same process takes the next task or another one."""
    yard = yards(workflow_modules=["trial_workflows", *modules])
    yard.start_redis()
    workflows = {"room": 3, "room_cpu": 3, "tidy": 2}
    started = {
        name: [yard.start(name, tag=str(number)).run_id for number in range(count)]
        for name, count in workflows.items()
    }
    yard.start_worker("one", "default", "cpu", "io")
    for name in ("room", "room_cpu"):
        for run_id in started[name]:
            yard.wait(run_id, "waiting")
    begun = {}
    for name, run_ids in started.items():
        for run_id in run_ids:
            (attempt,) = yard.database.runs.show(run_id).attempts
            begun[attempt.start_time] = name
    # After a task that did not look, the order is what it was.
    turn = ["room", "room_cpu", "tidy"]
    assert [begun[when] for when in sorted(begun)] == [*turn, *turn, "room", "room_cpu"]


def test_waiting_for_labels_ends_when_they_came(yard: Yard):
    yard.start_worker()
    run = yard.wait(yard.start("labels").run_id, "waiting")
    assert yard.task_states(run.run_id) == {("wait", 0): "waiting_labels"}
    yard.touch("labels")
    assert yard.control.labels_came(run.run_id) == 1
    yard.wait(run.run_id)


def test_a_gpu_gate_and_an_approval_hold_no_worker(yard: Yard):
    yard.start_worker()
    infer = yard.wait(yard.start("infer").run_id, "waiting")
    approved = yard.wait(yard.start("approved").run_id, "waiting")
    yard.wait(yard.start("nothing").run_id)
    yard.control.gpu_ready()
    yard.wait(infer.run_id)
    yard.control.approve(approved.run_id)
    yard.wait(approved.run_id)


def test_whatever_a_run_waits_for_it_can_be_cancelled_and_begun_anew(yard: Yard):
    yard.start_worker()
    yard.start_scheduler()
    waits = {
        "room": "waiting_space",
        "labels": "waiting_labels",
        "infer": "waiting_gpu_ready",
        "approved": "waiting_approval",
    }
    runs = {name: yard.start(name).run_id for name in waits}
    for name, run_id in runs.items():
        for _ in range(2):
            until(lambda: waits[name] in yard.task_states(run_id).values(),  # noqa: B023
                  lambda: yard.story(run_id))  # fmt: skip # noqa: B023
            assert yard.control.cancel(run_id, "no need") == "cancelled", name
            assert set(yard.task_states(run_id).values()) <= {"cancelled", "done"}
            assert yard.control.retry(run_id) >= 1
    # What they wait for comes, and each ends as if nobody had ever cancelled it.
    for name in ("room", "labels"):
        yard.touch(name)
    yard.control.gpu_ready()
    for name, run_id in runs.items():
        until(lambda: waits[name] in yard.task_states(run_id).values()  # noqa: B023
              or yard.state(run_id) == "done")  # fmt: skip # noqa: B023
        if name == "approved":
            yard.control.approve(run_id)
        if name == "labels":
            yard.control.labels_came(run_id)
        yard.wait(run_id)


def test_a_cancel_reaches_a_step_at_its_next_border_and_things_are_put_in_order(yard: Yard):
    yard.start_worker()
    run = yard.start(parts=3, hold=True)
    until(lambda: yard.traces("work"))
    assert yard.control.cancel(run.run_id, "enough") == "running"
    assert yard.wait(run.run_id, "cancelled").reason
    states = yard.task_states(run.run_id)
    assert states["finish", 0] == "done" and states["work", 3] == "cancelled"
    assert ("after", 1) not in states
    yard.touch("go")
    yard.control.retry(run.run_id)
    yard.wait(run.run_id)


def test_two_people_who_start_the_same_get_one_run(yard: Yard):
    first = yard.start("nothing", tag="x")
    assert yard.start("nothing", tag="x").run_id == first.run_id
    assert yard.start("nothing", tag="y").run_id != first.run_id


def test_requests_are_checked_before_there_is_a_run(yard: Yard):
    with pytest.raises(UsageError, match="there is no workflow"):
        yard.control.start("never", {})
    with pytest.raises(UsageError, match=r"folder: Field required"):
        yard.control.start("nothing", {})
    with pytest.raises(UsageError, match="there is no queue 'x'"):
        yard.control.set_queue("x", paused=True)
    assert yard.database.runs.list_runs().runs == ()


def test_a_paused_queue_begins_nothing_until_it_is_resumed(yard: Yard):
    yard.control.set_queue("default", paused=True)
    yard.start_worker()
    run = yard.start("nothing")
    # Pushed past the database on purpose: the claim refuses it, too.
    yard.wait(yard.start(parts=1).run_id)
    assert yard.state(run.run_id) == "queued"
    yard.control.set_queue("default", paused=False)
    yard.wait(run.run_id)


def test_a_limit_holds_over_several_workers(yard: Yard):
    yard.control.limit_queue("cpu", 1)
    yard.start_worker("one")
    yard.start_worker("two")
    yard.start_scheduler()
    run = yard.start(parts=4, hold=True)
    until(lambda: len(yard.traces("work")) == 1)
    queues = {queue.queue: queue for queue in yard.database.runs.queues()}
    assert (queues["cpu"].running, queues["cpu"].queued) == (1, 3)
    yard.touch("go")
    yard.wait(run.run_id)


# ---- Faults ------------------------------------------------------------------------------------


def test_redis_emptied_in_the_middle_changes_nothing(yard: Yard):
    yard.start_worker()
    yard.start_scheduler()
    run = yard.start(parts=4, hold=True)
    until(lambda: yard.traces("work"))
    assert redis_server.connect(yard.config).flushall()
    yard.touch("go")
    yard.wait(run.run_id)
    yard.check_done_once(run.run_id)
    assert len(yard.traces("work")) == 4


def test_redis_that_dies_comes_back_with_all_workers(yard: Yard):
    yard.start_worker()
    yard.start_scheduler()
    run = yard.start(parts=2, hold=True)
    until(lambda: yard.traces("work"))
    pid = redis_server.find(yard.config)
    assert pid
    kill(pid)
    until(lambda: redis_server.find(yard.config) is None)
    yard.touch("go")
    yard.start_redis()
    yard.wait(run.run_id)
    yard.check_done_once(run.run_id)


def test_who_pushes_does_not_wait_for_a_redis_that_is_away(yards):
    """The scheduler has patience; a person at the command line is told at once."""
    tries: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            while True:
                connection, _ = listener.accept()
                connection.close()
                if tries and tries[-1] < 0:
                    return
                tries.append(1)

        thread = threading.Thread(target=hang_up)
        thread.start()
        yard = yards(redis_url=f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        run = yard.start("nothing")
        pushed = len(tries)
        tries.append(-1)
        socket.create_connection(listener.getsockname()).close()
        thread.join()
    assert 1 <= pushed <= 1 + TRIES_MORE
    assert yard.state(run.run_id) == "queued"


def test_a_killed_horse_is_noticed_at_once_by_its_worker(yards):
    yard = yards(lease_s=45.0)
    yard.start_redis()
    yard.start_worker()
    yard.start_scheduler()
    run = yard.start(parts=1, hold=True)
    until(lambda: yard.traces("work"))
    for horse in yard.horses():
        kill(horse)
    until(lambda: len(yard.traces("work")) == 2)
    yard.touch("go")
    yard.wait(run.run_id)
    outcomes = [one.outcome for one in yard.database.runs.show(run.run_id).attempts]
    assert outcomes.count("lost") == 1


def test_the_orphan_of_a_killed_worker_ends_its_task(yard: Yard):
    worker = yard.start_worker()
    run = yard.start(parts=1, hold=True)
    until(lambda: yard.traces("work"))
    kill(worker)
    until(lambda: not yard.worker_pid())
    yard.touch("go")
    until(lambda: yard.task_states(run.run_id).get(("work", 1)) == "done")
    yard.start_worker("two")
    yard.start_scheduler()
    yard.wait(run.run_id)
    assert len(yard.traces("work")) == 1


def test_worker_and_horse_killed_together_lose_the_task_to_others(yard: Yard):
    yard.start_worker()
    run = yard.start(parts=1, hold=True)
    until(lambda: yard.traces("work"))
    process.kill_session(worker_mark(yard.config, "one"))
    yard.touch("go")
    yard.start_worker("two")
    yard.start_scheduler()
    yard.wait(run.run_id)
    yard.check_done_once(run.run_id)
    assert len(yard.traces("work")) == 2


def test_a_step_that_was_frozen_changes_nothing_when_it_wakes(yard: Yard):
    """A worker whose machine stood still for longer than the lease comes back from the dead."""
    yard.start_worker()
    run = yard.start("stubborn")
    until(lambda: yard.traces("stubborn"))
    horse = yard.horses()[0]
    os.kill(horse, signal.SIGSTOP)
    try:
        yard.start_worker("two")
        yard.start_scheduler()
        until(lambda: len(yard.traces("stubborn")) == 2)
        yard.touch("go")
        yard.wait(run.run_id)
    finally:
        os.kill(horse, signal.SIGCONT)
    until(lambda: horse not in yard.horses())
    outcomes = [one.outcome for one in yard.database.runs.show(run.run_id).attempts]
    assert outcomes == ["lost", "done"]


def test_sigterm_lets_the_task_end_first(yard: Yard):
    worker = yard.start_worker()
    run = yard.start(parts=3, hold=True)
    until(lambda: yard.traces("work"))
    os.kill(worker, signal.SIGTERM)
    yard.touch("go")
    assert process.wait_for_end(worker_mark(yard.config, "one"), 30)
    states = [state for (step, _), state in yard.task_states(run.run_id).items() if step == "work"]
    assert states == ["done", "queued", "queued"]


def test_two_schedulers_do_no_harm(yard: Yard):
    yard.start_scheduler()
    config = [*process_arguments(yard)]
    second = process.spawn(config, os.path.join(yard.config.run_dir, "scheduler-2.log"))
    try:
        yard.start_worker()
        runs = [yard.start(parts=3, tag=str(number)) for number in range(3)]
        for run in runs:
            yard.wait(run.run_id)
            yard.check_done_once(run.run_id)
        assert len(yard.traces("work")) == 9
    finally:
        kill(second.pid)
        second.wait()


def test_nothing_in_redis_is_believed_but_the_number_of_a_task(yard: Yard):
    """Whoever can write to Redis could name any function; only tasks are done."""
    from rq import Callback, Queue
    from rq.serializers import JSONSerializer

    yard.start_worker()
    spoiled = os.path.join(yard.root, "spoiled")
    redis = redis_server.connect(yard.config)
    queue = Queue("default", connection=redis, serializer=JSONSerializer)
    queue.enqueue_call("os.mkdir", (spoiled,))
    queue.enqueue_call("os.mkdir", (spoiled,), job_id="task-99-1")
    queue.enqueue_call(
        "jobs.execute.perform", (1,), job_id="task-1-7", on_success=Callback("os.getcwd")
    )
    run = yard.start("nothing")
    yard.wait(run.run_id)
    until(lambda: not redis.keys("rq:job:*"))
    assert not os.path.exists(spoiled)


def process_arguments(yard: Yard) -> list[str]:
    program = os.path.join(ROOT, "drystone.py")
    return [sys.executable, program, "scheduler", "--config", yard.config_path]
