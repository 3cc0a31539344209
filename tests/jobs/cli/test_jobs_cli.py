"""The commands of the scheduler as people use them, and what `up`, `down` and `status` do."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from command import run_text
from jobs_harness import Yard, kill, until

from base.errors import ConfigError
from base.processes import process
from base.processes.process import ProcessError
from jobs import companion, load_jobs_config
from jobs.core.marks import scheduler_mark, worker_mark
from jobs.queues import redis_server
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.scheduler import supervise
from jobs.scheduler.periodic_task import Watch


def drystone(yard: Yard, *arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    result = run_text(*arguments, config_path=yard.config_path)
    assert result.returncode == exit_code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result


def answer(yard: Yard, *arguments: str, exit_code: int = 0):
    return json.loads(drystone(yard, *arguments, "--json", exit_code=exit_code).stdout)


@pytest.fixture
def folder(yard: Yard) -> str:
    made = os.path.join(yard.root, "traces")
    os.makedirs(made)
    return made


def test_a_run_is_started_followed_and_shown(yard: Yard, folder: str):
    yard.start_worker()
    parameters = os.path.join(yard.root, "parameters.json")
    with open(parameters, "w", encoding="utf-8") as file:
        json.dump({"folder": folder, "parts": 9}, file)
    given = ["--parameters", parameters, "--set", "parts=2"]
    told = drystone(yard, "run", "start", "trial", *given, "--dry-run")
    assert json.loads(told.stdout)["steps"] == ["plan", "work", "after", "finish"]
    run = answer(yard, "run", "start", "trial", *given, "--wait")
    assert (run["state"], run["parameters"]["parts"]) == ("done", 2)
    shown = answer(yard, "run", "show", str(run["run_id"]))
    assert shown["task_counts"] == {"done": 6}
    assert "work" in drystone(yard, "run", "show", str(run["run_id"])).stdout
    listed = answer(yard, "run", "list", "--state", "done", "--workflow", "trial")
    assert [one["run_id"] for one in listed["runs"]] == [run["run_id"]]
    logs = drystone(yard, "run", "logs", str(run["run_id"]), "--follow").stdout
    assert "part 2 \\x1b[31mred" in logs and "\x1b" not in logs


def test_what_a_run_waits_for_is_said_and_done(yard: Yard, folder: str):
    yard.start_worker()
    at = ["--set", f"folder={folder}"]
    run = answer(yard, "run", "start", "approved", *at, "--wait", exit_code=3)
    number = str(run["run_id"])
    assert f"drystone approve {number}" in drystone(yard, "run", "show", number).stdout
    assert answer(yard, "approve", number)["tasks"] == 1
    yard.wait(run["run_id"])
    drystone(yard, "approve", number, exit_code=2)
    waiting = answer(yard, "run", "start", "infer", *at)
    assert answer(yard, "gpu", "status")["waiting"] == 1
    assert answer(yard, "gpu", "ready") == {"queued": 1}
    yard.wait(waiting["run_id"])
    assert "ready" in drystone(yard, "gpu", "status").stdout
    assert answer(yard, "gpu", "done") == {"waiting": 0}


def test_mistakes_are_one_line_and_exit_code_2(yard: Yard, folder: str):
    for arguments, word in (
        (["run", "start", "never"], "there is no workflow"),
        (["run", "start", "nothing"], "folder: Field required"),
        (["run", "start", "nothing", "--set", "folder"], "no NAME=VALUE"),
        (["run", "start", "nothing", "--parameters", "/no/such"], "is no JSON file"),
        (["run", "list", "--state", "odd"], "Input should be 'queued', 'running'"),
        (["queue", "pause", "odd"], "there is no queue"),
        (["worker", "--queues", "odd"], "there is no queue"),
    ):
        assert word in drystone(yard, *arguments, exit_code=2).stderr
    assert "there is no run 99" in drystone(yard, "run", "show", "99", exit_code=1).stderr
    run = answer(yard, "run", "start", "nothing", "--set", f"folder={folder}")
    again = drystone(yard, "run", "start", "nothing", "--set", f"folder={folder}")
    assert f"run {run['run_id']} (queued) already" in again.stderr
    assert answer(yard, "run", "cancel", str(run["run_id"]))["state"] == "cancelled"
    assert answer(yard, "run", "retry", str(run["run_id"]))["tasks"] == 1


def test_queues_are_paused_limited_and_drained(yard: Yard):
    assert answer(yard, "queue", "pause", "cpu")["paused"] is True
    assert answer(yard, "queue", "limit", "cpu", "3")["running_max"] == 3
    assert answer(yard, "queue", "drain", "cpu", "--wait")["draining"] is True
    assert "paused" in drystone(yard, "queue", "list").stdout
    opened = answer(yard, "queue", "resume", "cpu")
    assert (opened["paused"], opened["draining"], opened["running_max"]) == (False, False, 3)


# ---- up, down, status --------------------------------------------------------------------------

WORKERS = '[jobs.workers.main]\nqueues = ["io", "cpu", "default"]\ncount = 2\n'


def begun_ticks(mark: str) -> int:
    """Return when the process that has a mark was started."""
    stat = Path(f"/proc/{process.find(mark)}/stat").read_text(encoding="ascii")
    return int(stat.rpartition(")")[2].split()[19])


def test_up_starts_all_down_ends_the_task_first(yards):
    yard = yards(tables=WORKERS)
    said: list[str] = []
    assert companion.status(yard.config_path) == (False, "down; start them with `drystone up`")
    companion.start(yard.config_path, said.append)
    companion.start(yard.config_path, said.append)
    assert said == ["the jobs are up: 2 workers", "the jobs were up already"]
    running, line = companion.status(yard.config_path)
    assert running and "2 workers" in line
    # The scheduler is the last: it would say of those that are not begun yet that they are gone.
    begun = [begun_ticks(worker_mark(yard.config, f"main-{number}")) for number in (1, 2)]
    assert max(begun) < begun_ticks(scheduler_mark(yard.config))
    run = yard.start(parts=1, hold=True)
    until(lambda: yard.traces("work"))
    yard.touch("go")
    companion.stop(yard.config_path, said.append)
    assert yard.task_states(run.run_id)["work", 1] == "done"
    assert said[-1] == "the jobs are down"
    companion.stop(yard.config_path, said.append)
    assert said[-1] == "the jobs were down already"
    assert not redis_server.find(yard.config) and not process.find(scheduler_mark(yard.config))


def test_a_task_that_does_not_end_is_killed_by_down_and_begun_again(yards):
    yard = yards(tables=WORKERS, stop_timeout_s=0.5)
    companion.start(yard.config_path)
    run = yard.start("stubborn")
    until(lambda: yard.traces("stubborn"))
    said: list[str] = []
    companion.stop(yard.config_path, said.append)
    assert any("were killed" in line for line in said)
    yard.touch("go")
    companion.start(yard.config_path)
    yard.wait(run.run_id)
    assert len(yard.traces("stubborn")) == 2


def test_down_leaves_nothing_that_was_about_to_be_revived(yards):
    yard = yards(tables=WORKERS)
    yard.start_redis()
    supervise.set_should_run(yard.config, up=True)
    watch = Watch(
        yard.config_path,
        yard.config,
        yard.database,
        Deliverer(connect(yard.config), yard.config.queues),
    )

    supervise.revive(watch)
    assert process.find(worker_mark(yard.config, "main-1"))
    companion.stop(yard.config_path)
    assert not supervise.running_workers(yard.config)
    # The same process, begun when `down` had not been said, comes to its mark after it.
    first = supervise.wanted_workers(yard.config)[0]
    with contextlib.suppress(ProcessError):  # It has its mark for a moment.
        supervise.start_worker(yard.config, yard.config_path, first, while_up=True)
    until(lambda: "the jobs were stopped meanwhile" in yard.log("worker-main-1.log"))
    until(lambda: not supervise.running_workers(yard.config))


def test_what_dies_is_started_again(yards):
    yard = yards(tables=WORKERS)
    companion.start(yard.config_path)
    mark = worker_mark(yard.config, "main-1")
    first, redis = process.find(mark), redis_server.find(yard.config)
    kill(first)
    kill(redis)
    until(lambda: process.find(mark) not in (None, first))
    until(lambda: redis_server.find(yard.config) not in (None, redis))
    yard.wait(yard.start("nothing").run_id)


def test_a_scheduler_ends_on_sigterm_and_a_second_worker_of_one_name_goes_away(yard: Yard):
    scheduler = yard.start_scheduler()
    os.kill(scheduler, signal.SIGTERM)
    assert process.wait_for_end(scheduler_mark(yard.config), 20)
    yard.start_worker("one")
    result = drystone(yard, "worker", "--queues", "io", "--name", "one", exit_code=1)
    assert "there is a worker one already" in result.stderr


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[jobs]\nlease_s = 90", "jobs.lease_s"),
        ("[jobs]\nqueues = ['UP']", "jobs.queues.0"),
        ("[jobs]\nworkers = 3", "jobs.workers"),
        ("[jobs]\nodd = 1", "jobs.odd"),
        ("jobs = 1", "has to be a section"),
        ("[jobs", "not valid TOML"),
    ],
)
def test_a_wrong_section_is_refused_with_its_place(tmp_path, text: str, place: str):
    path = tmp_path / "drystone.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=place):
        load_jobs_config(str(path))


def test_the_password_of_redis_is_never_shown(tmp_path):
    path = tmp_path / "drystone.toml"
    path.write_text('[jobs]\nredis_url = "redis://:secret@127.0.0.1:1/0"')
    config = load_jobs_config(str(path))
    assert "secret" not in repr(config) and not redis_server.answers(config)
