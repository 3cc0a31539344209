"""`drystone dataset ...` as people type it; in this process where no exit code is the point."""

from __future__ import annotations

import json
import os

import yaml
from command import drystone
from dataset_house import House, definition, pets
from typer.testing import CliRunner

from datasets.cli.app import app


def run(*arguments: str, expect: int = 0):
    result = CliRunner().invoke(app, ["dataset", *arguments])
    assert result.exit_code == expect, (result.output, result.exception)
    return result


def test_a_dataset_from_its_file_to_its_retirement(house: House, tmp_path):
    house.add(pets())
    path = str(tmp_path / "pets.yaml")
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(definition(), file)
    config = ("--config", house.config_path)

    def answer(*arguments: str, **options: object):
        return json.loads(run(*arguments, "--json", *config, **options).stdout)

    assert "well-formed" in run("check", path).stderr
    broken = str(tmp_path / "broken.yaml")
    with open(broken, "w", encoding="utf-8") as file:
        file.write("version: 1\nname: pets\nselector: {version: 1}\nlayuot: flat\n")
    refused = drystone("dataset", "check", broken, expect=2).stderr
    assert b"line 4, layuot: unknown; did you mean layout?" in refused
    assert b"Traceback" not in refused
    assert "flat" in run("layouts").stdout
    shown = run("preview", path, *config).stdout
    assert "21 files" in shown and "together in" in shown and "fits" in shown
    assert answer("preview", path)["report"]["files"] == 21

    built = answer("build", path)
    assert (built["version"], built["created"]) == (1, True)
    again = run("build", path, *config)
    assert "was there already" in again.stderr
    assert again.stdout.splitlines()[-1] == built["manifest_key"]
    assert [one["version"] for one in answer("list")] == [1]
    assert "pets@1" in run("list", *config).stdout

    root = run("export", "pets", *config).stdout.strip()
    assert os.path.exists(os.path.join(root, "_SEALED"))
    shown = run("show", "pets", *config).stdout
    assert root in shown and built["manifest_key"] in shown
    assert answer("show", "pets@1")["exports"][0]["state"] == "sealed"
    assert "the tree is whole" in run("verify", "pets-v1", *config).stderr
    twin = answer("reproduce", built["manifest_key"], "--id", "twin")
    os.unlink(os.path.join(twin["target_root"], "dataset.json"))
    touched = run("verify", twin["target_root"], *config, expect=3)
    assert "dataset.json: is missing" in touched.stderr
    file = next(
        os.path.join(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if name.endswith(".png")
    )
    assert "pets:post:" in run("lineage", file, *config).stdout
    assert answer("lineage", file)["datasets"][0]["name"] == "pets"

    # Without labels and splits: another version of the same name.
    plain = {k: v for k, v in definition().items() if k not in ("labels", "splits")}
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(plain, file)
    assert answer("build", path)["report"]["splits"]["all"]["files"] == 21
    difference = run("diff", "pets@1", "pets@2", *config).stdout
    assert "moved to another split" in difference and "train -> all" in difference
    lines = run("diff", "pets@1", "pets@2", "--json", *config).stdout.splitlines()
    assert len(lines) == 22 and json.loads(lines[0])["moved"] == 21
    assert "pets-v1" in run("exports", *config).stdout
    gone = run("retire", "pets@1", "--remove-copies", *config)
    assert "pets@1 is retired" in gone.stderr and not os.path.exists(root)
    missing = drystone("dataset", "export", "nothing", *config, expect=1)
    assert b"there is no dataset nothing" in missing.stderr


def test_a_declared_pipeline_changes_no_dataset_and_an_enrolled_batch_is_told(
    house: House, tmp_path
):
    pictures = pets(10, 10)
    house.add(pictures)
    config = ("--config", house.config_path)
    path, line = str(tmp_path / "pets.yaml"), str(tmp_path / "line.yaml")
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(definition(), file)
    with open(line, "w", encoding="utf-8") as file:
        yaml.safe_dump(
            {"name": "line", "stages": [{"action": "image_probe"}, {"action": "tag_filter"}]}, file
        )

    def answer(*arguments: str):
        return json.loads(drystone(*arguments, "--json", *config).stdout)

    def excluded() -> dict[str, int]:
        return answer("dataset", "preview", path)["report"]["excluded"]

    files = answer("dataset", "build", path)["report"]["files"]
    before = excluded()
    # The first action of the line was run over ten of its files, before there was a pipeline.
    chosen = str(tmp_path / "chosen.yaml")
    with open(chosen, "w", encoding="utf-8") as file:
        yaml.safe_dump({"version": 1, "where": {"key": [one.key for one in pictures[:10]]}}, file)
    batch = answer("batch", "create", "--selector", chosen)["action_batch_id"]
    house.database.actions.declare_action(101, "image_probe", "AC2")
    house.database.actions.record_action_history(101, batch, "done")
    declared = drystone("pipeline", "declare", line, *config)
    assert b"line: image_probe -> tag_filter" in declared.stdout and declared.stderr == b""
    assert excluded() == before
    told = drystone("pipeline", "enrol", "line", str(batch), *config)
    assert f"dataset pets waits for it: its next build leaves out 10 of {files} files" in (
        told.stderr.decode()
    )
    assert excluded() == {**before, "pipeline_incomplete": 10}
    assert answer("pipeline", "declare", line)["datasets"] == [
        {"name": "pets", "files": files, "files_left_out": 10}
    ]
    # Of what is hidden the next build says so, whatever pipelines say.
    hide = (
        "UPDATE physical_content SET in_black_list = %s WHERE node_id = "
        "(SELECT min(node_id) FROM action_batch_node WHERE action_batch_id = %s)"
    )
    with house.database.connection() as connection:
        connection.execute(hide, [True, batch])
    assert answer("pipeline", "declare", line)["datasets"][0]["files_left_out"] == 9
    assert excluded() == {**before, "black_listed": 1, "pipeline_incomplete": 9}
    with house.database.connection() as connection:
        connection.execute(hide, [False, batch])
    # By pipeline, and by batch.
    shown = drystone("pipeline", "state", "line", *config).stdout.decode()
    assert "2 of 2: tag_filter, 0 of 10 nodes done" in shown
    assert answer("pipeline", "state", "line")["batches"][0]["action_batch_id"] == batch
    (place,) = answer("pipeline", "state", "--batch", str(batch))["pipelines"]
    assert (place["pipeline"], place["current_stage"]) == ("line", 2)
    for wrong in ((), ("line", "--batch", str(batch))):
        refused = drystone("pipeline", "state", *wrong, *config, expect=2).stderr
        assert b"name a pipeline, or a batch with --batch ID" in refused
    drystone("pipeline", "withdraw", "line", str(batch), *config)
    assert excluded() == before
