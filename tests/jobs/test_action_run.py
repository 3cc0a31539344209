"""UA_2 from the request to the rows, through a real worker, keeper, Redis, store and database."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from itertools import count

import pytest
from action_house import MEASURE, ActionYard, lasting_yard
from jobs_harness import until

from adapters import AdapterError
from adapters.actions import contract_named
from jobs import UsageError
from sql import SqlError

_numbers = count(3000)


@pytest.fixture(scope="module")
def house(database_server: str, database_template: str) -> Iterator[ActionYard]:
    """One store with six pictures, a worker and a keeper, for all tests."""
    with lasting_yard(database_server, database_template) as made:
        yield made


@pytest.fixture
def yard(house: ActionYard) -> ActionYard:
    """The house with both workers' places as they were, and no GPU machine."""
    house.start_worker()
    house.control.gpu_done()
    return house


def add(yard: ActionYard, program: str = MEASURE, **settings: str) -> str:
    """Write an action that no other test knows; returns its name."""
    number = next(_numbers)
    yard.add_action(f"try_{number}", program, number=number, **settings)
    return f"try_{number}"


def add_question(yard: ActionYard) -> tuple[str, str]:
    """Write the shipped question under another name; returns that and the first class."""
    shipped = contract_named(yard.config_path, "human_classification")
    number = next(_numbers)
    with open(os.path.join(shipped.folder, "contract.yaml"), encoding="utf-8") as file:
        text = file.read().replace("name: human_classification", f"name: try_{number}")
    folder = os.path.join(yard.root, "actions", f"try_{number}")
    os.makedirs(folder)
    with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
        file.write(re.sub("action_id: [0-9]+", f"action_id: {number}", text))
    task = shipped.contract.label_task
    assert task is not None
    return f"try_{number}", task.classes[0]


def event_of(yard: ActionYard, run_id: int) -> str:
    """Return a condition on action_event_id: the events of a run."""
    return (
        "action_event_id IN (SELECT action_event_id FROM action_event_detail WHERE "
        f"run_reference = 'run:{run_id}' OR run_reference LIKE 'run:{run_id}.%')"
    )


def statuses(yard: ActionYard, run_id: int) -> list[str]:
    """Return how the events of a run ended, in their order."""
    found = yard.rows(
        "SELECT status FROM action_event JOIN action_event_detail ON id = action_event_id "
        f"WHERE {event_of(yard, run_id)} ORDER BY id"
    )
    return [status for (status,) in found]


def test_a_program_runs_over_all_and_nothing_is_left_behind(yard):
    action = add(yard)
    run_id = yard.act(action)
    yard.wait(run_id, "done")
    sizes = yard.rows(
        f"SELECT size_bytes = file_size_bytes FROM result_{action} JOIN physical_content USING "
        "(node_id)"
    )
    assert sizes == [(True,)] * 6
    assert yard.staged() == []
    assert statuses(yard, run_id) == ["done"]
    yard.check_done_once(run_id)


def test_the_same_work_is_not_done_twice(yard):
    action = add(yard)
    first = yard.act(action)
    yard.wait(first, "done")
    # Another run over the same nodes: it finds them done, stages nothing and runs nothing.
    second = yard.act(action)
    assert second != first
    yard.wait(second, "done")
    assert {step for step, _ in yard.task_states(second)} == {"plan", "labels", "finish"}
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]


def test_two_people_who_start_the_same_share_one_run(yard):
    os.makedirs(os.path.join(yard.root, "traces"), exist_ok=True)
    action = add(yard, f"until [ -e '{yard.root}/traces/go' ]; do sleep 0.05; done\n" + MEASURE)
    first = yard.act(action)
    assert yard.act(action) == first
    yard.touch("go")
    yard.wait(first, "done")
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]


