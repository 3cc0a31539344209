"""Contracts are found, declared once, and refused under a version that meant something else."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import action_contracts
import pytest
from action_stage_world import load
from command import ROOT

from adapters.actions import (
    ActionContract,
    StagedPart,
    contract_named,
    contracts,
    declare_contract,
    load_actions_config,
)
from adapters.actions.contract.check import check_contract
from adapters.actions.contract.contract import Output, RunSpec
from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.contract.pipelines import check_pipeline
from adapters.actions.contract.registry import survey
from adapters.actions.stage.command import checked_models, rendered_command
from adapters.actions.stage.stage import provenance
from base.errors import DrystoneError, UsageError
from sql import Database


def store_of(tmp_path: Path, folders: list[str]) -> str:
    path = tmp_path / "drystone.toml"
    path.write_text(f"[actions]\nfolders = {folders!r}\n\n[actions.models]\nmeasure = 'm.onnx'\n")
    return str(path)


def test_every_shipped_contract_is_in_order():
    found = survey(None)
    assert {path: str(error) for path, error in found.broken.items()} == {}
    assert all(loaded.contract.action_id >= 100 for loaded in found.contracts.values())


def test_the_examples_of_the_guide_are_in_order():
    guide = Path(ROOT, "docs", "actions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    [contract] = [block for block in blocks if "run_spec:" in block]
    assert [str(problem) for problem in check_contract(contract)] == []
    [pipeline] = [block for block in blocks if "stages:" in block]
    known = contracts(None)
    read, problems = check_pipeline(pipeline.replace("shrink", "crop_boxes"), known)
    assert [problem for problem in problems if "parameters" not in problem.path] == []
    assert read is None  # crop_boxes has no parameter of that name.
    for word in (*ActionContract.model_fields, *RunSpec.model_fields, *Output.model_fields):
        assert word in guide


def test_folders_of_the_store_bring_more_and_broken_ones_hide_nothing(tmp_path: Path):
    load(tmp_path, action_contracts.AC2, "actions/measure")
    load(tmp_path, action_contracts.AC1, "actions/starred")
    same = tmp_path / "actions" / "twice"
    same.mkdir()
    (same / "contract.yaml").write_text(action_contracts.AC1.replace("starred", "other"))
    bad = tmp_path / "actions" / "wrong"
    bad.mkdir()
    (bad / "contract.yaml").write_text("name: [")
    config = store_of(tmp_path, ["actions"])
    assert {"measure", "starred"} <= set(contracts(config))
    assert contract_named(config, "measure").folder == str(tmp_path / "actions/measure")
    broken = survey(config).broken
    assert "the action_id 503 is that of" in str(broken[str(same / "contract.yaml")])
    with pytest.raises(UsageError, match=r"wrong.contract\.yaml is refused"):
        contract_named(config, "wrong")
    with pytest.raises(UsageError, match=r"no action 'mesure'; did you mean measure\? \(2 contr"):
        contract_named(config, "mesure")


def test_a_section_or_folder_that_is_wrong_is_told(tmp_path: Path):
    config = store_of(tmp_path, ["nowhere"])
    with pytest.raises(UsageError, match=r"nowhere cannot be read .*correct \[actions\] folders"):
        contracts(config)
    Path(config).write_text("[actions]\nfolder = ['a']\n")
    with pytest.raises(UsageError, match=r"actions\.folder: Extra inputs"):
        load_actions_config(config)


def test_declaring_makes_the_action_and_its_table_once(database: Database, tmp_path: Path):
    loaded = load(tmp_path, action_contracts.AC2)
    declare_contract(database, loaded)
    declare_contract(database, loaded)
    declare_contract(database, load(tmp_path, action_contracts.AC4, "two"))
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT action_id, version, encode(digest, 'hex') FROM action_contract ORDER BY 1"
        ).fetchall()
        words = connection.execute(
            "SELECT description, forms_tree FROM relationship WHERE action_id = 502"
        ).fetchall()
        columns = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'result_measure'"
        ).fetchall()
    assert rows[0] == (501, 1, loaded.digest)
    assert rows[1][:2] == (502, 3)
    assert words == [("variant of", True)]
    assert {name for (name,) in columns} == {"id", "node_id", "action_event_id", "width"}


def test_a_version_that_meant_something_else_is_refused(database: Database, tmp_path: Path):
    declare_contract(database, load(tmp_path, action_contracts.AC2))
    other = action_contracts.AC2.replace("{index:04}", "{index:05}")
    with pytest.raises(
        DrystoneError, match="raise the version to 2, or take back what was changed"
    ):
        declare_contract(database, load(tmp_path, other))
    newer = load(tmp_path, other.replace("version: 1\ndesc", "version: 2\ndesc"))
    declare_contract(database, newer)
    with pytest.raises(DrystoneError, match="is at version 2, and version 1 was asked for"):
        declare_contract(database, load(tmp_path, action_contracts.AC2))
    with pytest.raises(DrystoneError, match="is 'measure' of type AC2 already"):
        declare_contract(
            database, load(tmp_path, action_contracts.AC1.replace("id: 503", "id: 501"))
        )


def test_a_column_cannot_leave_a_result_table(database: Database, tmp_path: Path):
    declare_contract(database, load(tmp_path, action_contracts.AC2))
    text = action_contracts.AC2.replace("width", "height").replace("version: 1\nd", "version: 2\nd")
    with pytest.raises(DrystoneError, match=r"column width .* is gone; keep it"):
        declare_contract(database, load(tmp_path, text))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"size": 100, "mode": "fit"}),
        ({"size": "7", "mode": "fill"}, {"size": 7, "mode": "fill"}),
        ({"size": 7.0}, {"size": 7, "mode": "fit"}),
        ({"size": 0}, "the parameter size of action shrink is 0; 1 is the least"),
        ({"size": "big"}, "is 'big'; write a whole number"),
        ({"size": True}, "is 'True'; write a whole number"),
        ({"size": "9" * 5000}, "write a whole number"),
        ({"mode": "fat"}, "it is one of fit, fill"),
        ({"sise": 1}, "has no parameter 'sise'; did you mean size?"),
    ],
)
def test_parameters_have_one_true_form(tmp_path: Path, given: dict, expected: dict | str):
    contract = load(tmp_path, action_contracts.AC4).contract
    if isinstance(expected, dict):
        assert checked_parameters(contract, given) == expected
        return
    with pytest.raises(UsageError) as caught:
        checked_parameters(contract, given)
    assert expected in str(caught.value)


def test_only_an_ac4_takes_parameters(tmp_path: Path):
    with pytest.raises(UsageError, match=r"measure \(AC2\) takes no parameters"):
        checked_parameters(load(tmp_path, action_contracts.AC2).contract, {"a": 1})


def test_the_model_file_is_the_one_the_version_is_pinned_to(tmp_path: Path):
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of b"foo"
    text = action_contracts.AC2.replace("type: AC2", f"type: AC3\nmodel_sha256: {digest}")
    loaded = load(tmp_path, text.replace("  environment:", "  gate: gpu_ready\n  environment:"))
    model = tmp_path / "m.onnx"
    with pytest.raises(UsageError, match=r"\[actions\.models\] measure = \"FILE\""):
        checked_models(loaded, {})
    models = load_actions_config(store_of(tmp_path, [])).models
    with pytest.raises(UsageError, match=r"cannot be read: .*m\.onnx: No such file"):
        checked_models(loaded, models)
    model.write_bytes(b"bar")
    with pytest.raises(UsageError, match="is not the model that version 1 of action measure"):
        checked_models(loaded, models)
    model.write_bytes(b"foo")
    assert os.path.samefile(checked_models(loaded, models)["model"], model)


def test_several_pinned_files_are_named_and_checked_one_by_one(tmp_path: Path):
    (tmp_path / "words.txt").write_bytes(b"words")
    (tmp_path / "weights.bin").write_bytes(b"weights")
    text = action_contracts.AC3
    for stands, name in (("1", b"words"), ("2", b"weights")):
        text = text.replace(stands * 64, hashlib.sha256(name).hexdigest())
    folder = tmp_path / "actions" / "tagged"
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(text)
    config = tmp_path / "drystone.toml"
    table = "[actions]\nfolders = ['actions']\n[actions.models.tagged]\nwords = 'words.txt'\n"
    config.write_text(table)
    loaded = contract_named(str(config), "tagged")
    with pytest.raises(UsageError, match=r'\[actions\.models\.tagged\] weights = "FILE"'):
        checked_models(loaded, load_actions_config(str(config)).models)
    config.write_text(table + "weights = 'words.txt'\n")
    with pytest.raises(UsageError, match=r"words.txt is not the model that version 1 of action"):
        checked_models(loaded, load_actions_config(str(config)).models)
    config.write_text(table + "weights = 'weights.bin'\n")
    paths = checked_models(loaded, load_actions_config(str(config)).models)
    assert paths == {
        "model.words": str(tmp_path / "words.txt"),
        "model.weights": str(tmp_path / "weights.bin"),
    }
    staged = StagedPart(
        action_batch_id=1, layout_id="plain/0", part=0, mode="copy", input_root="/in",
        output_root="/out", output_bytes_max=1,
    )  # fmt: skip
    run = rendered_command(loaded, staged, {}, paths)
    assert run.argv[2:] == (f"--words={tmp_path}/words.txt", f"--weights={tmp_path}/weights.bin")
    assert run.model_files == tuple(sorted(paths.values()))
    told = provenance(loaded)
    assert told["image"] == "tagger@sha256:" + "3" * 64
    assert told["model"].startswith("weights=") and " words=" in told["model"]


def test_the_cap_on_children_is_a_setting_that_a_contract_may_except_itself_from(tmp_path: Path):
    config = tmp_path / "drystone.toml"
    for name, number, limits in (
        ("plain", 900, ""),
        ("ten", 901, "child_limits: {count_scale: 10}"),
        ("many", 902, "child_limits: {count_scale: 500}"),
        ("few", 903, "child_limits: {count_scale: 2}"),
    ):
        folder = tmp_path / "actions" / name
        folder.mkdir(parents=True)
        text = action_contracts.AC4.replace("action_id: 502", f"action_id: {number}")
        (folder / "contract.yaml").write_text(
            text.replace("name: shrink", f"name: {name}") + limits
        )
    scales = {}
    for cap in ("", "child_count_scale = 3"):
        config.write_text(f"[actions]\nfolders = ['actions']\n{cap}\n")
        scales[cap] = [
            contract_named(str(config), name).count_scale
            for name in ("plain", "ten", "many", "few")
        ]
    # 10 written down says what is so anyway, and is of the same digest as ever.
    assert scales == {"": [10, 10, 500, 2], "child_count_scale = 3": [3, 3, 500, 2]}
    config.write_text("[actions]\nchild_count_scale = 0\n")
    with pytest.raises(UsageError, match=r"actions\.child_count_scale: Input should be greater"):
        load_actions_config(str(config))
