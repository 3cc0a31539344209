"""Pipelines that go on by themselves, in a real scheduler and worker; gates and failures hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import count

import pytest
from action_house import MEASURE, ActionYard, lasting_yard
from jobs_harness import kill_found, until

from adapters.actions import contracts, declare_pipeline, make_batch
from adapters.actions.contract.pipelines import check_pipeline
from base.processes import process
from jobs.core.marks import scheduler_mark
from jobs.queues.queues import Deliverer
from jobs.queues.redis_server import connect
from jobs.scheduler import advance
from jobs.scheduler.scheduler_loop import Watch

_numbers = count(3500)


@pytest.fixture(scope="module")
def yard(database_server: str, database_template: str) -> Iterator[ActionYard]:
    """One store with six pictures, a worker and a scheduler, for all tests."""
    with lasting_yard(database_server, database_template) as made:
        yield made


def line(yard: ActionYard, advance: str, *stages: tuple[str, str]) -> tuple[str, int, list[str]]:
    """Declare a pipeline of (program, gate); returns it, a batch for it, and its actions."""
    actions: list[str] = []
    for program, _ in stages:
        number = next(_numbers)
        actions.append(f"try_{number}")
        yard.add_action(actions[-1], program, number=number)
    name = f"line-{next(_numbers)}"
    steps = ", ".join(
        f"{{action: {action}, gate: {gate}}}"
        for action, (_, gate) in zip(actions, stages, strict=True)
    )
    known = contracts(yard.config_path)
    pipeline, problems = check_pipeline(
        f"name: {name}\nadvance: {advance}\nstages: [{steps}]", known
    )
    assert pipeline is not None, problems
    declare_pipeline(yard.database, pipeline, known)
    return name, make_batch(yard.database, None, contract=known[actions[0]]), actions


def begun(yard: ActionYard, pipeline: str) -> list[tuple[str, int, str]]:
    """Return the runs that a pipeline began by itself: the action, run and state of each."""
    rows = yard.rows(
        f"SELECT run_id, state FROM run WHERE requested_by = 'pipeline {pipeline}' ORDER BY run_id"
    )
    return [
        (yard.database.runs.run(run_id).parameters["action"], run_id, state)
        for run_id, state in rows
    ]


def place(yard: ActionYard, pipeline: str) -> int | None:
    (one,) = yard.database.pipelines.state(pipeline).batches
    return one.current_stage


def test_stage_follows_stage_and_gates_hold(yard: ActionYard):
    name, batch, actions = line(
        yard, "auto", (MEASURE, "none"), (MEASURE, "approval"), (MEASURE, "none")
    )
    by_hand, other, _ = line(yard, "manual", (MEASURE, "none"))
    yard.database.pipelines.enrol(by_hand, [other])
    assert begun(yard, name) == [], "no batch is in it"
    yard.database.pipelines.enrol(name, [batch])
    until(lambda: len(begun(yard, name)) == 2)
    gated = begun(yard, name)[1][1]
    until(lambda: yard.task_states(gated).get(("stage", 1)) == "waiting_approval")
    assert place(yard, name) == 2
    yard.control.approve(gated)
    until(lambda: place(yard, name) is None)
    until(lambda: [state for _, _, state in begun(yard, name)] == ["done"] * 3)
    assert [action for action, _, _ in begun(yard, name)] == actions
    # The one beside it, which nobody moves on, is where it was.
    assert place(yard, by_hand) == 1 and begun(yard, by_hand) == []


def test_what_failed_waits_for_a_person_and_then_it_goes_on(yard: ActionYard):
    fixed = os.path.join(yard.root, f"fixed-{next(_numbers)}")
    name, batch, actions = line(
        yard, "auto", (f"test -e '{fixed}' || exit 7\n{MEASURE}", "none"), (MEASURE, "none")
    )
    witness, other, _ = line(yard, "auto", (MEASURE, "none"))
    yard.database.pipelines.enrol(name, [batch])
    until(lambda: len(begun(yard, name)) == 1)
    run_id = begun(yard, name)[0][1]
    yard.hurry(run_id, "failed")
    # The scheduler looks at all of them in one turn: it passed by the one that failed.
    yard.database.pipelines.enrol(witness, [other])
    until(lambda: place(yard, witness) is None)
    assert [one[1] for one in begun(yard, name)] == [run_id]
    with open(fixed, "w", encoding="ascii"):
        pass
    yard.control.retry(run_id)
    until(lambda: place(yard, name) is None)
    assert [action for action, _, _ in begun(yard, name)] == actions


def test_what_cannot_be_begun_is_told_once_and_tried_again(yard: ActionYard):
    name, batch, (action,) = line(yard, "auto", (MEASURE, "none"))
    folder = os.path.join(yard.root, "actions", action)
    aside = shutil.move(folder, os.path.join(yard.root, f"{action}.away"))
    yard.database.pipelines.enrol(name, [batch])
    told = (
        "SELECT document FROM event WHERE kind = 'pipeline.failed' AND "
        f"subject = 'pipeline {name}, batch {batch}'"
    )
    until(lambda: yard.rows(told) != [])
    assert action in yard.rows(told)[0][0]
    shutil.move(aside, folder)
    until(lambda: place(yard, name) is None)
    assert len(yard.rows(told)) == 1


@pytest.mark.fault
def test_a_scheduler_killed_between_the_run_and_the_note_of_it_begins_no_second(yard: ActionYard):
    name, batch, _ = line(yard, "auto", (MEASURE, "approval"))
    noted = (
        "SELECT begun_stage FROM pipeline_enrolment JOIN pipeline ON id = pipeline_id "
        f"WHERE name = '{name}'"
    )
    yard.database.pipelines.enrol(name, [batch])
    until(lambda: yard.rows(noted) == [(1,)])
    kill_found(lambda: process.find(scheduler_mark(yard.config)))
    yard.rows_change(
        "UPDATE pipeline_enrolment SET begun_stage = 0 FROM pipeline "
        f"WHERE pipeline.id = pipeline_id AND name = '{name}'"
    )
    yard.start_scheduler()
    until(lambda: yard.rows(noted) == [(1,)])
    ((_, run_id, _),) = begun(yard, name)
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    yard.control.approve(run_id)
    until(lambda: place(yard, name) is None)


def test_what_is_shown_again_after_a_batch_was_through_is_worked_on(
    yard: ActionYard, monkeypatch: pytest.MonkeyPatch
):
    """The periodic task is called here, beside that of the scheduler, which looks every hour."""
    monkeypatch.setattr(advance, "THROUGH_LOOK_EVERY_S", 0.0)
    name, batch, (action, _) = line(yard, "auto", (MEASURE, "none"), (MEASURE, "none"))
    node = yard.rows(f"SELECT node_id FROM action_batch_node WHERE action_batch_id = {batch}")[0][0]
    hide = "UPDATE physical_content SET in_black_list = {} WHERE node_id = {}"
    yard.rows_change(hide.format("true", node))
    yard.database.pipelines.enrol(name, [batch])
    until(lambda: place(yard, name) is None)
    until(lambda: [state for _, _, state in begun(yard, name)] == ["partial"] * 2)
    deliverer = Deliverer(connect(yard.config), yard.config.queues)
    task, watch = advance.Advance(), Watch(yard.config_path, yard.config, yard.database, deliverer)
    task(watch)
    yard.rows_change(hide.format("false", node))
    assert place(yard, name) == 1
    task(watch)
    until(lambda: place(yard, name) is None)
    assert [one[0] for one in begun(yard, name)][2] == action


def test_a_run_that_waited_puts_no_batch_back_that_was_taken_out(yard: ActionYard):
    name, batch, _ = line(yard, "auto", (MEASURE, "none"))
    yard.database.runs.set_queue("io", paused=True)
    try:
        yard.database.pipelines.enrol(name, [batch])
        until(lambda: len(begun(yard, name)) == 1)
        yard.database.pipelines.withdraw(name, [batch])
    finally:
        yard.database.runs.set_queue("io", paused=False)
    yard.wait(begun(yard, name)[0][1], "done")
    assert yard.database.pipelines.state(name).batches == ()
