"""One attempt where things go wrong around it: leases that are out, logs on a full disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import pytest
from jobs_harness import full_disk, until
from pydantic import BaseModel

from jobs import execute
from jobs.runners import run_program
from jobs.runners.settings import RunnerSettings
from jobs.runs.follow import follow_logs
from jobs.runs.local_state import LocalTaskState, following, program_log
from jobs.runs.registry import add_workflow
from jobs.runs.workflow import Step, TaskContext, Workflow
from jobs.runs.workflows.action_run import raise_if_failed
from sql import Claim, Database, DatabaseUnavailableError, Progress

LEASE_S = 1.5


class Anything(BaseModel):
    value: int = 0


_done: dict[str, Callable[[TaskContext], None]] = {}


def do(context: TaskContext) -> None:
    """Do what the test says."""
    _done["do"](context)


TRY = Workflow("tried", "For tests", (Step("do", do),), Anything)
add_workflow(TRY)


class Away(LocalTaskState):
    """The way to a server that is away until `back`; a claim takes `claim_s`."""

    def __init__(self, database: Database, log_dir: str) -> None:
        super().__init__(lambda: database, log_dir)
        self.back = threading.Event()
        self.beats = self.refused = 0
        self.claim_s = 0.0

    def claim(self, task_id: int, worker: str) -> Claim | None:
        claim = super().claim(task_id, worker)
        threading.Event().wait(self.claim_s)
        return claim

    def beat(self, task_id: int, token: int, progress: Progress | None = None) -> bool:
        if not self.back.is_set():
            self.refused += 1
            raise DatabaseUnavailableError("away")
        self.beats += 1
        return super().beat(task_id, token, progress)


def start(database: Database) -> int:
    run, _ = database.runs.start_run("tried", {}, TRY.first_task({}), run_key="once")
    return database.runs.show(run.run_id).tasks[0].task_id


def carry_out(database: Database, state: Away, task_id: int, log_dir: str) -> str:
    place = execute.Workplace(
        "", state, "here", log_dir, lambda: database, beat_s=0.05, lease_s=LEASE_S
    )
    return execute.carry_out(place, task_id)


def is_heard(context: TaskContext) -> bool:
    """Whether a beat has just got through."""
    return context.lease_left_s() > LEASE_S * 0.7


def ends(database: Database, task_id: int) -> tuple[str, int, list[str | None]]:
    """Return the state of a task, its failures and how its attempts ended."""
    (run,) = database.runs.list_runs().runs
    detail = database.runs.show(run.run_id)
    (task,) = [one for one in detail.tasks if one.task_id == task_id]
    return task.state, task.failures, [one.outcome for one in detail.attempts]


# ---- The lease -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stopped_by", ["the worker", "the guard"])
def test_nobody_cancelled_what_was_stopped_while_the_server_was_away(
    database: Database, tmp_path, stopped_by: str
):
    """The program is ended in time, a beat gets through after all, and it is run again."""
    state = Away(database, str(tmp_path))
    output = str(tmp_path / "output")
    os.mkdir(output)

    def program(context: TaskContext) -> None:
        request = {
            "runner": "shell", "argv": ["sleep", "600"], "input_root": output,
            "output_root": output, "cwd": output,
        }  # fmt: skip
        outcome = run_program(
            request,
            log_path=str(tmp_path / "program.log"),
            heartbeat=lambda _: None,
            cancelled=context.cancelled if stopped_by == "the worker" else lambda: False,
            lease_left_s=context.lease_left_s if stopped_by == "the guard" else None,
            settings=RunnerSettings(free_bytes_min=0),
        )
        state.back.set()
        until(lambda: is_heard(context))
        raise_if_failed(context, outcome)

    _done["do"] = program
    task_id = start(database)
    assert carry_out(database, state, task_id, str(tmp_path)) == "queued"
    assert ends(database, task_id) == ("queued", 0, ["queued"])


def test_who_cancelled_gets_a_cancel(database: Database, tmp_path):
    state = Away(database, str(tmp_path))
    task_id = start(database)
    (run,) = database.runs.list_runs().runs

    def stops(context: TaskContext) -> None:
        until(context.cancelled)
        database.runs.cancel_run(run.run_id)
        state.back.set()
        until(lambda: is_heard(context))
        context.check_cancelled()

    _done["do"] = stops
    assert carry_out(database, state, task_id, str(tmp_path)) == "cancelled"
    assert ends(database, task_id)[0] == "cancelled"


def test_the_lease_begins_before_the_claim_is_answered(database: Database, tmp_path):
    """A worker that is frozen between the two has lost the task, as everybody else knows."""
    state = Away(database, str(tmp_path))
    state.claim_s = LEASE_S + 0.1
    _done["do"] = lambda context: pytest.fail("it was begun")
    task_id = start(database)
    assert carry_out(database, state, task_id, str(tmp_path)) == "queued"
    assert ends(database, task_id) == ("queued", 0, ["queued"])


def test_what_is_somebody_else_s_by_now_stays_theirs(database: Database, tmp_path):
    state = Away(database, str(tmp_path))
    task_id = start(database)

    def is_late(context: TaskContext) -> None:
        until(context.cancelled)
        assert database.runs.take_back_of("here", "silent", following) == 1
        context.check_cancelled()

    _done["do"] = is_late
    assert carry_out(database, state, task_id, str(tmp_path)) == "taken back"
    assert ends(database, task_id) == ("queued", 1, ["lost"])


# ---- The log -------------------------------------------------------------------------------------


@pytest.fixture(params=["size=64k", "nr_inodes=1"])
def full(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """A folder for logs whose disk is full, for words or for files at all."""
    with full_disk(str(tmp_path / "logs"), request.param) as folder:
        yield folder


@pytest.mark.parametrize("fails", [False, True])
def test_a_full_disk_loses_words_and_not_the_task(database: Database, full: str, fails: bool):
    state = Away(database, full)

    def talks(context: TaskContext) -> None:
        context.log("x" * 10_000)
        # The heartbeat says that nobody hears it, which nobody reads either, and goes on.
        until(lambda: state.refused)
        state.back.set()
        until(lambda: state.beats)
        print("y" * 100_000)
        if fails:
            raise RuntimeError("as ever")

    _done["do"] = talks
    task_id = start(database)
    assert carry_out(database, state, task_id, full) == ("failed" if fails else "done")
    assert ends(database, task_id) == (("queued", 1, ["retry"]) if fails else ("done", 0, ["done"]))


def test_the_words_of_a_program_are_among_the_logs(database: Database, tmp_path):
    state = Away(database, str(tmp_path))
    state.back.set()

    def runs(context: TaskContext) -> None:
        context.log("it begins")
        with open(program_log(context.log_path), "w", encoding="utf-8") as file:
            file.write("the picture is broken\n")

    _done["do"] = runs
    task_id = start(database)
    assert carry_out(database, state, task_id, str(tmp_path)) == "done"
    (run,) = database.runs.list_runs().runs
    for only in (None, task_id):
        pieces = follow_logs(database, str(tmp_path), run.run_id, only, follow=False)
        lines = "".join(pieces).splitlines()
        heading = f"==> task {task_id}, attempt 1, its program <=="
        assert lines[-2:] == [heading, "the picture is broken"]
        assert "it begins" in lines[-4]
        assert (f"==> task {task_id}, attempt 1 <==" in lines) == (only is None)