def test_a_program_that_fails_is_recorded_and_can_be_retried(yard):
    action = add(yard, f"test -e '{yard.root}/fixed' || exit 7\n" + MEASURE)
    run_id = yard.act(action)
    yard.hurry(run_id, "failed")
    assert "exit code 7" in yard.story(run_id)
    assert yard.staged() == []
    outcomes = f"SELECT DISTINCT outcome FROM action_node WHERE {event_of(yard, run_id)}"
    assert yard.rows(outcomes) == [("failed",)]
    with open(os.path.join(yard.root, "fixed"), "w", encoding="ascii"):
        pass
    yard.control.retry(run_id)
    yard.wait(run_id, "done")
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]
    assert yard.rows(outcomes) == [("done",)]
    # What ended stays as it ended; the second time is an event of its own.
    assert statuses(yard, run_id) == ["failed", "done"]


def test_inputs_without_output_make_a_partial_run(yard):
    run_id = yard.act(add(yard, MEASURE + '\nsed -i 3d "$2/sizes.csv"\n'))
    yard.wait(run_id, "partial")
    assert yard.rows(
        f"SELECT outcome, count(*) FROM action_node WHERE {event_of(yard, run_id)} "
        "GROUP BY 1 ORDER BY 1"
    ) == [("done", 5), ("missing", 1)]
    assert yard.staged() == []


def test_a_contract_that_changes_in_between_stops_the_run(yard):
    action = add(yard, gate="gpu_ready")
    run_id = yard.act(action)
    until(
        lambda: (
            ("run", 1) in yard.task_states(run_id)
            and yard.task_states(run_id)["run", 1] == "waiting_gpu_ready"
        )
    )
    path = os.path.join(yard.root, "actions", action, "contract.yaml")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("A program under test", "Another program"))
    yard.control.gpu_ready()
    yard.wait(run_id, "failed")
    assert "changed after this run was asked for" in yard.story(run_id)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    yard.control.retry(run_id)
    yard.wait(run_id, "done")
    assert yard.staged() == []


def test_an_approval_comes_before_anything_is_copied(yard):
    run_id = yard.act(add(yard, gate="approval"))
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    assert yard.staged() == []
    yard.control.approve(run_id)
    yard.wait(run_id, "done")


def test_a_request_may_ask_a_person_first(yard):
    run_id = yard.act(add(yard), approval=True)
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    yard.control.approve(run_id)
    yard.wait(run_id, "done")


def test_a_cancelled_run_kills_its_program_and_frees_its_place(yard):
    action = add(yard, f"touch '{yard.root}/endless'; sleep 600")
    run_id = yard.act(action)
    until(lambda: os.path.exists(os.path.join(yard.root, "endless")))
    yard.control.cancel(run_id)
    yard.wait(run_id, "cancelled")
    until(lambda: yard.staged() == [])
    until(lambda: statuses(yard, run_id) == ["cancelled"])


def test_a_worker_killed_in_the_middle_of_a_program(yard):
    action = add(
        yard, f"touch '{yard.root}/begun'; test -e '{yard.root}/again' || sleep 600\n" + MEASURE
    )
    run_id = yard.act(action)
    until(lambda: os.path.exists(os.path.join(yard.root, "begun")))
    with open(os.path.join(yard.root, "again"), "w", encoding="ascii"):
        pass
    for pid in [yard.worker_pid(), *yard.horses()]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not yard.worker_pid())
    yard.start_worker()
    yard.wait(run_id, "done")
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]
    yard.check_done_once(run_id)
    assert yard.staged() == []


def test_the_program_of_a_frozen_worker_has_ended_before_another_begins(yard):
    """Both would write into the same folder; the first one to its end, or to its kill."""
    alone = f"""
        for pid in $(cat '{yard.root}/frozen' 2>/dev/null); do
          if kill -0 $pid 2>/dev/null; then touch '{yard.root}/beside'; fi
        done
        echo $$ >> '{yard.root}/frozen'
        [ $(wc -l < '{yard.root}/frozen') -gt 1 ] || while :; do echo x > "$2/sizes.csv"; done
    """
    action = add(yard, alone + MEASURE)
    run_id = yard.act(action)
    until(lambda: os.path.exists(os.path.join(yard.root, "frozen")))
    frozen = [yard.worker_pid(), *yard.horses()]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        yard.start_worker("two")
        yard.wait(run_id, "done")
        assert not os.path.exists(os.path.join(yard.root, "beside"))
        assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    until(lambda: not set(frozen[1:]) & set(yard.horses()))
    detail = yard.database.runs.show(run_id)
    assert [one.outcome for one in detail.attempts].count("lost") == 1
    assert yard.staged() == []


