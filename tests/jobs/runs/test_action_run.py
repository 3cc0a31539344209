"""UA_2 from the request to the rows, through real workers, Redis, a store and a database."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator
from itertools import count

import pytest
from action_house import MEASURE, ActionYard, event_of, lasting_yard, statuses
from command import run_text
from jobs_harness import kill_found, until

from adapters.actions import contracts, declare_pipeline, make_batch
from adapters.actions.contract.pipelines import check_pipeline
from base.errors import DrystoneError, UsageError
from jobs.runs.control import dry_run
from jobs.runs.workflows.action_request import prepare
from sql import parse_selector

_numbers = count(3000)


@pytest.fixture(scope="module")
def house(database_server: str, database_template: str) -> Iterator[ActionYard]:
    """One store with six pictures, a worker and a scheduler, for all tests."""
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


def test_a_program_is_told_where_and_for_what_it_runs(yard):
    told = os.path.join(yard.root, "told")
    action = add(yard, f"pwd -P > {told}; env | grep ^DRYSTONE_ | sort >> {told}\n{MEASURE}")
    run_id = yard.act(action)
    yard.wait(run_id, "done")
    ((batch_id,),) = yard.rows(
        "SELECT action_batch_id FROM action_event JOIN action_event_detail ON id = action_event_id "
        f"WHERE {event_of(yard, run_id)}"
    )
    tasks = dict(yard.rows(f"SELECT step, task_id FROM run_task WHERE run_id = {run_id}"))
    with open(told, encoding="utf-8") as file:
        assert file.read().splitlines() == [
            os.path.realpath(
                f"{yard.store.config.area_path('3c')}/{batch_id}/flat/{run_id}-0.output"
            ),
            f"DRYSTONE_ACTION_BATCH_ID={batch_id}",
            "DRYSTONE_LAYOUT_ID=flat",
            "DRYSTONE_PART=0",
            f"DRYSTONE_RUN_ID={run_id}",
            f"DRYSTONE_TASK_ID={tasks['run']}",
        ]


def test_two_actions_of_one_layout_run_over_a_batch_at_the_same_time(yard):
    begun, go = (os.path.join(yard.root, name) for name in ("slow-begun", "slow-go"))
    # Its inputs and outputs are used again after the other action has been and gone.
    wait = f"touch {begun}\nwhile ! test -e {go}; do sleep 0.1; done"
    slow, quick = add(yard, f"({MEASURE})\n{wait}\n{MEASURE}"), add(yard)
    batch = make_batch(yard.database, parse_selector("version: 1\nwhere: {extension: png}"))
    yard.start_worker("two")
    first = yard.act(slow, action_batch_id=batch)
    until(lambda: os.path.exists(begun), lambda: yard.story(first))
    second = yard.act(quick, action_batch_id=batch)
    yard.wait(second, "done")
    with open(go, "w", encoding="ascii"):
        pass
    yard.wait(first, "done")
    for action in (slow, quick):
        assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]
    assert yard.staged() == []
    # Other tests of this yard know one worker, and freeze it.
    kill_found(lambda: yard.worker_pid("two"))


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


def test_a_request_may_ask_a_person_first(yard):
    run_id = yard.act(add(yard), approval=True)
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    yard.control.approve(run_id)
    yard.wait(run_id, "done")


def test_a_person_is_asked_before_sql_alone_writes_and_before_people_are_asked(yard):
    tag = f"try_{next(_numbers)}"
    yard.add_tag(tag, next(_numbers))
    for action in (tag, yard.add_question(next(_numbers))[0]):
        run_id = yard.act(action, approval=True)
        assert yard.task_states(run_id) == {("plan", 0): "waiting_approval"}
        assert statuses(yard, run_id) == [], "nothing has begun"
        yard.control.approve(run_id)
        until(lambda: statuses(yard, run_id) != [])  # noqa: B023 (asked at once)
        if action != tag:
            yard.control.cancel(run_id)
        yard.wait(run_id, "done" if action == tag else "cancelled")
    until(lambda: yard.staged() == [])


def test_an_approval_comes_before_anything_is_copied_and_a_machine_after(yard):
    action = add(yard, gate="approval")
    run_id = yard.act(action, gpu_ready=True)
    until(lambda: yard.task_states(run_id).get(("stage", 1)) == "waiting_approval")
    assert yard.staged() == []
    yard.control.approve(run_id)
    until(lambda: yard.task_states(run_id).get(("run", 1)) == "waiting_gpu_ready")
    yard.control.gpu_ready()
    yard.wait(run_id, "done")
    # Whoever clones it as it is, or asks in the words of before, takes neither away.
    for asked in (yard.database.runs.run(run_id).parameters, {"gate": "gpu"}):
        completed = prepare(yard.config_path, {"action": action, **asked})
        assert (completed["approval"], completed["gpu_ready"]) == (True, True)
    with pytest.raises(UsageError, match="waits for no machine"):
        prepare(yard.config_path, {"action": "near_duplicates", "gpu_ready": True})


def test_the_gates_of_a_pipeline_hold_however_a_run_is_started(yard):
    first, second = add(yard), add(yard)
    known = contracts(yard.config_path)
    text = (
        f"name: line-{first[4:]}\nstages: "
        f"[{{action: {first}}}, {{action: {second}, gate: approval}}]"
    )
    pipeline, problems = check_pipeline(text, known)
    assert pipeline is not None, problems
    declare_pipeline(yard.database, pipeline, known)
    batch = make_batch(yard.database, None, contract=known[first])
    onward = {"pipeline": pipeline.name, "action_batch_id": batch}
    assert prepare(yard.config_path, onward)["action"] == first
    assert dry_run(yard.config_path, "ua_2", onward)["parameters"]["enrol"] == pipeline.name
    assert yard.database.pipelines.state(pipeline.name).batches == (), "only asked, never begun"
    with pytest.raises(UsageError, match=f"comes to {first} next, not to {second}"):
        yard.control.start("ua_2", {**onward, "action": second})
    yard.database.actions.record_action_history(known[first].contract.action_id, batch, "done")
    started, _ = yard.control.start("ua_2", onward)
    until(lambda: yard.task_states(started.run_id).get(("stage", 1)) == "waiting_approval")
    yard.control.approve(started.run_id)
    yard.wait(started.run_id, "done")
    (enrolled,) = yard.database.pipelines.state(pipeline.name).batches
    assert enrolled.enrolled_by == f"run {started.run_id}", "the run named the pipeline"
    assert (enrolled.action_batch_id, enrolled.current_stage) == (batch, None)
    for wrong, words in (
        ({"enrol": "nowhere"}, "no pipeline"),
        ({"action": "near_duplicates"}, "no stage"),
    ):
        asked = {"action": second, "enrol": pipeline.name, "action_batch_id": batch, **wrong}
        with pytest.raises(UsageError, match=words):
            yard.control.start("ua_2", asked)
    with pytest.raises(UsageError, match="has been through all of it"):
        yard.control.start("ua_2", onward)
    for given in ({"action_batch_id": batch}, {"selector": {"version": 1}}, {}):
        asked = {"action": second, "approval": False, **given}
        assert prepare(yard.config_path, asked)["approval"]
    told = dry_run(yard.config_path, "ua_2", {"action": second})
    assert told["waits_for"] == ["an approval, before the step stage"]
    assert dry_run(yard.config_path, "ua_2", {"action": first})["waits_for"] == []


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


def test_people_label_by_files_and_the_run_waits_for_them(yard, tmp_path):
    action, answer = yard.add_question(next(_numbers))
    run_id = yard.act(action)
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")

    def label(*arguments: str, exit_code: int = 0) -> str:
        ended = run_text("label", *arguments, config_path=yard.config_path)
        assert ended.returncode == exit_code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    table, studio, bad = (str(tmp_path / name) for name in ("a.csv", "b.json", "c.json"))
    label("export", str(run_id), "--format", "csv", "--out", table)
    with open(table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"].rpartition("/objects/")[2].split("/")[2] for row in rows] == [
        row["key"] for row in rows
    ]
    task, *others = json.loads(label("export", str(run_id)))
    assert f'value="{answer}"' in label("export", str(run_id), "--setup")
    for text, said in (("{", "nothing was imported: c.json: "), ("cat", "say what wrote it")):
        (tmp_path / "c.json").write_text(text)
        told = label("import", str(run_id), bad, exit_code=2)
        assert said in told and told.count("\n") == 1, told
    result = [{"type": "choices", "value": {"choices": [answer]}}]
    task["annotations"] = [{"id": 1, "result": result}]
    (tmp_path / "b.json").write_text(json.dumps([task, *others]))
    left = [row["key"] for row in rows if row["key"] != task["data"]["key"]]
    lines = [f"{key},{answer},ann" for key in left[1:]] + [f"{left[0]},no such class,ann"]
    (tmp_path / "a.csv").write_text("\n".join(["key,label,labeller", *lines]))
    told = label("import", str(run_id), studio, table, "--labeller", "ann", exit_code=3)
    assert told.startswith("5 answers of 2 files, 5 of them new; 2 files kept\na.csv, record ")
    assert "5" in label("show", str(run_id))
    (tmp_path / "a.csv").write_text("\n".join(["key,label,labeller", f"{left[0]},{answer},ann"]))
    assert json.loads(label("import", str(run_id), table, "--json"))["answers_new"] == 1
    yard.wait(run_id, "done")
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(6,)]
    assert yard.staged() == []
    assert "answers count no more" in label("import", str(run_id), table, exit_code=2)
    attached = "SELECT count(DISTINCT child_node_id) FROM edge JOIN relationship USING "
    assert yard.rows(attached + "(relationship_id) WHERE description = 'annotation'") == [(3,)]


def test_nobody_is_asked_about_what_was_deleted_meanwhile(yard):
    action, answer = yard.add_question(next(_numbers))
    run_id = yard.act(action)
    until(lambda: yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    ((event_id,),) = yard.rows(
        f"SELECT DISTINCT action_event_id FROM label_task WHERE {event_of(yard, run_id)}"
    )
    yard.rows_change("UPDATE physical_content SET is_delete = true WHERE node_id = 1")
    asked = []
    try:
        for found in yard.database.labels.tasks(event_id, open_only=True, labeller="ann"):
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


def test_a_dry_run_says_what_this_machine_lacks(yard):
    from jobs import dry_run_request

    lacking = add(yard)
    path = os.path.join(yard.root, "actions", lacking, "contract.yaml")
    with open(path, encoding="utf-8") as file:
        contract = file.read()
    with open(path, "w", encoding="utf-8") as file:
        program = "timeout_s: 60\n  programs: [no-such-program]"
        file.write(contract.replace("timeout_s: 60", program))
    told = dry_run_request(yard.config_path, "ua_2", {"action": lacking})
    assert told["missing"].startswith("the program no-such-program is not on this machine")
    assert dry_run_request(yard.config_path, "ua_2", {"action": add(yard)})["missing"] == ""


REFUSED = [
    ({"action": "measur"}, "there is no action"),
    ({"action": "image_probe", "parameters": {"x": 1}}, "takes no parameters"),
    ({"action": "image_probe", "action_batch_id": 99}, "no action batch 99"),
    ({"action": "image_probe", "action_batch_id": 1, "selector": {}}, "not both"),
    ({"action": "image_probe", "selector": "version: 1\nwhere: {colour: red}"}, "colour"),
    ({"action": "image_probe", "queue": "fast"}, "queue"),
    ({}, "action"),
    ({"pipeline": "none"}, "give action_batch_id, too"),
]


def test_requests_that_cannot_be(yard):
    runs = yard.rows("SELECT count(*) FROM run")
    for parameters, reason in REFUSED:
        with pytest.raises(DrystoneError, match=reason):
            yard.control.start("ua_2", parameters)
    assert yard.rows("SELECT count(*) FROM run") == runs


def test_runs_of_so_many_nodes_go_on_where_the_last_one_ended(yard):
    name = add(yard)
    asked = {
        "action": name,
        "selector": {"version": 1, "where": {"extension": "png"}},
        "nodes_max": 4,
    }
    assert dry_run(yard.config_path, "ua_2", asked)["nodes"] == 4
    sizes = []
    for _ in range(3):
        run, created = yard.control.start("ua_2", asked)
        assert created
        yard.wait(run.run_id, "done")
        (planned,) = yard.database.runs.results(run.run_id, "plan")
        sizes.append(planned.result["nodes"])
        if "action_batch_id" in planned.result:
            batch = yard.database.action_context.batch(planned.result["action_batch_id"])
            assert batch.nodes == sizes[-1]
    # All six, and then a run that finds nothing left has nothing wrong with it.
    assert sizes == [4, 2, 0]
    told = dry_run(yard.config_path, "ua_2", asked)
    assert (told["nodes"], told["nodes_done"], told["parts"]) == (0, 6, 0)
    with pytest.raises(DrystoneError, match="worked on as a whole"):
        yard.control.start("ua_2", {"action": name, "action_batch_id": 1, "nodes_max": 4})


def test_what_fails_comes_again_after_all_that_was_not_tried(yard):
    # The first line of a part is never written.
    name = add(yard, MEASURE + '\nsed -i 2d "$2/sizes.csv"\n')
    asked = {
        "action": name,
        "selector": {"version": 1, "where": {"extension": "png"}},
        "nodes_max": 3,
    }
    worked_on = []
    for _ in range(3):
        run, _created = yard.control.start("ua_2", asked)
        yard.wait(run.run_id, "partial")
        rows = yard.rows(
            "SELECT node_id, outcome FROM action_node "
            f"WHERE {event_of(yard, run.run_id)} ORDER BY 1"
        )
        worked_on.append(dict(rows))
    first, second, third = worked_on
    assert len(first) == len(second) == 3 and not first.keys() & second.keys()
    failed = {node_id for node_id, outcome in (first | second).items() if outcome != "done"}
    assert len(failed) == 2 and third.keys() == failed
    found = parse_selector(f"{{version: 1, where: {{action: {{name: {name}, failed: true}}}}}}")
    assert [row.node_id for row in yard.database.query_nodes(found)] == [
        node_id for node_id, outcome in sorted(third.items()) if outcome != "done"
    ]
