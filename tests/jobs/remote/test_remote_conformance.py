"""One conformance suite for a TaskState, and the two that there are: the database, and HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from far_tasks import World, app_over, local
from served_app import Served

from jobs.remote.http import RemoteApi
from jobs.remote.state import RemoteTaskState
from sql import (
    Database,
    Outcome,
    Progress,
    StaleAttemptError,
)


@pytest.fixture(params=["database", "http"])
def world(request, database: Database, tmp_path) -> Iterator[World]:
    made: list[tuple[str, int]] = []
    state = local(database, str(tmp_path), made)
    if request.param == "database":
        yield World(database, state, str(tmp_path), made)
        return
    served = Served(app_over(database, state))
    api = RemoteApi(served.address)
    yield World(database, RemoteTaskState(api), str(tmp_path), made, served)
    served.stop()


def test_a_claim_tells_everything(world: World):
    task = world.start(value=7)
    claim = world.claimed(task)
    assert (claim.task_id, claim.token, claim.workflow, claim.step) == (task, 1, "far", "plan")
    assert (claim.part, claim.queue, claim.requested_by) == (0, "gpu", "ann")
    assert (claim.parameters, claim.spec, claim.failures) == ({"value": 7}, {}, 0)


def test_one_of_two_gets_a_task(world: World):
    task = world.start()
    claims = [world.state.claim(task, name) for name in ("w1", "w2")]
    assert [claim is not None for claim in claims] == [True, False]
    assert world.state.claim(10**12, "w1") is None


def test_nobody_gets_one_of_a_paused_queue_or_a_cancelled_run(world: World):
    task = world.start()
    world.database.runs.set_queue("gpu", paused=True)
    assert world.state.claim(task, "w1") is None
    world.database.runs.set_queue("gpu", paused=False)
    world.database.runs.cancel_run(world.database.runs.list_runs().runs[0].run_id)
    assert world.state.claim(task, "w1") is None


def test_a_beat_carries_progress_there_and_the_cancel_back(world: World):
    claim = world.claimed(world.start())
    assert world.state.beat(claim.task_id, claim.token) is False
    progress = Progress(done=3, total=9, unit="files", text="half \x00 way \u202e")
    assert world.state.beat(claim.task_id, claim.token, progress) is False
    (task,) = world.database.runs.show(claim.run_id).tasks
    assert task.progress is not None
    assert (task.progress.done, task.progress.total, task.progress.unit) == (3, 9, "files")
    world.state.beat(claim.task_id, claim.token)
    assert world.database.runs.show(claim.run_id).tasks[0].progress == task.progress
    world.database.runs.cancel_run(claim.run_id)
    assert world.state.beat(claim.task_id, claim.token) is True


def test_the_end_makes_what_follows_once(world: World):
    claim = world.claimed(world.start())
    outcome = Outcome(
        state="done",
        result={"said": "é \udcff \x00"},
        parts=({"number": 1}, {"number": 2}),
        pass_on={"more": [1, {"deep": None}]},
    )
    for _ in range(2):
        # The first answer was lost.
        world.state.finish(claim.task_id, claim.token, outcome)
    tasks = world.database.runs.show(claim.run_id).tasks
    assert [(task.step, task.part, task.state) for task in tasks] == [
        ("plan", 0, "done"), ("do", 1, "queued"), ("do", 2, "queued"),
    ]  # fmt: skip
    assert tasks[0].result == {"said": "é \udcff \x00"}
    part = world.claimed(tasks[2].task_id)
    assert part.spec == {"number": 2, "more": [1, {"deep": None}]}
    assert world.made[0] == ("gpu", 2)


def test_an_attempt_that_is_over_changes_nothing(world: World):
    claim = world.claimed(world.start())
    assert world.take_back() == 1
    world.make_due()
    again = world.claimed(claim.task_id)
    assert (again.token, again.failures) == (2, 1)
    late = Outcome(state="done", result={"late": True})
    for call in (
        lambda: world.state.beat(claim.task_id, claim.token, Progress(done=1)),
        lambda: world.state.finish(claim.task_id, claim.token, late),
        lambda: world.state.append_log(claim.task_id, claim.token, "late"),
    ):
        with pytest.raises(StaleAttemptError) as refusal:
            call()
        assert (refusal.value.task_id, refusal.value.token) == (claim.task_id, 1)
    (task,) = world.database.runs.show(claim.run_id).tasks
    assert (task.state, task.attempt, task.progress, task.result) == ("running", 2, None, None)
    world.state.finish(claim.task_id, again.token, Outcome(state="done"))


def test_a_failure_comes_back_until_it_is_one_too_many(world: World):
    task = world.start()
    for number in range(1, 4):
        world.make_due()
        claim = world.claimed(task)
        assert (claim.token, claim.failures) == (number, number - 1)
        world.state.finish(task, claim.token, Outcome(state="failed", error="no \x1b luck"))
    run = world.database.runs.run(claim.run_id)
    assert run.state == "failed"
    assert world.state.claim(task, "w1") is None


def test_what_waits_gives_its_worker_back(world: World):
    claim = world.claimed(world.start())
    waiting = Outcome(state="waiting_space", error="no room", retry_in_s=0.0)
    world.state.finish(claim.task_id, claim.token, waiting)
    assert world.database.runs.run(claim.run_id).state == "waiting"
    world.database.runs.look_for_space()
    assert world.claimed(claim.task_id).failures == 0


def test_logs_are_kept_as_they_come(world: World):
    claim = world.claimed(world.start())
    for text in ("one\n", "", "zwei \u202e \udcff \x00\n", "x" * 300_000):
        world.state.append_log(claim.task_id, claim.token, text)
    log = world.log(claim)
    assert log.startswith(b"one\nzwei \xe2\x80\xae \\udcff \x00\nxxx")
    assert log.count(b"x") == 300_000


def test_a_result_that_is_too_large_is_refused_and_the_task_goes_on(world: World):
    claim = world.claimed(world.start())
    large = Outcome(state="done", result={"text": "x" * (17 << 20)})
    with pytest.raises(Exception, match="at most") as refusal:
        world.state.finish(claim.task_id, claim.token, large)
    assert refusal.value.exit_code == 2  # type: ignore[attr-defined]
    world.state.finish(claim.task_id, claim.token, Outcome(state="failed", retry=False))
