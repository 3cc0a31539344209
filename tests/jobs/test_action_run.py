"""UA_2 from the request to the rows, through a real worker, keeper, Redis, store and database."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import database_harness
import pytest
from action_house import MEASURE, ActionYard, make_action_yard
from jobs_harness import until

from adapters import AdapterError
from jobs import UsageError
from sql import SqlError


@pytest.fixture
def yard(store, database_server: str, database_template: str) -> Iterator[ActionYard]:
    """A store with six pictures, a worker and a keeper."""
    with database_harness.new_database(database_server, database_template) as url:
        made = make_action_yard(store(), url)
        try:
            made.start_redis()
            made.start_keeper()
            made.start_worker()
            yield made
        finally:
            made.stop()
            made.database.close()


def test_a_program_runs_over_all_and_nothing_is_left_behind(yard):
    yard.add_action("measure")
    run_id = yard.act("measure")
    yard.wait(run_id, "done")
    sizes = yard.rows(
        "SELECT size_bytes = file_size_bytes FROM result_measure JOIN physical_content USING "
        "(node_id)"
    )
    assert sizes == [(True,)] * 6
    assert yard.staged() == []
    assert yard.rows("SELECT status FROM action_event") == [("done",)]
    yard.check_done_once(run_id)


def test_the_same_work_is_not_done_twice(yard):
    yard.add_action("measure")
    first = yard.act("measure")
    yard.wait(first, "done")
    # Another run over the same nodes: it finds them done, stages nothing and runs nothing.
    second = yard.act("measure")
    assert second != first
    yard.wait(second, "done")
    assert {step for step, _ in yard.task_states(second)} == {"plan", "labels", "finish"}
    assert yard.rows("SELECT count(*) FROM result_measure") == [(6,)]


def test_two_people_who_start_the_same_share_one_run(yard):
    os.makedirs(os.path.join(yard.root, "traces"), exist_ok=True)
    yard.add_action(
        "wait", f"until [ -e '{yard.root}/traces/go' ]; do sleep 0.05; done\n" + MEASURE
    )
    first = yard.act("wait")
    assert yard.act("wait") == first
    yard.touch("go")
    yard.wait(first, "done")
    assert yard.rows("SELECT count(*) FROM result_wait") == [(6,)]


def test_a_program_that_fails_is_recorded_and_can_be_retried(yard):
    yard.add_action("broken", f"test -e '{yard.root}/fixed' || exit 7\n" + MEASURE)
    run_id = yard.act("broken")
    yard.wait(run_id, "failed")
    assert "exit code 7" in yard.story(run_id)
    assert yard.staged() == []
    assert yard.rows("SELECT DISTINCT outcome FROM action_node") == [("failed",)]
    with open(os.path.join(yard.root, "fixed"), "w", encoding="ascii"):
        pass
    yard.control.retry(run_id)
    yard.wait(run_id, "done")
    assert yard.rows("SELECT count(*) FROM result_broken") == [(6,)]
    assert yard.rows("SELECT DISTINCT outcome FROM action_node") == [("done",)]
    # What ended stays as it ended; the second time is an event of its own.
    events = yard.rows("SELECT status FROM action_event ORDER BY id")
    assert events == [("failed",), ("done",)]


def test_inputs_without_output_make_a_partial_run(yard):
    yard.add_action("half", MEASURE + '\nsed -i 3d "$2/sizes.csv"\n')
    run_id = yard.act("half")
    yard.wait(run_id, "partial")
    assert yard.rows("SELECT outcome, count(*) FROM action_node GROUP BY 1 ORDER BY 1") == [
        ("done", 5),
        ("missing", 1),
    ]
    assert yard.staged() == []


def test_a_contract_that_changes_in_between_stops_the_run(yard):
    yard.add_action("gated", gate="gpu_ready")
    run_id = yard.act("gated")
    until(
        lambda: (
            ("run", 1) in yard.task_states(run_id)
            and yard.task_states(run_id)["run", 1] == "waiting_gpu_ready"
        )
    )
    path = os.path.join(yard.root, "actions", "gated", "contract.yaml")
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
    yard.add_action("asked", gate="approval")
    run_id = yard.act("asked")
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    assert yard.staged() == []
    yard.control.approve(run_id)
    yard.wait(run_id, "done")


def test_a_request_may_ask_a_person_first(yard):
    yard.add_action("measure")
    run_id = yard.act("measure", approval=True)
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    yard.control.approve(run_id)
    yard.wait(run_id, "done")


def test_a_cancelled_run_kills_its_program_and_frees_its_place(yard):
    yard.add_action("endless", f"touch '{yard.root}/begun'; sleep 600")
    run_id = yard.act("endless")
    until(lambda: os.path.exists(os.path.join(yard.root, "begun")))
    yard.control.cancel(run_id)
    yard.wait(run_id, "cancelled")
    until(lambda: yard.staged() == [])
    until(lambda: yard.rows("SELECT status FROM action_event") == [("cancelled",)])


def test_a_worker_killed_in_the_middle_of_a_program(yard):
    yard.add_action(
        "slow", f"touch '{yard.root}/begun'; test -e '{yard.root}/again' || sleep 600\n" + MEASURE
    )
    run_id = yard.act("slow")
    until(lambda: os.path.exists(os.path.join(yard.root, "begun")))
    with open(os.path.join(yard.root, "again"), "w", encoding="ascii"):
        pass
    for pid in [yard.worker_pid(), *yard.horses()]:
        os.kill(pid, signal.SIGKILL)
    yard.start_worker("two")
    yard.wait(run_id, "done")
    assert yard.rows("SELECT count(*) FROM result_slow") == [(6,)]
    yard.check_done_once(run_id)
    assert yard.staged() == []


def test_people_label_and_the_run_waits_for_them(yard):
    run_id = yard.act("human_classification")
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    ((event_id,),) = yard.rows("SELECT id FROM action_event")
    contract = yard.rows("SELECT count(*) FROM label_task")
    assert contract == [(6,)]
    from adapters.actions import contract_named

    task = contract_named(yard.config_path, "human_classification").contract.label_task
    while found := yard.database.labels.next_task(event_id, "ann"):
        yard.database.labels.add_answer(found.task_id, "ann", {"class": task.classes[0]})
    yard.control.labels_came(run_id)
    yard.wait(run_id, "done")
    assert yard.rows("SELECT count(*) FROM result_human_classification") == [(6,)]
    assert yard.staged() == []


def test_nobody_is_asked_about_what_was_deleted_meanwhile(yard):
    run_id = yard.act("human_classification")
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    ((event_id,),) = yard.rows("SELECT id FROM action_event")
    yard.rows_change("UPDATE physical_content SET is_delete = true WHERE node_id = 1")
    from adapters.actions import contract_named

    task = contract_named(yard.config_path, "human_classification").contract.label_task
    asked = []
    while found := yard.database.labels.next_task(event_id, "ann"):
        asked.append(found.node_id)
        yard.database.labels.add_answer(found.task_id, "ann", {"class": task.classes[0]})
    assert asked == [2, 3, 4, 5, 6]
    yard.control.labels_came(run_id)
    yard.wait(run_id, "partial")
    missing = yard.rows("SELECT node_id, reason FROM action_node WHERE outcome = 'missing'")
    assert missing == [(1, "deleted or black-listed")]
    assert yard.staged() == []


def test_sql_alone_tags_without_a_stage(yard):
    yard.add_tag("small")
    run_id = yard.act("small")
    yard.wait(run_id, "done")
    assert yard.rows("SELECT tag, count(*) FROM result_small GROUP BY 1") == [("little", 6)]


def test_children_come_back_with_their_parents(yard):
    run_id = yard.act("image_variants", parameters={"sizes": "20x20"})
    yard.wait(run_id, "done", "partial")
    parents = yard.rows("SELECT DISTINCT parent_node_id FROM edge JOIN relationship USING "
                        "(relationship_id) WHERE action_id <> 0")  # fmt: skip
    assert len(parents) == 6


def test_a_dry_run_says_what_it_would_be(yard):
    from jobs import dry_run_request

    yard.add_action("measure")
    told = dry_run_request(yard.config_path, "ua_2", {"action": "measure"})
    assert told["nodes"] == 6 and told["parts"] == 1
    assert told["command"]["argv"][0] == "/bin/sh"
    assert yard.rows("SELECT count(*) FROM action_batch") == [(0,)]


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
    for parameters, reason in REFUSED:  # One store for all of them.
        with pytest.raises((UsageError, AdapterError, SqlError), match=reason):
            yard.control.start("ua_2", parameters)
    assert yard.rows("SELECT count(*) FROM run") == [(0,)]