def test_people_label_and_the_run_waits_for_them(yard):
    action, answer = add_question(yard)
    run_id = yard.act(action)
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    ((event_id, tasks),) = yard.rows(
        "SELECT action_event_id, count(*) FROM label_task WHERE "
        f"{event_of(yard, run_id)} GROUP BY 1"
    )
    assert tasks == 6
    while found := yard.database.labels.next_task(event_id, "ann"):
        yard.database.labels.add_answer(found.task_id, "ann", {"class": answer})
    yard.control.labels_came(run_id)
    yard.wait(run_id, "done")
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]
    assert yard.staged() == []


def test_nobody_is_asked_about_what_was_deleted_meanwhile(yard):
    action, answer = add_question(yard)
    run_id = yard.act(action)
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    ((event_id,),) = yard.rows(
        f"SELECT DISTINCT action_event_id FROM label_task WHERE {event_of(yard, run_id)}"
    )
    yard.rows_change("UPDATE physical_content SET is_delete = true WHERE node_id = 1")
    asked = []
    try:
        while found := yard.database.labels.next_task(event_id, "ann"):
            asked.append(found.node_id)
            yard.database.labels.add_answer(found.task_id, "ann", {"class": answer})
        assert asked == [2, 3, 4, 5, 6]
        yard.control.labels_came(run_id)
        yard.wait(run_id, "partial")
    finally:
        yard.rows_change("UPDATE physical_content SET is_delete = false WHERE node_id = 1")
    missing = yard.rows(
        "SELECT node_id, reason FROM action_node WHERE outcome = 'missing' AND "
        + event_of(yard, run_id)
    )
    assert missing == [(1, "deleted or black-listed")]
    assert yard.staged() == []


def test_sql_alone_tags_without_a_stage(yard):
    yard.add_tag("small", next(_numbers))
    run_id = yard.act("small")
    yard.wait(run_id, "done")
    assert yard.rows("SELECT tag, count(*) FROM result_small GROUP BY 1") == [("little", 6)]


def test_children_come_back_with_their_parents(yard):
    run_id = yard.act("image_variants", parameters={"sizes": "20x20"})
    yard.wait(run_id, "done", "partial")
    edges = yard.rows("SELECT parent_node_id, child_node_id FROM edge JOIN relationship USING "
                      "(relationship_id) WHERE action_id <> 0")  # fmt: skip
    # The other tests of this house want its six pictures.
    children = ", ".join(str(child) for _, child in edges)
    yard.rows_change(f"UPDATE physical_content SET is_delete = true WHERE node_id IN ({children})")
    assert len({parent for parent, _ in edges}) == 6


def test_a_dry_run_says_what_it_would_be(yard):
    from jobs import dry_run_request

    batches = yard.rows("SELECT count(*) FROM action_batch")
    told = dry_run_request(yard.config_path, "ua_2", {"action": add(yard)})
    assert told["nodes"] == 6 and told["parts"] == 1
    assert told["command"]["argv"][0] == "/bin/sh"
    assert yard.rows("SELECT count(*) FROM action_batch") == batches


REFUSED = [
    ({"action": "measur"}, "there is no action"),
    ({"action": "image_probe", "parameters": {"x": 1}}, "takes no parameters"),
    ({"action": "image_probe", "action_batch_id": 99}, "no action batch 99"),
    ({"action": "image_probe", "action_batch_id": 1, "selector": {}}, "not both"),
    ({"action": "image_probe", "selector": "version: 1\nwhere: {colour: red}"}, "colour"),
    ({"action": "image_probe", "queue": "fast"}, "queue"),
    ({}, "action"),
]


def test_requests_that_cannot_be(yard):
    runs = yard.rows("SELECT count(*) FROM run")
    for parameters, reason in REFUSED:
        with pytest.raises((UsageError, AdapterError, SqlError), match=reason):
            yard.control.start("ua_2", parameters)
    assert yard.rows("SELECT count(*) FROM run") == runs
