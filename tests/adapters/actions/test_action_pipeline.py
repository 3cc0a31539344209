"""Pipelines are checked and declared, and a batch comes to its next stage."""

from __future__ import annotations

from pathlib import Path

import action_contracts
import pytest
from action_stage_world import load

from adapters.actions import (
    LoadedContract,
    declare_pipeline,
    load_pipeline,
    next_stage,
)
from adapters.actions.contract.pipelines import check_pipeline, declared_pipelines
from adapters.records.errors import ContractError
from base.errors import DrystoneError, UsageError
from sql import Database, VirtualNode, WriteIntent

TEXT = """\
pipeline: 1
name: pictures
stages:
  - action: measure
  - {action: shrink, gate: approval, parameters: {size: 7}}
  - action: starred
"""


@pytest.fixture
def contracts(tmp_path: Path) -> dict[str, LoadedContract]:
    texts = action_contracts.ALL
    loaded = [load(tmp_path, text, f"c{kind}") for kind, text in texts.items()]
    return {one.contract.name: one for one in loaded}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "action: measure",
            "action: mesure",
            "line 4, stages[0].action: there is no action mesure; did you mean measure?",
        ),
        (
            "action: starred",
            "action: measure",
            "line 6, stages[2].action: measure is a stage already",
        ),
        (
            "size: 7",
            "size: 0",
            "line 5, stages[1].parameters: the parameter size of action shrink is 0",
        ),
        (
            "gate: approval",
            "gate: aproval",
            "stages[1].gate: is 'aproval'; it is one of none, gpu_ready",
        ),
        ("stages:", "stage:", "stage: unknown key; did you mean stages?"),
        ("name: pictures", "name: My Pictures", "line 2, name: is 'My Pictures'; it must be"),
        ("action: starred", "action: starred\n    gate: gpu_ready", "it waits for no machine"),
    ],
)
def test_mistakes_are_told_with_their_place(contracts, old: str, new: str, expected: str):
    pipeline, problems = check_pipeline(TEXT.replace(old, new), contracts)
    assert pipeline is None
    assert any(expected in str(problem) for problem in problems), problems


def test_files_are_read_whole_or_refused(contracts, tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_text(TEXT)
    assert [step.action for step in load_pipeline(str(path), contracts).stages] == [
        "measure", "shrink", "starred",
    ]  # fmt: skip
    path.write_text("- 1")
    with pytest.raises(ContractError, match="a pipeline is a mapping"):
        load_pipeline(str(path), contracts)
    with pytest.raises(UsageError, match="cannot be read"):
        load_pipeline(str(tmp_path / "none.yaml"), contracts)


def sealed(database: Database, *names: str) -> int:
    nodes = tuple(VirtualNode(description=f"example:{name}") for name in names)
    database.apply_intent(WriteIntent(intent_id=f"nodes {names}", virtual_nodes=nodes))
    keys = {node.key for node in nodes}
    with database.connection() as connection:
        rows = connection.execute("SELECT node_id, encode(sha256, 'hex') FROM node").fetchall()
    return database.action_context.make_sealed_batch(n for n, key in rows if key in keys)


def test_a_batch_comes_from_stage_to_stage(database: Database, contracts):
    pipeline, _ = check_pipeline(TEXT, contracts)
    assert pipeline is not None
    number = declare_pipeline(database, pipeline, contracts)
    assert declare_pipeline(database, pipeline, contracts) == number
    batch = sealed(database, "a", "b")
    assert next_stage(database, batch) == []
    [first] = next_stage(database, batch, "pictures")
    database.pipelines.enrol("pictures", [batch])
    assert next_stage(database, batch) == [first]
    assert (first.stage_id, first.action, first.gate, first.stages) == (1, "measure", "none", 3)
    database.actions.record_action_history(501, batch, "done")
    [second] = next_stage(database, batch)
    assert (second.action, second.gate, second.parameters) == ("shrink", "approval", {"size": 7})
    database.actions.record_action_history(502, batch, "failed")
    assert next_stage(database, batch) == [second]
    database.actions.record_action_history(502, batch, "done")
    [third] = next_stage(database, batch, "pictures")
    assert third.action == "starred"
    database.actions.record_action_history(503, batch, "done")
    assert next_stage(database, batch, "pictures") == []


def test_a_shared_action_is_done_for_every_pipeline(database: Database, contracts):
    for text in (TEXT, "name: other\nstages: [{action: measure}, {action: which_animal}]"):
        pipeline, problems = check_pipeline(text, contracts)
        assert pipeline is not None, problems
        declare_pipeline(database, pipeline, contracts)
    batch = sealed(database, "a")
    database.actions.record_action_history(501, batch, "done")
    assert next_stage(database, batch) == [], "it is in neither"
    for name in ("pictures", "other"):
        database.pipelines.enrol(name, [batch])
    assert {(one.pipeline, one.action) for one in next_stage(database, batch)} == {
        ("pictures", "shrink"),
        ("other", "which_animal"),
    }
    # Another batch with the same node need not be measured again.
    again = sealed(database, "a")
    [coming] = next_stage(database, again, "other")
    assert coming.action == "which_animal"


def test_gates_may_change_and_actions_may_not(database: Database, contracts):
    pipeline, _ = check_pipeline(TEXT, contracts)
    assert pipeline is not None
    declare_pipeline(database, pipeline, contracts)
    changed, _ = check_pipeline(TEXT.replace("gate: approval, ", ""), contracts)
    assert changed is not None
    declare_pipeline(database, changed, contracts)
    assert declared_pipelines(database)["pictures"] == changed
    shorter, _ = check_pipeline(TEXT.replace("  - action: starred\n", ""), contracts)
    assert shorter is not None
    with pytest.raises(DrystoneError, match="take another name"):
        declare_pipeline(database, shorter, contracts)
    assert declared_pipelines(database)["pictures"] == changed
    with pytest.raises(UsageError, match="no pipeline 'picture'; did you mean pictures"):
        next_stage(database, sealed(database, "a"), "picture")


def test_a_pipeline_without_a_document_has_no_gates(database: Database, contracts):
    database.actions.declare_action(501, "measure", "AC2")
    database.action_context.declare_pipeline("bare", [501], "")
    [stage] = next_stage(database, sealed(database, "a"), "bare")
    assert (stage.action, stage.gate, stage.parameters) == ("measure", "none", {})
